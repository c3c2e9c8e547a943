"""The one loop around every solver: stopping rule, history, safeguards.

A solver is a generator of `Step` records. `minimize` drives it, decides when the
relative suboptimality is small enough, records what happened and returns the best
iterate seen.
"""

import math
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from .newton import suboptimality
from .status import Status
from .theory import Theory

MARGIN = 0.9  # the decrement may be this much short of the gap: exact to first order
NOTICEABLE = 1e-6  # no rounding error of F, even from float32 data
ROUNDING = 1e-24  # margins round to some eps, and the gap is quadratic in them


@dataclass
class Step:
    """What a solver reports after a pass (stochastic) or an iteration (batch).

    Attributes
    ----------
    w : array, or function that returns it
        Current iterate; a function where it takes a product with X.
    value, gradient : float, array or None
        Objective and gradient at w, where the solver has them.
    gap : float or None
        The solver's estimate of F(w) - F*, on the scale of F.
    reliable : bool
        Whether ``gap`` may be believed as it stands (Newton decrement of the true
        Hessian). Otherwise it is a lower estimate, and `minimize` certifies it.
    confirm : callable or None
        Asked, where a reliable gap ends the run, for another estimate: the larger one
        counts.
    passes : float
        Passes over X so far.
    step_size : float
    refreshes : int
        Preconditioners built so far.
    provisional : bool
        Known before the solver has finished its iteration: recorded only where it ends
        the run.
    doubt : float
        How many times below what is asked for the gap must be to end the run.
    """

    w: Any
    value: float | None = None
    gradient: Any = None
    gap: float | None = None
    reliable: bool = False
    passes: float = 0.0
    step_size: float = math.nan
    refreshes: int = 0
    confirm: Any = None
    provisional: bool = False
    doubt: float = 1.0


class Solver(BaseEstimator):
    """Base of all solvers: hyper-parameters only, nothing is stored while it runs.

    Attributes
    ----------
    name : str
        Name in the registry.
    default_max_iter : int
        Iterations (batch) or passes (stochastic) allowed where the user gives none.
    yields_start : bool
        Whether the first `Step` is a start, which is no iteration yet: it is recorded
        only where it ends the run.
    stochastic : bool
        Whether gradients stay random to the end. Such a solver is made for moderate
        accuracy on more rows than columns, and the common tests ask for no more.
    visits_rows : bool
        Whether it takes samples of rows or columns, which must be stored then.
    draws : bool
        Whether it draws random numbers; it is given no generator otherwise, which takes
        a twentieth of a small fit to make.
    theory : Theory
        Sample sizes, rate and source; doc/methods.md is made of it.
    """

    name: str = ""
    default_max_iter: int = 1000
    uses_preconditioner: bool = False
    yields_start: bool = False
    stochastic: bool = False
    visits_rows: bool = False
    draws: bool = True
    theory: Theory

    def check(self, f):
        """Raise ValueError where the solver cannot treat the objective f."""
        if self.visits_rows and not f.design.rows.stored:
            raise ValueError(
                f"solver={self.name!r} visits rows in random order and needs stored "
                "features: raise memory, lower n_components, or use solver='auto'."
            )

    def iterate(self, f, w, rng):
        """Yield a `Step` after every pass or iteration, starting at w."""
        raise NotImplementedError


@dataclass
class Result:
    """Outcome of `minimize`.

    Attributes
    ----------
    w : array
        Best iterate seen.
    status : Status
    n_iter : int
    n_passes : float
    gap : float
        Estimated relative suboptimality of the last iterate.
    history : dict of ndarray
        ``passes``, ``seconds``, ``objective``, ``gap`` (relative), ``step_size`` and
        ``refreshes`` after every iteration.
    """

    w: Any
    status: Status
    n_iter: int
    n_passes: float
    gap: float
    history: dict = field(default_factory=dict)


def _made(w):
    """Iterate of a step, made now where the step brings a function."""
    return w() if callable(w) else w


_COLUMNS = ("passes", "seconds", "objective", "gap", "step_size", "refreshes")


class _Run:
    """Record of one run: clock, history, best iterate."""

    def __init__(self, f, tol, callback):
        self.f, self.tol, self.callback = f, tol, callback
        self.start = time.perf_counter()
        self.rows, self.extra_passes = [], 0.0
        self.best, self.best_value = None, math.inf
        self.retry_below, self.retry_after = math.inf, 0
        self.reliable, self.last = False, None

    @property
    def floor(self):
        """Gap that is as good as none; by F(0), which the first step knows."""
        return ROUNDING * abs(self.f.null_value)

    def accept(self, step, margin=MARGIN):
        """Value and gap of the step where it brings none; whether finite, converged."""
        point, self.reliable = None, step.reliable
        if step.value is None:
            point = self.f.expand(_made(step.w))
            step.value, step.gradient = point.value, point.gradient
            self.extra_passes += 1
        value = step.value
        if value < self.best_value:
            self.best, self.best_value = step.w, value
        step.gap = math.nan if step.gap is None else step.gap
        target = max(margin / step.doubt * self.tol * abs(value), self.floor)
        if not step.reliable and math.isfinite(value) and not step.gap > target:
            step.gap = self._certify(step, point, step.gap, target)
        elif step.gap <= target and step.confirm is not None:
            step.gap = max(step.gap, step.confirm())
        known = value - self.best_value  # F* is no larger than the least value seen
        if step.gap <= target < known and known > NOTICEABLE * abs(value):
            step.gap = max(step.gap, self._above_best(step))
        return math.isfinite(value), step.gap <= target

    def _above_best(self, step):
        """Measure F at the best iterate anew: recursions may lose it in rounding."""
        self.best_value = self.f.value(_made(self.best))
        self.extra_passes += 1
        known = step.value - self.best_value
        if known < 0:
            self.best, self.best_value = step.w, step.value
        return known

    def record(self, step):
        """Append the step to the history."""
        self.last = step
        row = (
            step.passes + self.extra_passes,
            time.perf_counter() - self.start,
            step.value,
            self._relative(step),
            step.step_size,
            step.refreshes,
        )
        self.rows.append(row)
        if self.callback is not None:
            self.callback(dict(zip(_COLUMNS, row, strict=True)))

    def _relative(self, step):
        if step.gap <= self.floor:
            return 0.0
        return step.gap / abs(step.value) if step.value else math.inf

    def _certify(self, step, point, gap, target):
        """Measure the Newton decrement, unless the last measurement says: too early.

        It is measured again when the estimate has fallen in proportion, or after three
        times as many iterations as the last measurement took passes.
        """
        if not gap <= self.retry_below and len(self.rows) < self.retry_after:
            return math.nan
        if point is None:
            point = self.f.expand(_made(step.w))
            self.extra_passes += 1
        measured, passes = suboptimality(point, target)
        self.extra_passes += passes
        self.retry_after = len(self.rows) + 3 * passes
        if measured > target and math.isfinite(gap):
            self.retry_below = gap * target / measured
        return measured

    def finish(self, status):
        """Close the record of a run that its solver, or the limit, has ended.

        The gap of the best iterate is measured where only an estimate is known: it may
        have converged after all.
        """
        if self.reliable and self.rows:
            step, row = self.last, self.rows[-1]
            if row[3] <= self.tol and step.confirm is not None:
                step.gap = max(step.gap, step.confirm())
                self.rows[-1] = (*row[:3], self._relative(step), *row[4:])
            converged = self.rows[-1][3] <= self.tol
            return self.result(Status.CONVERGED if converged else status)
        last = self.rows.pop() if self.rows else (0.0, 0.0, 0.0, 0.0, math.nan, 0)
        self.retry_after, self.extra_passes = 0, last[0]
        step = Step(self.best, step_size=last[4], refreshes=last[5])
        _, converged = self.accept(step, margin=1.0)
        self.record(step)
        return self.result(Status.CONVERGED if converged else status)

    def result(self, status):
        """Sum up the rows so far."""
        columns = zip(*self.rows, strict=True) if self.rows else [()] * len(_COLUMNS)
        history = {
            name: np.array(values, dtype=int if name == "refreshes" else float)
            for name, values in zip(_COLUMNS, columns, strict=True)
        }
        last = self.rows[-1] if self.rows else (0.0, 0.0, math.nan, math.nan)
        return Result(
            _made(self.best), status, len(self.rows), last[0], last[3], history
        )


@np.errstate(over="ignore", invalid="ignore")  # the status says that a run diverged
def minimize(f, solver, w0=None, *, tol=1e-6, max_iter=None, rng=None, callback=None):
    """Minimise an objective until its relative suboptimality is at most ``tol``.

    A fit has converged when (F(w) - F*) / F(w) <= tol, with F(w) - F* estimated by the
    Newton decrement 1/2 g' H^-1 g: exact for the squared error, asymptotically exact
    for the others, and enlarged where curvature falls along the step
    (`newton.confirmation`). The rule is the same for every solver. Where F* is zero, as
    in exact interpolation, a gap below 1e-24 F(0) is as good as none.

    Parameters
    ----------
    f : Objective
    solver : Solver
    w0 : array, default=None
        Start, returned at once where it is good enough; zeros by default. With coupled
        classes the mean over them is taken off first.
    tol : float, default=1e-6
        Relative suboptimality of the objective.
    max_iter : int, default=None
        Iterations (batch solvers) or epochs (stochastic ones); None for the solver's
        own default.
    rng : numpy.random.Generator, default=None
        Source of all randomness; seeded with 0 by default.
    callback : callable, default=None
        Called with a dict of the latest history entries after every iteration.

    Returns
    -------
    Result

    Raises
    ------
    ValueError
        If the solver cannot treat this objective.
    """
    solver.check(f)
    if rng is None and solver.draws:
        rng = np.random.default_rng(0)
    limit = solver.default_max_iter if max_iter is None else max_iter
    run = _Run(f, tol, callback)
    w = f.zeros() if w0 is None else f.centred(w0)
    run.best = w
    if w0 is not None and not solver.yields_start:
        start = Step(w)
        if run.accept(start)[1]:
            run.record(start)
            return run.result(Status.CONVERGED)
    at_start = solver.yields_start
    for step in solver.iterate(f, w, rng):
        finite, converged = run.accept(step)
        if (at_start or step.provisional) and finite and not converged:
            at_start &= step.provisional
            continue
        run.record(step)
        if not finite:
            return run.result(Status.DIVERGED)
        if converged:
            run.best = step.w
            return run.result(Status.CONVERGED)
        if len(run.rows) >= limit:
            return run.finish(Status.MAX_ITER)
    return run.finish(Status.STAGNATED)
