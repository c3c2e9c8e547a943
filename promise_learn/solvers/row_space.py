"""Fewer rows than columns: the same problem in n unknowns.

The penalty is a multiple of the identity and the minimiser lies in the row space, so
with Z Z' = V L V' and beta = L^-1/2 V'Z w the objective is that of the n x n design
V L^1/2, with the same value and the same penalty; w = Z' V L^-1/2 beta.
"""

import sys

from .._arrays import cast
from ..design import Design
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
    """Return the objective in at most n unknowns, and the maps between the two w.

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
    design, xp = f.design, f.xp
    rows, p = design.rows, design.rows.shape[1]
    values, vectors = xp.linalg.eigh(_row_products(design))
    lost = f.n_rows * sys.float_info.epsilon
    kept = int(xp.sum(xp.astype(values > lost * values[-1], xp.int64)))
    kept = max(kept, 1)  # of an X that is zero
    values, vectors = values[f.n_rows - kept :], vectors[:, f.n_rows - kept :]
    root = xp.sqrt(xp.where(values > 0, values, 1.0))
    present = xp.astype(values > 0, xp.float64)
    small = Design(vectors * (present * root)[None, :], intercept=design.intercept)
    penalty = xp.concat([f.penalty[:1, ...]] * kept + [f.penalty[p:, ...]], axis=0)
    shape = (small.shape[1], *f.shape[1:])
    g = Objective(small, f.y, f.loss, f.weights, penalty, shape)
    inverse = vectors * (present / root)[None, :]

    def lift(beta):
        w = design.adjoint(inverse @ beta[:kept, ...])
        return xp.concat([w[:p, ...], beta[kept:, ...]], axis=0)

    def project(w):
        u, constant = w[:p, ...], w[p:, ...]
        eta = rows.dot(u)
        if design.shift is not None:
            eta = eta - (design.shift @ u)
        return xp.concat([inverse.T @ eta, constant], axis=0)

    return g, lift, project


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
