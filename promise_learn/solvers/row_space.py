"""Fewer rows than columns: the same problem in n unknowns.

The penalty is a multiple of the identity and the minimiser lies in the row space, so
with Z Z' = L L' and beta = L^-1 Z w the objective is that of the n x n design L, with
the same value and the same penalty; w = Z' L^-T beta.
"""

import sys

from .._arrays import add_diagonal, cast, namespace, solve_triangular
from ..design import Design
from ..linalg.cholesky import factor
from ..linalg.gram import row_gram
from ..objective import Objective

BLOCK_ENTRIES = 2**22


def applies(f):
    """Whether the objective has fewer rows than columns and one penalty for all."""
    if f.n_rows >= f.dim - 1:
        return False
    coefficients = f.penalty[: f.design.rows.shape[1], ...]
    first = coefficients[:1, ...]
    return f.design.scale is None and bool(f.xp.all(coefficients == first))


def reduced(f):
    """Return the objective in n unknowns, and the maps between the two w.

    Parameters
    ----------
    f : Objective
        One for which `applies` holds.

    Returns
    -------
    Objective
    callable
        ``lift(beta)`` gives w.
    callable
        ``project(w)`` gives the beta with the same margins, for w in the row space.
    """
    design, xp, n = f.design, f.xp, f.n_rows
    rows, p = design.rows, design.rows.shape[1]
    L = _root(_row_products(design))
    small = Design(L, intercept=design.intercept)
    penalty = xp.concat([f.penalty[:1, ...]] * n + [f.penalty[p:, ...]], axis=0)
    shape = (small.shape[1], *f.shape[1:])
    g = Objective(small, f.y, f.loss, f.weights, penalty, shape)

    def lift(beta):
        w = design.adjoint(solve_triangular(L, beta[:n, ...], transposed=True))
        return xp.concat([w[:p, ...], beta[n:, ...]], axis=0)

    def project(w):
        u, constant = w[:p, ...], w[p:, ...]
        eta = rows.dot(u)
        if design.shift is not None:
            eta = eta - (design.shift @ u)
        return xp.concat([solve_triangular(L, eta), constant], axis=0)

    return g, lift, project


def _root(K):
    """Cholesky factor of a semidefinite K, with its rounding errors on the diagonal."""
    xp, n = namespace(K), K.shape[0]
    size = float(xp.max(xp.linalg.diagonal(K)))
    errors = n * sys.float_info.epsilon * size if size > 0 else 1.0
    while True:
        L = factor(add_diagonal(K, xp.full_like(K[0, :], errors)), overwrite=True)
        if L is not None:
            return L
        errors *= 10


def _row_products(design):
    """Z Z' in float64, from blocks of columns that are centred first."""
    rows, xp, shift = design.rows, design.xp, design.shift
    if rows.sparse:
        X = cast(rows.X, xp.float64)
        K = row_gram(X)
        if shift is None:
            return K
        cross = X @ shift
        return K - cross[:, None] - cross[None, :] + shift @ shift
    n, p = rows.shape
    K, step = rows.zeros((n, n)), max(1, BLOCK_ENTRIES // n)
    for lo in range(0, p, step):
        hi = min(p, lo + step)
        Z = cast(rows.columns(lo, hi), xp.float64)
        if shift is not None:
            Z = Z - shift[None, lo:hi]
        K = K + Z @ Z.T
    return K
