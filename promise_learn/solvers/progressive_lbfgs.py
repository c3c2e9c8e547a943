"""L-BFGS on batches that grow when a test says that their gradient is too noisy."""

import math
from collections import deque
from dataclasses import dataclass

from .._arrays import column, inner
from ._pairs import Pairs
from ._subsampled import positive, random_batch
from .base import Solver, Step
from .theory import Theory

ARMIJO, HALVINGS = 1e-4, 60
WINDOW = 5
TINY, LARGEST = 1e-300, 1e18
RECENT, CANCELLED = 10, 0.38  # of the safeguard


@dataclass(repr=False, eq=False)
class ProgressiveLBFGS(Solver):
    r"""Progressive batching L-BFGS.

    A batch B serves an iteration if the inner product test holds,

    .. math:: \frac{\mathrm{Var}_{i \in B} \big( (H g_i)^T H g_B \big)}{|B|}
              \le \theta^2 \| H g_B \|^4,

    else it grows to the size that would pass. Noise alone passes the test in many
    dimensions; so where the mean of the last ten gradients is shorter than 0.38 of the
    last one, that mean stands for g_B (Bollapragada, Byrd and Nocedal). Steps start
    from
    :math:`1 / (1 + \mathrm{Var}(g_i) / (|B| \|g_B\|^2))`, 1 on all rows, and are halved
    until :math:`F_B` falls enough (Armijo, c = 1e-4). Every iteration draws a new batch
    and takes both gradients of a pair from it. Once the batch is all rows, this is
    L-BFGS.

    Parameters
    ----------
    memory : int, default=10
        Pairs kept, as in the source.
    batch_size : int, default=512
        Rows of the first batch, as in the source.
    theta : float, default=0.9
        Of the test, as in the source.
    curvature : float, default=1e-8
        Pairs with s'y at most this times ``|s| |y|`` are skipped. The source compares
        with 1e-2 s's, which depends on the scale of X.

    References
    ----------
    Bollapragada, Mudigere, Nocedal, Shi and Tang, "A progressive batching L-BFGS method
    for machine learning", ICML 2018, algorithm 1; Bollapragada, Byrd and Nocedal,
    "Adaptive sampling strategies for stochastic optimization", SIAM J. Optim. 28, 2018,
    section 4, for the safeguard.
    """

    memory: int = 10
    batch_size: int = 512
    theta: float = 0.9
    curvature: float = 1e-8

    name = "progressive-lbfgs"
    default_max_iter = 15000
    visits_rows = True
    theory = Theory(
        "increasing",
        "increasing",
        False,
        "linear",
        "Bollapragada et al. (2018), algorithm 1",
    )

    def iterate(self, f, w, rng):
        """Yield a `Step` after every step on all rows, and after a pass on fewer."""
        pairs, size, values = Pairs(self.memory, self.curvature), self.batch_size, []
        batch, passes, reported = None, 0.0, 0.0
        recent = deque(maxlen=RECENT)
        while True:
            if batch is not f:
                batch = random_batch(f, size, rng)
                point = batch.expand(w)
                passes += batch.n_rows / f.n_rows
            d, first = -pairs.apply(point.gradient), 1.0
            if batch is not f:
                recent.append(point.gradient)
                needed, first = self._test(point, pairs, recent)
                if needed > batch.n_rows:
                    recent.clear()
                    size = min(needed, positive(f))
                    continue
            moved, t, trials = _backtrack(batch, point, d, first)
            passes += trials * batch.n_rows / f.n_rows
            if moved is None and batch is f:
                return
            if moved is None:
                size = 2 * batch.n_rows
                continue
            pairs.add(moved.w - point.w, moved.gradient - point.gradient)
            w, point = moved.w, moved
            if batch is f:
                values.append(point.value)
                gap = None
                if len(values) > WINDOW:
                    gap = values[-1 - WINDOW] - point.value
                yield Step(w, point.value, point.gradient, gap, False, passes, t)
            elif passes >= reported + 1:
                reported = passes
                yield Step(w, passes=passes, step_size=t)

    def _test(self, point, pairs, recent):
        """Rows that the test asks for, and the first step to try."""
        f, g, xp = point.objective, point.gradient, point.objective.xp
        slopes = f.loss.slope(point.eta, f.y)
        slopes = column(f.weights * f.n_rows, slopes) * slopes
        norm, mean = inner(g, g), sum(recent) / len(recent)
        cancelled = inner(mean, mean) < CANCELLED**2 * norm
        v = pairs.apply(mean if cancelled and len(recent) == RECENT else g)
        length = inner(v, v)
        along = slopes * f.design.dot(pairs.apply(v))
        along = along if along.ndim == 1 else xp.sum(along, axis=1)
        needed = float(xp.var(along)) / max((self.theta * length) ** 2, TINY)
        squares = slopes**2 if slopes.ndim == 1 else xp.sum(slopes**2, axis=1)
        part = g - f.ridge(point.w)
        second = float(xp.mean(squares * row_norms(f.design)))
        variance = max(second - inner(part, part), 0.0)
        first = 1 / (1 + variance / max(f.n_rows * norm, TINY))
        return math.ceil(min(needed, LARGEST)), first


def row_norms(design):
    """Squared norm of every row as the coefficients meet it, (n,)."""
    scale = design.rows.zeros(design.rows.shape[1:]) + 1
    if design.scale is not None:
        scale = scale / design.scale**2
    norms = design.rows.row_squares(scale) + float(design.intercept)
    if design.shift is None:
        return norms
    centre = design.shift * scale
    return norms - 2 * design.rows.dot(centre) + design.shift @ centre


def _backtrack(f, point, d, t):
    """Expansion after a step that decreases f enough, its length, and the trials."""
    slope = inner(point.gradient, d)
    for trial in range(1, HALVINGS + 1):
        moved = f.expand(point.w + t * d)
        if slope < 0 and moved.value < point.value + ARMIJO * t * slope:
            return moved, t, trial
        t /= 2
    return None, 0.0, HALVINGS
