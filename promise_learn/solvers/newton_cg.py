"""Newton's method with preconditioned conjugate gradients."""

import math
from dataclasses import dataclass
from typing import Any

from ..linalg.cg import pcg
from ._kept import KeptInverse
from .base import Solver, Step
from .growing import from_samples
from .line_search import advance
from .newton import confirmation
from .sketch import may_be_poor, smallest_at_most
from .theory import Theory

TINY = 1e-300
TRUSTED = 0.1
FAR = 1e-3
PRODUCTIVE = 0.9
SURE = 5.0  # times the first estimate of a system; true decrements reached 4.1 times
SLOWER = 0.3  # share of the expected decrement that an inexact step may add to it


@dataclass(repr=False, eq=False)
class NewtonCG(Solver):
    """Inexact Newton; its linear systems by preconditioned conjugate gradients.

    While the decrement is large, CG stops where an iteration gains less than half of
    what the average one did, half as much again after every step that lowers F by less
    than a tenth, or where the quadratic model promises more than all of F; later the
    forcing term asks for no more accuracy than the step can use, and for enough to
    trust the decrement. After a full step that was accurate, with one target and the
    same preconditioner, the fit ends at the first iteration that estimates the gap far
    below what is asked for. The preconditioner serves until it costs CG more iterations
    than a new one would, and then for one that may end the fit; a step is cut short at
    twice that. Where curvature jumps or has no bound, or rows are few, CG's estimates
    are read with caution. The first steps are taken on growing samples of the rows.

    Parameters
    ----------
    preconditioner : str, Preconditioner or None, default="auto"
        "auto" is the Cholesky factor of the Hessian of a row sample, of every class
        where these are small, and of a larger sample where one proves slow; else, for
        sparse X, the rows of large leverage and the diagonal of the others, and where
        rows have like norms none until a step asks for 20 CG iterations; for dense X
        "nystrom": the Nystrom approximation of the whole Hessian, of adaptive rank, on
        equilibrated columns.
    max_cg : int, default=500
        CG iterations a Newton step (our choice).

    References
    ----------
    Nocedal and Wright, Numerical Optimization (2006), algorithm 7.1; Frangella, Tropp
    and Udell, Randomized Nystrom preconditioning (2023), section 5; PROMISE
    (Frangella et al., 2024), section 3, for the preconditioners; Nash and Sofer,
    Assessing a search direction within a truncated-Newton method (1990), for the rule
    of early steps.
    """

    preconditioner: Any = "auto"
    max_cg: int = 500

    name = "newton-cg"
    theory = Theory(
        "full",
        "full",
        True,
        "superlinear",
        "Nocedal and Wright (2006), algorithm 7.1",
    )
    default_max_iter = 200
    yields_start = True
    uses_preconditioner = True

    def iterate(self, f, w, rng):
        """Yield a `Step` before every Newton step, and what is known earlier of it."""

        def finished(sample, point):
            steps = self._steps(sample, point, rng)
            return (step for step in steps if not step.provisional)

        start, passes = from_samples(f, w, rng, finished)
        for step in self._steps(f, start, rng):
            step.passes += passes
            yield step

    def _steps(self, f, point, rng):
        unsteady = f.loss.piecewise or math.isinf(f.loss.max_curvature)
        broad = f.n_rows < 2 * f.dim  # curvature may be that of the penalty alone
        cautious = unsteady or broad or may_be_poor(self.preconditioner, f)
        kept = KeptInverse(self.preconditioner, f, self.max_cg, rng)
        passes, t = 1.0, 1.0
        relative, ratio, slack, last = math.inf, 1.0, 0.5, math.inf
        known = math.isfinite(smallest_at_most(self.preconditioner))
        steady = known and not unsteady and f.n_columns == 1
        accurate = False
        while point is not None:
            early = steady and accurate and t == 1.0
            if early and kept.stale:
                it = next(_system(point, kept, cautious))
                passes += 1
                yield _provisional(point, it, SURE, passes, t, kept.count, relative)
            cost = kept.renewed(point)
            passes += cost
            early = early and not cost
            forcing = min(TRUSTED, max(relative**0.5, SLOWER * ratio**2))
            gained, offered = 0.0, False
            if point.value > PRODUCTIVE * last:
                slack *= 0.5
            last = point.value
            for it in _system(point, kept, cautious):
                accurate = it.gap <= forcing * max(it.decrease, TINY)
                far = not f.quadratic and it.decrease > FAR * abs(point.value)
                slow = it.iteration * (it.decrease - gained) <= slack * it.decrease
                wild = far and it.decrease > abs(point.value)
                if accurate or (far and slow) or wild or it.iteration >= kept.patience:
                    break
                settled = it.gap <= TRUSTED * it.decrease
                if early or (settled and not offered):
                    so_far, offered = passes + it.iteration, settled
                    doubt = 1.0 if settled else SURE
                    yield _provisional(
                        point, it, doubt, so_far, t, kept.count, relative
                    )
                gained = it.decrease
            passes += it.iteration
            yield _step(point, it, accurate, passes, t, kept.count, relative)
            kept.judge(it, accurate)
            decrement = (it.decrease + it.gap) / max(abs(point.value), TINY)
            ratio, relative = min(decrement / max(relative, TINY), 1.0), decrement
            point, t = advance(f, point, it.x)
            passes += 1


def _system(point, kept, cautious):
    """Start CG on the Newton system at a point."""
    f = point.objective
    return pcg(
        point.product,
        -point.gradient,
        kept.apply,
        coupled=f.coupled,
        cautious=cautious,
        flexible=f.coupled and not f.design.rows.stored,
        smallest=kept.smallest,
    )


def _provisional(point, it, doubt, *state):
    step = _step(point, it, True, *state)
    step.provisional, step.doubt = True, doubt
    return step


def _step(point, it, reliable, passes, t, refreshes, previous):
    gap = it.decrease + it.gap
    confirm = confirmation(point, it.x, gap, previous * abs(point.value), t)
    step = Step(point.w, point.value, point.gradient, gap, reliable, passes, t)
    step.refreshes, step.confirm = refreshes, confirm
    return step
