"""Conjugate gradients on the dual of ridge regression."""

import math
from dataclasses import dataclass
from typing import Any

from ._costs import DECADES, Forecast
from ._dual import Dual, iterations
from .base import Solver
from .pcg import PCG
from .theory import Theory

EARLY = 10


@dataclass(repr=False, eq=False)
class DualCG(Solver):
    r"""Conjugate gradients in n unknowns, without a preconditioner.

    With :math:`A = (I - u u^T) D^{1/2} X`, u the unit vector of the roots of the
    weights where there is an intercept and else zero,

    .. math:: (A A^T + \lambda I) \, \eta = (I - u u^T) D^{1/2} y,
              \quad w = A^T \eta,

    and half the squared residual is no less than F(w) - F*: CG ends as soon as that is
    small, without an estimate of eigenvalues. That suits normalised text, of about as
    many rows as columns or fewer.

    Parameters
    ----------
    limit : float, default=inf
        Iterations that seven decades may take, by the rate so far; another solver takes
        over where they would take more.
    then : Solver or None, default=None
        The one that does, also where rounding stops this one; `PCG` where None.
    early : float, default=10
        Iterations before which the rate is not looked at: the first ones may spend
        themselves on a few large eigenvalues.

    Raises
    ------
    ValueError
        If the loss is not the squared error, coefficients have no common positive
        penalty, limit or early is not positive, or then is no solver for the problem.

    References
    ----------
    Saunders, Gammerman and Vovk, Ridge regression learning algorithm in dual variables
    (1998), section 2; the bound is the gap between F(w) and the dual objective at eta.
    """

    limit: float = math.inf
    then: Any = None
    early: float = EARLY

    name = "dual-cg"
    theory = Theory(
        "full",
        "full",
        True,
        "linear",
        "Saunders, Gammerman and Vovk (1998), section 2",
    )
    default_max_iter = 20000

    def check(self, f):
        """Accept the squared error with one positive penalty for all coefficients."""
        if not f.quadratic:
            raise ValueError(
                f"solver={self.name!r} solves squared-error problems only: use "
                "'newton-cg' or 'auto'."
            )
        if not Dual.exists(f):
            raise ValueError(
                f"solver={self.name!r} needs one positive penalty for all coefficients "
                "of a target: use 'direct', 'pcg' or 'auto', or raise alpha."
            )
        for name in ("limit", "early"):
            value = getattr(self, name)
            if not value > 0:
                raise ValueError(f"{name}={value!r}: use a positive number")
        if not isinstance(self.then, Solver | None):
            raise ValueError(f"then={self.then!r}: use a solver object or None")
        if self.then is not None:
            self.then.check(f)

    def iterate(self, f, w, rng):
        """Yield a `Step` every iteration of conjugate gradients."""
        dual, passes, limited = Dual(f), 1.0, math.isfinite(self.limit)
        for it, gap, first in iterations(dual, dual.start(w)):
            passes += 1
            yield dual.step(it, gap, passes)
            if it.iteration == 1:
                forecast = Forecast(first)
            forecast.add(gap)
            looked_at = limited and it.iteration >= self.early
            if looked_at and forecast.total(first / 10**DECADES) > self.limit:
                break
        start = min(w, dual.primal(it.x), key=f.value)
        for step in (self.then or PCG()).iterate(f, start, rng):
            step.passes += passes + 2  # for the two values
            yield step
