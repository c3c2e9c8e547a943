"""Step along a Newton direction, judged on margins that are already in memory."""

import math

from .._arrays import inner

ARMIJO = 1e-4
ROUNDING = 1e-14
NEAR = 1e-10  # slopes below this, relative to F, are too noisy to search along


def advance(f, point, d):
    """Expansion at the next iterate w + t d, and t.

    The unit step is tried first, with everything that the next iteration needs from the
    same read of X. Where the slope at its end shows that it falls well short of the
    minimum along d, or overshoots it, X w and X d serve a line search: O(n) a trial.

    Parameters
    ----------
    f : Objective
    point : Expansion
    d : array, shape of w
        Descent direction.

    Returns
    -------
    Expansion or None
        None where no step decreases F beyond rounding.
    float
        Step length.
    """
    slope = inner(point.gradient, d)
    if not slope < 0:
        return None, 0.0
    trial = f.expand(point.w + d)
    end = inner(trial.gradient, d)
    noise = ROUNDING * abs(point.value)
    decreased = trial.value <= point.value + ARMIJO * slope + noise
    settled = abs(slope) <= NEAR * abs(point.value)
    if decreased and (settled or abs(end) <= 0.5 * abs(slope)):
        return trial, 1.0
    t = stationary(point.slope_towards(trial), slope, end)
    if decreased and abs(t - 1.0) <= 0.1:
        return trial, 1.0
    trial = f.expand(point.w + t * d)
    return (trial, t) if trial.value <= point.value + noise else (None, 0.0)


def stationary(derivative, slope, end, trials=40):
    """Step t > 0 at which a convex function's derivative has fallen tenfold.

    ``slope`` < 0 is its derivative at 0, ``end`` that at 1. Regula falsi inside a
    bracket lo, hi, kept off its ends; where one end stays it counts half (the Illinois
    rule), since the minimum may be far nearer to it than a straight line says. A step
    with a positive derivative counts only if convexity proves a decrease:
    f(t) <= f(0) + f'(lo) lo + f'(t) (t - lo).
    """
    lo, hi, below, above = 0.0, 1.0, slope, end
    while above < 0 and trials:
        lo, hi, below = hi, 2 * hi, above
        above, trials = derivative(hi), trials - 1
    enough = 0.1 * abs(slope)
    left, right, moved = below, above, 0.0
    while trials:
        if -below <= enough:
            return lo
        if above <= enough and below * lo + above * (hi - lo) < 0:
            return hi
        share = -left / (right - left) if math.isfinite(right) else 0.1
        t = lo + min(max(share, 0.1), 0.9) * (hi - lo)
        value, trials = derivative(t), trials - 1
        if value < 0:
            right *= 0.5 if moved < 0 else 1.0
            lo, below, left = t, value, value
        else:
            left *= 0.5 if moved > 0 else 1.0
            hi, above, right = t, value, value
        moved = value
    return lo if lo > 0 else hi
