"""Start on a sample of the rows that grows: few passes are left for all of them."""

import math
from itertools import islice

import numpy as np

from .._arrays import as_numpy, take

ROWS_PER_UNKNOWN = 4
LEAST_ROWS = 1000
GROWTH = 8
STEPS = 15
WORTH = 0.1
OVERFIT, POOR = 2.0, 0.5  # times F of the sample, and times F(0)
ROWS_TO_ONE, MORE_TO_ONE = 3, 8  # of the largest sample
LARGE = 256e6  # bytes of X, of which a sample is a copy
CALLS = 3.0  # whose overhead takes as long as a step on a small X


def from_samples(f, w, rng, steps):
    """Expansion where Newton steps on growing samples of the rows end, and the passes.

    A sample of m rows knows the minimum to a relative accuracy of about dim / (2 m), so
    solving it further is wasted, and more than `STEPS` Newton steps are, too. The total
    penalty is kept (`Objective.subset`), which keeps a small sample from overfitting.
    Where classes are nearly separable and it still does, its minimum is far out, where
    rows that it lacks are badly wrong and have no curvature to tell: zero is a better
    start. A sample that lacks a class is passed over: its minimum is at infinity. There
    is none where w is not zero (a warm start knows better) or where the rows are too
    few for this to pay. A sample is at most a third of the rows. It is at most an
    eighth where X is large, since it is a copy, and where X is so small that a step on
    it takes little longer than one on a sample; classes that share a Hessian make steps
    dear on any X. Where rows are generated, one sample that can be stored is always
    cheap.

    Parameters
    ----------
    f : Objective
    w : array
        Starting point of the solver.
    rng : numpy.random.Generator
    steps : callable
        (objective, its expansion) to Newton steps on it, each a `Step`.

    Returns
    -------
    Expansion, float
    """
    passes, found, value = 0.0, w, math.inf
    for sample, accuracy in growing_samples(f, w, rng):
        point, extra = _start(sample, w, found, value)
        for step in islice(steps(sample, point), STEPS):
            if step.gap <= accuracy * abs(step.value):
                break
        found, value = step.w, step.value
        passes += (step.passes + extra) * sample.n_rows / f.n_rows
    point, extra = _start(f, w, found, value)
    return point, passes + extra


def _start(f, w, found, value):
    """Expansion where a sample ended, at F = value, or at w if that fits f badly.

    Second, the passes that it took beside the one of every start.
    """
    point = f.expand(found)
    if point.value <= max(OVERFIT * value, POOR * f.null_value):
        return point, 0.0
    return f.expand(w), 1.0


def growing_samples(f, w, rng):
    """Yield objectives of samples and the accuracy worth reaching, largest last."""
    if f.quadratic or bool(f.xp.any(w != 0)):
        return
    unknowns = f.dim * f.n_columns
    size, most = _sizes(f)
    while size <= most:
        chosen = f.sample(size, rng)
        labels = np.unique(as_numpy(take(f.y, chosen)))
        if len(labels) >= (f.n_columns if f.coupled else 2):
            yield f.subset(chosen), min(0.1 * unknowns / size, WORTH)
        size *= GROWTH


def grows(f):
    """Whether a fit of another loss than the squared error from zero takes samples."""
    size, most = _sizes(f)
    return size <= most


def _sizes(f):
    """Rows of the first sample, and the most that one may have."""
    size = max(ROWS_PER_UNKNOWN * f.dim * f.n_columns, LEAST_ROWS)
    rows = f.design.rows
    if rows.stored:
        step = rows.pass_seconds * (f.n_columns + rows.gram_cost)
        small = step < CALLS * rows.call_seconds and not f.coupled
        few = small or rows.nbytes > LARGE
        return size, f.n_rows // (MORE_TO_ONE if few else ROWS_TO_ONE)
    most = min(f.n_rows // ROWS_TO_ONE, rows.storable)
    return max(LEAST_ROWS, min(size, most)), most
