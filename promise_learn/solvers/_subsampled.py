"""What the methods on samples of the rows share: batches, and systems to solve."""

import math

import numpy as np

from .._arrays import as_numpy, take
from ..linalg.cg import pcg
from .newton import HessianFactor, jacobi

LARGEST_FACTOR = 1000
MAX_CG, CG_ACCURACY = 100, 1e-4
SHARE, ROWS_PER_UNKNOWN = 10, 8


class NewtonSystem:
    """Linear system of a Hessian, whole or estimated, and what solving it costs.

    A Cholesky factor up to order 1000; beyond that at most 100 conjugate gradients with
    the diagonal preconditioner, which solve to an energy error of 1e-4.

    Parameters
    ----------
    point : Expansion
    share : float, default=1.0
        Rows of the expansion, relative to those of the whole objective.

    Attributes
    ----------
    passes : float
        Passes over the whole X so far.
    """

    def __init__(self, point, share=1.0):
        f = point.objective
        self._point, self._share = point, share
        self._factor, self.passes = None, 0.0
        if f.dim * (f.n_columns if f.coupled else 1) <= LARGEST_FACTOR:
            self._factor = HessianFactor(point)
            self.passes = share * f.design.rows.gram_cost

    def solve(self, g):
        """H^-1 g for g of the shape of w."""
        if self._factor is not None:
            return self._factor.solve(g)
        point = self._point
        inverse, coupled = jacobi(point), point.objective.coupled
        for it in pcg(point.product, g, inverse, coupled=coupled):
            if it.gap <= CG_ACCURACY * it.decrease or it.iteration >= MAX_CG:
                break
        self.passes += self._share * it.iteration
        return it.x


def subsampled_system(point, size, rng, damping=0.0):
    """`NewtonSystem` of the Hessian of random rows, plus ``damping`` times identity.

    The estimate is unbiased; with all rows it is the Hessian itself.

    Parameters
    ----------
    point : Expansion
    size : int
    rng : numpy.random.Generator
    damping : float, default=0.0
    """
    f = point.objective
    rows, known = f.sample(size, rng), positive(f)
    sample = point if len(rows) == known else point.sample(rows, known / len(rows))
    sample = sample.damped(damping) if damping > 0 else sample
    return NewtonSystem(sample, len(rows) / f.n_rows)


def positive(f):
    """Rows that have a weight."""
    return int(np.count_nonzero(as_numpy(f.weights)))


def hessian_rows(f):
    """Rows of a Hessian estimate by default: a tenth, or eight an unknown if more.

    Eight rows an unknown put the eigenvalues of the estimate, relative to the Hessian,
    within (1 +- 8^-1/2)^2 = 0.4 to 1.8 (Marchenko and Pastur, 1967).
    """
    return min(f.n_rows, max(f.n_rows // SHARE, ROWS_PER_UNKNOWN * f.dim))


def random_batch(f, size, rng):
    """Objective of random rows, the penalty as it is; f itself where that is all rows.

    A classification batch that lacks a class has its minimum at infinity in an
    unpenalised intercept: twice as many rows are drawn then, and so on.
    """
    size = math.ceil(size)
    while size < positive(f):
        rows = f.sample(size, rng)
        classes = 0 if f.quadratic else (f.n_columns if f.coupled else 2)
        if classes == 0 or len(np.unique(as_numpy(take(f.y, rows)))) >= classes:
            return f.subset(rows, same_penalty=True)
        size *= 2
    return f
