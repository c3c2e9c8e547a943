"""What every Newton-type solver shares: factors, directions, and the decrement.

The Newton decrement 1/2 g'H^-1 g estimates F(w) - F*; it is what ``tol`` is compared
with, whichever solver runs.
"""

import numpy as np

from .._arrays import as_numpy, namespace
from ..linalg.cg import pcg
from ..linalg.spd import Factor

DENSE_SIZE = 300
MAX_ITERATIONS = 300


class HessianFactor:
    """Factor of a dense Hessian: one block, all classes at once, or one a target."""

    def __init__(self, point):
        f = self._objective = point.objective
        self._columns = {}
        if not f.per_target:
            self._factor = Factor(point.hessian())
            return
        G, penalty = f.design.gram(point.row_curvature), as_numpy(f.penalty)
        values, owners = np.unique(penalty, axis=1, return_inverse=True)
        eye = f.xp.eye(f.dim, dtype=G.dtype)
        for k in range(values.shape[1]):
            ridge = f.xp.asarray(values[:, k], dtype=G.dtype)
            columns = np.flatnonzero(owners.reshape(-1) == k)
            self._columns[k] = columns, Factor(G + eye * ridge[:, None])

    def solve(self, g):
        """H^-1 g for g of the shape of w."""
        xp = namespace(g)
        if self._columns:
            parts = {
                int(c): factor.solve(g[:, int(c)])
                for columns, factor in self._columns.values()
                for c in columns
            }
            return xp.stack([parts[c] for c in range(g.shape[1])], axis=1)
        if not self._objective.coupled:
            return self._factor.solve(g)
        dim, K = g.shape
        flat = self._factor.solve(xp.reshape(xp.matrix_transpose(g), (K * dim,)))
        return xp.matrix_transpose(xp.reshape(flat, (K, dim)))


def jacobi(point):
    """Diagonal preconditioner: v -> v / diag(H)."""
    f = point.objective
    h = point.diagonal()
    ridge = f.penalty if f.penalty.ndim == 1 else f.xp.max(f.penalty, axis=1)
    scale = h + ridge
    top = f.xp.max(scale)
    scale = f.xp.where(scale > 0, scale, f.xp.where(top > 0, top, 1.0))
    return lambda v: v / (scale if v.ndim == 1 else scale[:, None])


def suboptimality(point, target):
    """Newton decrement 1/2 g'H^-1 g at a point, an estimate of F(w) - F*.

    Exact by a dense factor for small problems, by preconditioned conjugate gradients
    otherwise. CG stops as soon as its lower bound exceeds ``target``, since then the
    answer is known to be "not yet", or when one tenth of accuracy is reached.

    Parameters
    ----------
    point : Expansion
    target : float
        Absolute gap that counts as converged.

    Returns
    -------
    float
        The decrement, or a lower bound above ``target``.
    float
        Passes over X that it took.
    """
    f, g = point.objective, point.gradient
    xp = namespace(g)
    if f.dim * (f.n_columns if f.coupled else 1) <= DENSE_SIZE:
        return 0.5 * float(xp.sum(g * HessianFactor(point).solve(g))), 1.0
    for it in pcg(point.product, -g, jacobi(point), coupled=f.coupled):
        settled = it.gap <= 0.1 * it.decrease or it.decrease > target
        if settled or it.iteration >= MAX_ITERATIONS:
            break
    return it.decrease + it.gap, float(it.iteration)
