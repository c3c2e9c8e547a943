"""Preconditioners of a whole Hessian, for solvers built on conjugate gradients."""

import numpy as np

from ..linalg.nystrom import Sketch
from ..preconditioners import Nystrom, resolve_preconditioner
from ..preconditioners.base import woodbury

START_RANK = 16
MAX_RANK = 1000
SKETCH_COST = 0.25
FLOOR = 1e-12


def curvature_inverse(specification, point, rng):
    """Inverse of a preconditioner of the Hessian at a point, as a function of g.

    Parameters
    ----------
    specification : str, Preconditioner or None
        "auto" for the Nystrom approximation of the whole Hessian with adaptive rank; a
        named or given preconditioner is built from a sample of 10 sqrt(n) rows.
    point : Expansion
    rng : numpy.random.Generator

    Returns
    -------
    callable
        v -> P^-1 v, for v the shape of w.
    float
        Passes over X that it cost.
    """
    f = point.objective
    if isinstance(specification, str) and specification == "auto":
        return adaptive_nystrom(point, rng)
    specification = resolve_preconditioner(specification)
    if specification is None:
        return (lambda v: v), 0.0
    size = f.n_rows
    if isinstance(specification, Nystrom):
        size = min(size, max(20 * specification.rank, int(10 * f.n_rows**0.5)))
    elif not f.design.rows.sparse or f.dim < f.n_rows:
        size = min(size, int(10 * f.n_rows**0.5))
    rows = np.sort(rng.choice(f.n_rows, size, replace=False, shuffle=False))
    ridge = _ridge(f)
    h = point.diagonal()
    h = h + ridge + _tiny(f, h)
    rho = max(float(f.xp.max(ridge / h)), FLOOR)
    inverse = specification.build(point.root(rows), rho, rng, diagonal=h)
    return inverse.apply, 1.0 + size / f.n_rows


def _ridge(f):
    """One penalty vector for all columns: the geometric mean of the targets'."""
    penalty = f.penalty
    if penalty.ndim == 1:
        return penalty
    if penalty.shape[1] == 1:
        return penalty[:, 0]
    logs = f.xp.log(f.xp.where(penalty > 0, penalty, 1.0))
    return f.xp.where(penalty[:, 0] > 0, f.xp.exp(f.xp.mean(logs, axis=1)), 0.0)


def _tiny(f, h):
    return float(f.xp.max(h)) * 1e-14 + float(f.xp.finfo(h.dtype).smallest_normal)


def adaptive_nystrom(point, rng):
    """Nystrom preconditioner of the whole Hessian; its rank doubles while that pays.

    Columns are equilibrated by the exact Hessian diagonal first. The rank grows until
    the last eigenvalue is ten times the penalty, the spectrum inside the sketch is flat
    (then sketching does not help), or doubling would cost more products than the
    iterations that remain.

    References
    ----------
    Frangella, Tropp and Udell, Randomized Nystrom preconditioning (2023), section 5.4.
    """
    f, xp = point.objective, point.objective.xp
    ridge, h = _ridge(f), point.diagonal()
    scale = 1 / xp.sqrt(h + ridge + _tiny(f, h))
    penalties = ridge * scale**2
    mu = max(float(xp.min(xp.where(ridge > 0, penalties, 1.0))), FLOOR)
    column = scale[:, None]

    def product(V):
        return column * point.loss_product(column * V)

    sketch, rank = Sketch.empty(f.dim, scale), START_RANK
    while True:
        sketch = sketch.grow(product, rank, rng)
        low = sketch.low_rank()
        top, last = float(low.eigenvalues[0]), float(low.eigenvalues[-1])
        iterations = 7.0 * max((last + mu) / mu, 1.0) ** 0.5
        full = rank >= min(f.dim, MAX_RANK)
        costly = SKETCH_COST * rank * (1 + rank / 200) > iterations * f.n_columns
        if full or last <= 10 * mu or costly or (rank >= 64 and last > 0.5 * top):
            break
        rank = min(2 * rank, f.dim, MAX_RANK)
    inverse = woodbury(low.rows(), penalties + max(last, mu))
    apply = inverse.apply

    def solve(g):
        s = scale if g.ndim == 1 else column
        return s * apply(s * g)

    return solve, 1.0 + sketch.rank
