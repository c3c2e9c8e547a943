"""Preconditioned conjugate gradients for ridge regression."""

import math
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from .._arrays import inner
from ..linalg.cg import pcg
from ._costs import DECADES, Forecast
from ._dual import RESTART, lossy
from .base import Solver, Step
from .direct import Direct
from .sketch import curvature_inverse, may_be_poor, smallest_at_most
from .theory import Theory

CANCELLED = 1e-8  # of F at the start of CG, below which the recursion of F loses digits


@dataclass(repr=False, eq=False)
class PCG(Solver):
    """Conjugate gradients on the normal equations, all targets in one product.

    Every target has step lengths of its own, and one that has converged stops moving.
    When the error has fallen by ten orders CG starts again from the gradient that X
    itself gives, which removes the rounding of the recursion.

    Parameters
    ----------
    preconditioner : str, Preconditioner or None, default="auto"
        "auto" is the Cholesky factor of the Hessian of all rows or a sample, in single
        precision, where that is small enough; else, for sparse X, the rows of large
        leverage and the diagonal of the others; for dense X "nystrom". None is plain
        conjugate gradients.
    patience : float, default=inf
        Iterations after which another solver takes over. ``solver="auto"`` allows those
        that take half of the time of a factor, where X is sparse or rows are few: how
        many are needed depends on the penalty and shows only on the way; and about as
        many without a preconditioner. There a finite one means caution: where all
        coefficients have a penalty, nothing is estimated, and the bound of the gap that
        it gives ends the fit.
    then : Solver or None, default=None
        The one that takes over, also where rounding ends CG; `Direct` where None.
    early : float, default=inf
        Iterations after which it takes over as soon as a gap of seven decades below F
        is foreseen to take more than all that are allowed, by the rate so far.

    Raises
    ------
    ValueError
        If the loss is not the squared error, patience or early is not positive, then is
        no solver, or patience is finite and the other solver has no room.

    References
    ----------
    Golub and Van Loan, Matrix Computations, algorithm 11.5.1. The sampled factor is the
    square case of SSN in PROMISE (Frangella et al., 2024), section 3.
    """

    preconditioner: Any = "auto"
    patience: float = math.inf
    then: Any = None
    early: float = math.inf

    name = "pcg"
    theory = Theory(
        "full",
        "full",
        True,
        "linear",
        "Golub and Van Loan, algorithm 11.5.1",
    )
    default_max_iter = 20000
    uses_preconditioner = True

    def check(self, f):
        """Accept the squared error only."""
        if not f.quadratic:
            raise ValueError(
                f"solver={self.name!r} solves squared-error problems only: use "
                "'newton-cg' or 'auto'."
            )
        for name in ("patience", "early"):
            value = getattr(self, name)
            if not value > 0:
                raise ValueError(f"{name}={value!r}: use a positive number")
        if not isinstance(self.then, Solver | None):
            raise ValueError(f"then={self.then!r}: use a solver object or None")
        if math.isfinite(self.patience):
            (self.then or Direct()).check(f)

    def iterate(self, f, w, rng):
        """Yield a `Step` every iteration of conjugate gradients."""
        bare, limited = self.preconditioner is None, math.isfinite(self.patience)
        point = f.expand(w, diagonal=not bare)
        inverse, passes = curvature_inverse(self.preconditioner, point, rng)
        passes += 1
        least = 0.0
        if bare and limited:
            least, passes = smallest_eigenvalue(f), passes + 1
        cautious = least == 0 and may_be_poor(self.preconditioner, f)
        options = {"cautious": cautious, "least": least}
        smallest, left = smallest_at_most(self.preconditioner), self.patience
        while True:
            first = None
            start = point.product, -point.gradient, inverse
            for it in pcg(*start, smallest=smallest, **options):
                passes += 1
                if first is None:
                    first = it.decrease + it.gap
                    forecast = Forecast(first)
                w, value = point.w + it.x, point.value - it.decrease
                measured = partial(_measured, f, w, inverse, it.smallest)
                lost = value <= CANCELLED * point.value
                yield Step(
                    w,
                    None if lost else value,
                    None,
                    it.gap,
                    True,
                    passes,
                    1.0,
                    1,
                    measured if lossy(f) else None,
                )
                forecast.add(it.gap)
                slow = it.iteration >= self.early and (
                    forecast.total(value / 10**DECADES) > self.patience
                )
                left = 0 if slow else left - 1
                if it.gap <= RESTART * first or lost or left <= 0:
                    break
            before, smallest = point.value, it.smallest
            point, passes = f.expand(point.w + it.x), passes + 1
            if left <= 0 or not point.value < before:
                break
        if limited:
            other = self.then or Direct()
            for step in islice(other.iterate(f, point.w, rng), other.default_max_iter):
                step.passes += passes
                yield step


def smallest_eigenvalue(f):
    r"""Bound the smallest eigenvalue of H from below by that of the penalty, c.

    With an intercept, S the sum of the weights and m the weighted means of the columns,
    H is no less than :math:`\Lambda + S [m, 1] [m, 1]^T`, so that its smallest
    eigenvalue is no less than :math:`c \, S / (c + S |m|^2 + S)`. Zero where some
    coefficient has no penalty.
    """
    p = f.design.rows.shape[1]
    least = float(f.xp.min(f.penalty[:p, ...]))
    if not (f.design.intercept and least > 0):
        return least
    sums = f.design.adjoint(f.weights)  # S [m, 1]
    total = float(sums[p])
    across = float(f.xp.sum(sums[:p] ** 2)) / total
    return least * total / (least + across + total)


def _measured(f, w, inverse, smallest):
    """Estimate of the gap by the gradient that X itself gives at w."""
    g = f.expand(w).gradient
    return 0.5 * inner(g, inverse(g)) / smallest


@dataclass(repr=False, eq=False)
class NystromPCG(PCG):
    """Nystrom-preconditioned conjugate gradients for ridge regression.

    As `PCG`, with the randomised Nystrom approximation of the whole Hessian as its
    preconditioner; the rank doubles while that pays.

    Parameters
    ----------
    preconditioner : str, Preconditioner or None, default="nystrom"

    References
    ----------
    Frangella, Tropp and Udell, Randomized Nystrom preconditioning, SIAM J. Matrix Anal.
    Appl. 44 (2023), section 5.
    """

    preconditioner: Any = "nystrom"

    name = "nystrom-pcg"
    theory = Theory(
        "full",
        "full",
        True,
        "fast linear",
        "Frangella, Tropp and Udell (2023), Nystrom PCG",
    )
