"""Newton's method with dense Hessians and Cholesky factors."""

import math
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np

from . import row_space
from ._pairs import Pairs
from .base import Solver, Step
from .growing import from_samples
from .line_search import advance
from .newton import HessianFactor, confirmation, distinct, gain_along_columns
from .newton_cg import NewtonCG
from .theory import Theory

SMALL_HESSIAN = 1e7
STALE = 4.0
RECENT = 3  # steps that tell how much less curvature there is than in the factor
DECADES = 2  # of the decrement, that a new factor gains for its cost and a pass
MEMORY = 10  # steps since the factor that update it
VANISHED = 1e-3  # of F(0), below which curvature has gone in the bulk of directions
IDLE, REPEATED = 1e-10, 3  # of F that a step gains at least, of so many one
SURE = 1e-8  # relative error of F that no further pass has to look at


@dataclass(repr=False, eq=False)
class NewtonCholesky(Solver):
    """Newton's method; a factor serves as long as its steps gain enough for their cost.

    BFGS updates it after each. The first steps are taken on growing samples of the
    rows. Where there are fewer rows than columns the same iteration runs in the row
    space, in n unknowns; and where products of the rows round small columns away, which
    it then cannot see, Newton-CG in all unknowns follows; as it does for the squared
    error where rounding ends the steps, or the factor has lost directions.

    Parameters
    ----------
    memory_limit : float, default=4e9
        Bytes that the dense Hessian and its factors, one for every different penalty,
        may take (our choice).

    Raises
    ------
    ValueError
        If the Hessian needs more memory than that.

    References
    ----------
    Boyd and Vandenberghe, Convex Optimization (2004), algorithm 9.5; for the updates
    Nocedal and Wright, Numerical Optimization (2006), algorithm 7.4.
    """

    memory_limit: float = 4e9

    name = "newton-cholesky"
    theory = Theory(
        "full",
        "full",
        True,
        "quadratic",
        "Boyd and Vandenberghe (2004), algorithm 9.5",
    )
    default_max_iter = 200
    yields_start = True

    def check(self, f):
        """Refuse a Hessian that does not fit."""
        order, needed = self.order(f), self.needed(f)
        if needed > self.memory_limit:
            raise ValueError(
                f"solver={self.name!r} forms a {order:,} x {order:,} matrix, "
                f"{needed / 1e9:.1f} GB with its factors: use solver='auto' or raise "
                f"memory_limit (now {self.memory_limit / 1e9:.1f} GB)."
            )

    def order(self, f):
        """Order of the matrix that is factored."""
        return (f.n_columns if f.coupled else 1) * min(f.dim, f.n_rows + 1)

    def needed(self, f):
        """Bytes of the Hessian, of what makes it, and of its factors."""
        factors = len(distinct(f.penalty)[0]) if f.per_target else 1
        return 8 * (2 + factors) * self.order(f) ** 2

    def iterate(self, f, w, rng):
        """Yield a `Step` before every Newton step."""
        if row_space.applies(f):
            yield from self._in_row_space(f, w, rng)
            return
        start, passes = from_samples(f, w, rng, newton_steps)
        for step in newton_steps(f, start):
            step.passes += passes
            w, spent = step.w, step.passes
            yield step
        if f.quadratic:
            yield from self._by_cg(f, w, spent, rng)

    def _by_cg(self, f, w, passes, rng):
        """Yield what Newton-CG adds from w, after so many passes, while it gains."""
        rng = np.random.default_rng(0) if rng is None else rng
        best, idle = math.inf, 0
        for step in NewtonCG().iterate(f, w, rng):
            step.passes += passes
            yield step
            if step.provisional:
                continue
            idle = 0 if step.value < (1 - IDLE) * best else idle + 1
            best = min(best, step.value)
            if idle > REPEATED:
                return

    def _in_row_space(self, f, w, rng, most=None):
        """Yield a `Step` before every step in n unknowns; most of them at most."""
        small, lift, project, whole = row_space.reduced(f)
        penalised = bool(f.xp.any(f.penalty[0, ...] > 0))  # else no gap can be measured
        for step in islice(self.iterate(small, project(w), rng), most):
            done = step.gap <= SURE * step.value
            step.w = w = lift(step.w)
            passes = step.passes
            step.reliable = whole or not penalised
            if not whole:
                step.value = step.gradient = None  # those of X are others
                step.confirm = partial(_gap_at_least, f, w, step.confirm)
            yield step
            if done and not whole:
                break
        if not whole:
            yield from self._by_cg(f, w, passes, rng)


def _gap_at_least(f, w, confirm):
    """Gap that `Step.confirm` gives, but no less than one column can gain at w."""
    known = 0.0 if confirm is None else confirm()
    return max(known, gain_along_columns(f.expand(w, diagonal=True)))


def newton_steps(f, point):
    """Yield a `Step` before every Newton step on the rows of f alone, from a point.

    A factor is kept while a step with it gains what a new one would gain for its cost:
    the decrement falls by 10^(`DECADES` / (1 + cost of the Hessian in passes)). BFGS
    updates of the steps since make these converge superlinearly, and cost no pass. The
    decrement by a kept factor may be short of the true one: it is multiplied by `STALE`
    and by the longest of its last steps, and a step longer than `STALE`, which has met
    as much less curvature, ends the factor. Where the curvature jumps no factor is
    kept: a new one may gain all, and an old decrement says nothing. A small Hessian
    costs a pass, as either is one call, and updates would take as long: repeated rows
    then take the same steps as weights do.
    The first step of a well-conditioned quadratic ends at the minimum, and no pass over
    X is needed to know F there. One whose factor has lost a part of the gradient in
    rounding is left to others after the start.
    """
    size = f.dim * (f.n_columns if f.coupled else 1)
    small = f.n_rows * size**2 < SMALL_HESSIAN
    enough = 10 ** (DECADES / (1 + (1.0 if small else f.design.rows.gram_cost)))
    enough = math.inf if f.loss.piecewise else enough
    memory = 0 if small or f.quadratic else MEMORY
    factor, pairs, lengths = None, Pairs(memory), [1.0]
    passes, t, refreshes, decrement = 1.0, 1.0, 0, math.inf
    while point is not None:
        previous, fresh = decrement, False
        if factor is not None:
            d = -pairs.apply(point.gradient, factor.solve)
            decrement = factor.decrement(point.gradient, -d)
        if factor is None or t > STALE or not decrement * enough <= previous:
            sees = None if point.value > VANISHED * f.null_value else False
            factor, fresh = HessianFactor(point, sees=sees), True
            refreshes += 1
            pairs, lengths = Pairs(memory), [1.0]
            passes += f.design.rows.gram_cost
            d = -factor.solve(point.gradient)
            decrement = factor.decrement(point.gradient, -d)
        gap, confirm = STALE * max(1.0, *lengths[-RECENT:]) * decrement, None
        if fresh or f.quadratic:
            gap = decrement
            confirm = confirmation(point, d, gap, previous, t)
        yield Step(
            point.w,
            point.value,
            point.gradient,
            gap,
            True,
            passes,
            t,
            refreshes,
            confirm,
        )
        if fresh and f.quadratic and factor.hides(point.gradient):
            return
        if fresh and f.quadratic:
            value = point.value - decrement  # exact, but for rounding
            error, left = factor.rounding(d, max(point.value, f.null_value))
            if error <= SURE * value:
                yield Step(point.w + d, value, None, left, True, passes, t, refreshes)
        before = point
        point, t = advance(f, point, d)
        lengths.append(t)
        if memory and point is not None:
            pairs.add(point.w - before.w, point.gradient - before.gradient)
        passes += 1
