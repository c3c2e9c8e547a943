"""Fewer rows than columns: the same problem in at most n unknowns.

The penalty is a multiple of the identity and the minimiser lies in the row space. With
Z Z' = L L' and T the rows of L that form a triangle, those rows of Z are T Q for an
orthonormal Q; with beta = Q w the objective is that of the n x r design L, with the
same value and the same penalty, and w = Q' beta.
"""

import numpy as np

from .._arrays import solve_triangular, take
from ..design import Design
from ..linalg.cholesky import pivoted
from ..objective import Objective


def applies(f):
    """Whether the objective has fewer rows than columns and one penalty for all."""
    return f.n_rows < f.dim - 1 and alike(f)


def alike(f):
    """Whether one penalty serves all coefficients of a target."""
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
    L, picked = pivoted(design.row_gram())
    rank, triangle = L.shape[1], take(L, picked)
    if not bool(xp.any(triangle != 0)):
        triangle = triangle + 1.0  # X is zero, and so is w
    small = Design(L, intercept=design.intercept)
    penalty = xp.concat([f.penalty[:1, ...]] * rank + [f.penalty[p:, ...]], axis=0)
    shape = (small.shape[1], *f.shape[1:])
    g = Objective(small, f.y, f.loss, f.weights, penalty, shape)
    place = np.full(f.n_rows, rank)  # rows that were not picked get a zero
    place[picked] = np.arange(rank)

    def lift(beta):
        x = solve_triangular(triangle, beta[:rank, ...], transposed=True)
        x = xp.concat([x, rows.zeros((1, *x.shape[1:]))], axis=0)
        w = design.adjoint(take(x, place))
        return xp.concat([w[:p, ...], beta[rank:, ...]], axis=0)

    def project(w):
        u, constant = w[:p, ...], w[p:, ...]
        eta = rows.dot(u)
        if design.shift is not None:
            eta = eta - (design.shift @ u)
        beta = solve_triangular(triangle, take(eta, picked))
        return xp.concat([beta, constant], axis=0)

    return g, lift, project
