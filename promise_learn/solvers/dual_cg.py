"""Conjugate gradients on the dual of ridge regression."""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..linalg.cg import pcg
from ._dual import Dual
from .base import Solver, Step
from .pcg import PCG, RESTART
from .sketch import DECADES
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
        Iterations that seven decades may take, by the rate of the iterations so far,
        before another solver takes over.
    then : Solver or None, default=None
        The one that does; `PCG` where None.

    Raises
    ------
    ValueError
        If the loss is not the squared error, coefficients have no common positive
        penalty, or limit is not positive.

    References
    ----------
    Saunders, Gammerman and Vovk, Ridge regression learning algorithm in dual variables
    (1998), section 2; the bound is the duality gap at w and at the x that w implies.
    """

    limit: float = math.inf
    then: Any = None

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
        if not self.limit > 0:
            raise ValueError(f"limit={self.limit!r}: use a positive number")
        if self.then is not None:
            self.then.check(f)

    def iterate(self, f, w, rng):
        """Yield a `Step` every iteration of conjugate gradients."""
        dual, passes, least, slow = Dual(f), 2.0, math.inf, False
        x = dual.start(w)
        while not slow:
            first = None
            for it in pcg(dual.product, dual.target, _same, x, bound=dual.gap):
                x, passes, first = it.x, passes + 1, first or it.gap
                w, value = partial(dual.primal, x), dual.value(x, it.residual)
                yield Step(w, value, None, it.gap, True, passes, 1.0)
                slow = self._too_slow(it, first)
                if slow or it.gap <= RESTART * first:
                    break
            if not it.gap < least:
                return
            least = it.gap
        for step in (self.then or PCG()).iterate(f, w(), rng):
            step.passes += passes
            yield step

    def _too_slow(self, it, first):
        decades = math.log10(first / it.gap) if 0 < it.gap < first else 0.0
        return it.iteration >= EARLY and it.iteration * DECADES > self.limit * decades


def _same(v):
    return v
