"""A preconditioner that serves several Newton steps, as long as it pays."""

import math

from ._costs import factor_is_dear, patience, sample_size
from .sketch import (
    curvature_inverse,
    factors_apart,
    smallest_at_most,
    starts_bare,
    unchanged,
)

BARE = 20  # iterations that a preconditioner of heavy rows costs and cannot save


class KeptInverse:
    """Inverse of a preconditioner, renewed where a new one would be cheaper.

    It goes when CG takes more iterations than when it was fresh and its cost in passes,
    or, where it proved slower than foreseen, than a larger sample would cost with its
    iterations; a system may take twice the former. Where factors are dear, CG tries to
    do without for half of their time; with coupled classes it goes on, since factors of
    single classes leave it many iterations.

    Parameters
    ----------
    specification : str, Preconditioner or None
    f : Objective
    max_cg : int
        Iterations that a system may take in any case.
    rng : numpy.random.Generator

    Attributes
    ----------
    apply : callable
        v -> P^-1 v.
    smallest : float
        Upper bound of the smallest eigenvalue of P^-1 H, as far as CG has seen.
    stale : bool
        Whether a new one would be cheaper.
    patience : int
        Iterations that the next system may take.
    count : int
        Preconditioners so far.
    """

    def __init__(self, specification, f, max_cg, rng):
        self._specification, self._f = specification, f
        self._max_cg, self._rng = max_cg, rng
        self._slowness, self.count, self.stale = 1.0, 0, True
        dear = specification == "auto" and factor_is_dear(f) and not f.coupled
        possible = dear and sample_size(f, impatient=True)[0] is not None
        self._left = patience(f) if possible else math.inf

    def renewed(self, point):
        """Build the inverse at a point where that pays; passes that it took."""
        if not self.stale:
            return 0.0
        self._bare = self.count == 0 and starts_bare(self._specification, self._f)
        self._fresh, self._better, self.count = 0, math.inf, self.count + 1
        self.apply = None  # there may be no room for two
        if self._bare:
            self.apply, self._cost, self.smallest = unchanged, 0.0, math.inf
            self.patience = min(self._max_cg, BARE)
        else:
            self.apply, self._cost = curvature_inverse(
                self._specification,
                point,
                self._rng,
                self._slowness,
                self._left <= 0,
            )
            self.smallest = smallest_at_most(self._specification)
            self.patience = self._within(self._max_cg)
        return self._cost

    def judge(self, it, accurate):
        """Learn from the last iterate of a system whether the inverse still pays."""
        self.smallest, self.stale = it.smallest, False
        if self._bare:
            self.stale = it.iteration >= self.patience
        elif not self._f.quadratic:
            if accurate and not self._fresh:
                self._measure(it)
            self._fresh = self._fresh or it.iteration
            worth = self._fresh + self._cost
            self.patience = self._within(min(self._max_cg, int(2 * worth + 10)))
            self.stale = it.iteration > min(worth, self._better)
        if self._left > 0:
            self._left -= it.iteration
            self.stale = self.stale or self._left <= 0

    def _within(self, limit):
        """Limit of the next system that leaves what is left for doing without."""
        return int(min(limit, max(self._left, 1))) if self._left > 0 else limit

    def _measure(self, it):
        """Compare a row sample with what the model foresees of it, and of larger ones.

        A factor that classes share is slow whatever the sample.
        """
        f, rows = self._f, None
        if self._specification == "auto" and (not f.coupled or factors_apart(f)):
            rows = sample_size(f, self._slowness, self._left <= 0)[0]
        if rows is None or rows == f.n_rows or not it.decrease > it.gap > 0:
            return
        gained = math.log1p(it.decrease / it.gap)
        foreseen = gained / math.log1p(rows / f.effective_dimension)
        self._slowness = max(it.iteration / foreseen, 1.0)
        larger, cost = sample_size(f, self._slowness, self._left <= 0)
        if larger > rows:
            self._better = cost
