"""SVRN: stochastic variance-reduced Newton with large batches."""

import math
from dataclasses import dataclass
from typing import Any

from .._arrays import column, inner, take
from ._refresh import named
from ._subsampled import hessian_rows, subsampled_system
from .base import Solver, Step
from .line_search import advance
from .theory import Theory


@dataclass(repr=False, eq=False)
class SVRN(Solver):
    r"""Subsampled Newton whose steps near the minimum are many and variance reduced.

    Far away an iteration is a subsampled Newton step with a line search. Once that
    accepts the unit step, an iteration is one sweep over batches B of all rows, with
    one Hessian estimate H and a snapshot w~ at its start,

    .. math:: w \leftarrow w - \eta H^{-1} \big( \nabla F_B(w) - \nabla F_B(\tilde w)
              + \nabla F(\tilde w) \big) .

    A sweep that raises F is undone, halves the step, and a subsampled Newton step
    follows; where that does not lower F either, the rows of H double. With all rows in
    both batches and a unit step this is Newton's method.

    Parameters
    ----------
    batch_size : int or "auto", default="auto"
        Rows of a stochastic gradient. "auto" is n / log2(n), the large batches of the
        source.
    hessian_batch : int or "auto", default="auto"
        Rows of a Hessian estimate. "auto" is the larger of n / 10 and 8 rows a
        coefficient; the source asks for O(kappa log(dim)).
    step : float, default=0.5
        First step of the sweeps (our choice: a Hessian of few rows may be half the true
        one).

    References
    ----------
    Derezinski, "Stochastic variance-reduced Newton: accelerating finite-sum
    minimization with large batches", 2022, algorithm 1.
    """

    batch_size: Any = "auto"
    hessian_batch: Any = "auto"
    step: float = 0.5

    name = "svrn"
    default_max_iter = 500
    visits_rows = True
    theory = Theory(
        "O~(kappa)",
        "O~(kappa / epsilon^2)",
        False,
        "fast linear",
        "Derezinski (2022), algorithm 1",
    )

    def iterate(self, f, w, rng):
        """Yield a `Step` before every step, or sweep."""
        n, step = f.n_rows, self.step
        sample = named(self.hessian_batch, hessian_rows(f))
        batch = named(self.batch_size, math.ceil(n / max(1, math.log2(n))))
        point, passes, t, refreshes, local = f.expand(w), 1.0, 1.0, 0, False
        while point is not None:
            system = subsampled_system(point, sample, rng)
            d = -system.solve(point.gradient)
            passes, refreshes = passes + system.passes, refreshes + 1
            gap = -0.5 * inner(point.gradient, d)
            value, g = point.value, point.gradient
            yield Step(point.w, value, g, gap, False, passes, t, refreshes)
            moved = None
            if local:
                moved = f.expand(_sweep(f, point, system, batch, step, rng))
                passes, t = passes + 2, step
                if not moved.value < value:
                    moved, step = None, step / 2
            local = moved is not None
            if not local:
                moved, t = advance(f, point, d)
                passes, local = passes + 1, t == 1.0
            if moved is None and sample < n:
                sample, moved = 2 * sample, point
            point = moved


def _sweep(f, point, system, batch, step, rng):
    """Iterate after one visit of every row, in batches."""
    w, order, n = point.w, rng.permutation(f.n_rows), f.n_rows
    for lo in range(0, n, batch):
        rows = order[lo : lo + batch]
        design, y = f.design.subset(rows), take(f.y, rows)
        old, new = take(point.eta, rows), design.dot(w)
        change = f.loss.slope(new, y) - f.loss.slope(old, y)
        weights = take(f.weights, rows) * (n / len(rows))
        v = design.adjoint(column(weights, change) * change) + f.ridge(w - point.w)
        w = w - step * system.solve(v + point.gradient)
    return w
