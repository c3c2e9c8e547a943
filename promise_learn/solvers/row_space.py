"""Fewer rows than columns: the same problem in at most n unknowns.

The penalty is a multiple of the identity and the minimiser lies in the row space. With
Z Z' = L L' and T the rows of L that form a triangle, those rows of Z are T Q for an
orthonormal Q; with beta = Q w the objective is that of the n x r design L, with the
same value and the same penalty, and w = Q' beta.
"""

import sys

import numpy as np

from .._arrays import diagonal, solve_triangular, take
from ..design import Design
from ..linalg.cholesky import CERTAIN, pivoted
from ..objective import Objective

HIDDEN = 1e7 * sys.float_info.epsilon  # rounding of products, against the penalty


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
    bool
        Whether nothing is lost: products of rows with a few very long columns round all
        others away, which shows in the pivots and matters where the penalty is small.
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
    top = float(xp.max(xp.sum(L * L, axis=1)))
    pivot = float(xp.min(diagonal(triangle))) ** 2
    curvature = f.loss.max_curvature * float(xp.max(f.weights))
    whole = pivot > CERTAIN * top and rank >= f.n_rows - 1
    whole = whole or float(xp.min(f.penalty[0, ...])) > HIDDEN * top * curvature
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

    return g, lift, project, whole
