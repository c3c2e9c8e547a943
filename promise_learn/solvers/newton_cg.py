"""Newton's method with preconditioned conjugate gradients."""

from dataclasses import dataclass
from typing import Any

from ..linalg.cg import pcg
from .base import Solver, Step
from .line_search import advance
from .sketch import curvature_inverse


@dataclass(repr=False, eq=False)
class NewtonCG(Solver):
    """Inexact Newton; the linear systems by Nystrom-preconditioned CG.

    The forcing term asks CG for the accuracy that the decrement of the step can use, so
    that early steps cost a few products and the last one converges quadratically. The
    preconditioner serves until CG needs twice the iterations it took when it was fresh.

    Parameters
    ----------
    preconditioner : str, Preconditioner or None, default="auto"
        "auto" is the Nystrom approximation of adaptive rank on equilibrated columns.
    max_cg : int, default=500
        CG iterations a Newton step.

    References
    ----------
    Nocedal and Wright, Numerical Optimization (2006), algorithm 7.1; Frangella, Tropp
    and Udell, Randomized Nystrom preconditioning (2023), algorithm 5.2.
    """

    preconditioner: Any = "auto"
    max_cg: int = 500

    name = "newton-cg"
    default_max_iter = 200
    uses_preconditioner = True

    def iterate(self, f, w, rng):
        """Yield a `Step` before every Newton step."""
        point, inverse, fresh = f.expand(w), None, 0
        passes, t, refreshes, previous = 1.0, 1.0, 0, float("inf")
        while point is not None:
            if inverse is None:
                inverse, cost = curvature_inverse(self.preconditioner, point, rng)
                passes, refreshes, fresh = passes + cost, refreshes + 1, 0
            forcing = 0.1 if previous == float("inf") else min(0.1, previous**0.5)
            for it in pcg(point.product, -point.gradient, inverse, coupled=f.coupled):
                accurate = it.gap <= forcing * max(it.decrease, 1e-300)
                if accurate or it.iteration >= self.max_cg:
                    break
            passes += it.iteration
            decrement = it.decrease + it.gap
            yield Step(
                point.w, point.value, point.gradient, decrement, True, passes, t, refreshes
            )
            previous = decrement / max(abs(point.value), 1e-300)
            fresh = fresh or it.iteration
            if it.iteration > 2 * fresh + 10 and not f.quadratic:
                inverse = None
            point, t = advance(f, point, it.x)
            passes += 1
