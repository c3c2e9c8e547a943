"""Start on a sample of the rows that grows: few passes are left for all of them."""

import numpy as np

from .._arrays import as_numpy, take

ROWS_PER_UNKNOWN = 4
LEAST_ROWS = 1000
GROWTH = 8
STEPS = 15
WORTH = 0.1
LARGE = 256e6  # bytes of X


def growing_samples(f, w, rng):
    """Yield (objective of a row sample, accuracy worth reaching on it), largest last.

    A sample of m rows knows the minimum to a relative accuracy of about dim / (2 m), so
    solving it further is wasted, and more than `STEPS` Newton steps are, too. The total
    penalty is kept (`Objective.subset`), which keeps a small sample from overfitting. A
    sample that lacks a class is passed over: its minimum is at infinity. Nothing is
    yielded where w is not zero (a warm start knows better) or where the rows are too
    few for this to pay. A sample is a copy, and at most an eighth of a large X. Where
    rows are generated, one sample that can be stored is always cheap.

    Parameters
    ----------
    f : Objective
    w : array
        Starting point of the solver.
    rng : numpy.random.Generator
    """
    unknowns = f.dim * f.n_columns
    size = max(ROWS_PER_UNKNOWN * unknowns, LEAST_ROWS)
    if f.quadratic or bool(f.xp.any(w != 0)):
        return
    rows = f.design.rows
    most = f.n_rows // (8 if rows.stored and rows.nbytes > LARGE else 3)
    if not rows.stored:
        most = min(most, rows.storable)
        size = max(LEAST_ROWS, min(size, most))
    while size <= most:
        chosen = f.sample(size, rng)
        labels = np.unique(as_numpy(take(f.y, chosen)))
        if len(labels) >= (f.n_columns if f.coupled else 2):
            yield f.subset(chosen), min(0.1 * unknowns / size, WORTH)
        size *= GROWTH
