"""Subsampled Newton: full or growing gradient, fresh Hessian sample every step."""

from dataclasses import dataclass
from typing import Any

from .._arrays import inner
from ._refresh import named
from ._subsampled import hessian_rows, random_batch, subsampled_system
from .base import Solver, Step
from .line_search import advance
from .theory import Theory


@dataclass(repr=False, eq=False)
class SubsampledNewtonMethod(Solver):
    r"""Newton's method with the Hessian of a fresh sample of rows in every iteration.

    .. math:: d = -\big( X_S^T D_S X_S + \mathrm{diag}(penalty) \big)^{-1}
              \nabla F_B(w), \qquad w \leftarrow w + t d,

    t by a line search on :math:`F_B`. B is all rows, or a fresh sample that grows
    geometrically until it is. Where no step decreases :math:`F_B`, S doubles.

    Parameters
    ----------
    gradient_batch : int or "full", default="full"
        Rows of the first gradient.
    growth : float, default=2.0
        Factor by which a gradient batch grows. Geometric growth keeps the linear rate;
        the source leaves the factor open.
    hessian_batch : int or "auto", default="auto"
        Rows of a Hessian estimate. "auto" is the larger of n / 10 and 8 rows a
        coefficient; the source asks for O(kappa log(dim) / epsilon^2) and tries 1 to
        10 %.

    References
    ----------
    Roosta-Khorasani and Mahoney, "Sub-sampled Newton methods", Math. Program. 174,
    2019; Bollapragada, Byrd and Nocedal, "Exact and inexact subsampled Newton methods
    for optimization", IMA Journal of Numerical Analysis 39, 2019, for gradients that
    grow.
    """

    gradient_batch: Any = "full"
    growth: float = 2.0
    hessian_batch: Any = "auto"

    name = "subsampled-newton"
    default_max_iter = 500
    visits_rows = True
    theory = Theory(
        "exponentially increasing",
        "O~(kappa / epsilon^2)",
        False,
        "fast linear",
        "Roosta-Khorasani and Mahoney (2019)",
    )

    def iterate(self, f, w, rng):
        """Yield a `Step` before every step on all rows, and after a pass on fewer."""
        size = f.n_rows if self.gradient_batch == "full" else self.gradient_batch
        sample = named(self.hessian_batch, hessian_rows(f))
        batch, point = None, None
        passes, read, t, refreshes = 0.0, 0, 1.0, 0
        while True:
            if batch is not f:
                batch = random_batch(f, size, rng)
                point = batch.expand(w)
                passes += batch.n_rows / f.n_rows
                read += 2 * batch.n_rows
            system = subsampled_system(point, sample, rng)
            d = -system.solve(point.gradient)
            passes, refreshes = passes + system.passes, refreshes + 1
            if batch is f:
                gap = -0.5 * inner(point.gradient, d)
                yield Step(
                    w, point.value, point.gradient, gap, False, passes, t, refreshes
                )
            elif read >= f.n_rows:
                read = 0
                yield Step(w, passes=passes, step_size=t, refreshes=refreshes)
            moved, t = advance(batch, point, d)
            passes += batch.n_rows / f.n_rows
            if moved is None:
                if batch is f and sample >= f.n_rows:
                    return
                sample, moved = 2 * sample, point
            point, w, size = moved, moved.w, self.growth * size
