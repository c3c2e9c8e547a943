"""What the stochastic solvers share: hyper-parameters, and the state of one run."""

import math
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._arrays import column, is_numpy, like, put_back, take
from ..kernels.rows import compiled, epoch_order, row_view
from ..preconditioners import resolve_preconditioner
from ._refresh import Curvature, named
from .base import Solver, Step

SMALLEST_FACTOR = 1e-9
MEMORY, RISE = 5, 0.01


@dataclass(repr=False, eq=False)
class StochasticSolver(Solver):
    """Hyper-parameters that all sketchy solvers share.

    Parameters
    ----------
    preconditioner : str, Preconditioner or None, default="auto"
        "auto" is the subsampled Hessian where its rows are few or sparse, the Nystrom
        approximation otherwise; None runs the plain method.
    batch_size : int or "auto", default="auto"
        Rows of a stochastic gradient. "auto" is n / 256 between 16 and 256 (n / 64
        between 64 and 4096 on a device), and more where rows are sparse, up to n / 64.
    hessian_batch : int or "auto", default="auto"
        Rows of a Hessian estimate. "auto" is 10 sqrt(n), fewer where they would cost
        more than a pass over X, sqrt(n) beyond 2000 columns.
    rho : float or "auto", default="auto"
        Damping of the preconditioner, relative to the Hessian diagonal where columns
        are equilibrated. "auto" lowers it while the preconditioned smoothness allows.
    refresh : int, None or "auto", default="auto"
        Epochs between two preconditioners; None never builds a second one. "auto"
        builds before epochs 0, 1 and 2, then at doubling intervals. For the squared
        error, whose Hessian is constant, one is built in any case.
    preset : {"auto", "paper"}, default="auto"
        What "auto" stands for. "paper" takes the published constants: batch 256,
        floor(sqrt(n)) Hessian rows, absolute rho 1e-3 without equilibration, rank 10
        for a preconditioner given by name, a refresh every epoch.
    """

    preconditioner: Any = "auto"
    batch_size: Any = "auto"
    hessian_batch: Any = "auto"
    rho: Any = "auto"
    refresh: Any = "auto"
    preset: str = "auto"

    default_max_iter = 500
    uses_preconditioner = True
    visits_rows = True

    def check(self, f):
        """Raise ValueError where a hyper-parameter makes no sense, or rows are gone."""
        super().check(f)
        resolve_preconditioner(named(self.preconditioner, "ssn"))
        if self.preset not in ("auto", "paper"):
            raise ValueError(f"preset={self.preset!r}: use 'auto' or 'paper'")
        for name in ("batch_size", "hessian_batch", "rho", "refresh"):
            value = named(getattr(self, name), 1)
            if value is None and name == "refresh":
                continue
            if isinstance(value, str) or value is None or not value > 0:
                raise ValueError(f"{name}={value!r}: use 'auto' or a positive number")


class StochasticRun:
    """State of one run: data, curvature, and the point where the epoch starts.

    An epoch is undone if it ends above the best value seen by more than 1 %, or by more
    than the last five epochs gained: the run goes back to the best point with half the
    step (a tenth where the value is not finite). The factor of the step grows by
    1.2 after every third good epoch in a row, up to 1.

    Attributes
    ----------
    point, best : Expansion
        Start of the next epoch, and the point of least value.
    curvature : Curvature
    factor : float
        Persistent factor of the step.
    passes : float
        Over X, without those of the curvature.
    """

    def __init__(self, solver, f, w, rng):
        self.f, self.rng = f, rng
        self.point = self.best = f.expand(w)
        self.curvature = Curvature(solver, f, rng)
        self.batch_size = self.curvature.settings.batch_size
        self.records = deque([math.inf], maxlen=MEMORY)
        self.factor, self.good, self.epoch, self.passes = 1.0, 0, 0, 1.0
        self.penalty = f.ridge(f.zeros() + 1)
        self.X, self.row_bytes = _view(f.design)

    @property
    def weights(self):
        """Weight of every row relative to their mean, as a column where w is a block.

        Not kept: vectors of n are what an epoch holds most memory for.
        """
        return column(self.f.weights, self.point.w) * self.f.n_rows

    def refresh(self, anew=False):
        """Rebuild P if that is due or asked; false where no step is small enough."""
        self.curvature.update(self.point, self.epoch, anew)
        self.epoch += 1
        return self.factor > SMALLEST_FACTOR

    @property
    def smoothness(self):
        """Preconditioned smoothness, divided by the persistent factor of the step."""
        return self.curvature.smoothness / self.factor

    def step_size(self):
        """Step of SVRG and SAGA, max(1 / (2 (n mu + L)), 1 / (3 L)) (PROMISE)."""
        L, mu = self.smoothness, self.curvature.convexity
        return max(1 / (2 * (self.f.n_rows * mu + L)), 1 / (3 * L))

    def start(self):
        """Copy of the current iterate that an epoch may overwrite."""
        return self.f.xp.asarray(self.point.w, copy=True)

    def slopes(self):
        """Slope of the loss in every row, and the mean of slope times row."""
        f, point = self.f, self.point
        table = self.weights * f.loss.slope(point.eta, f.y)
        return table, point.gradient - f.ridge(point.w)

    def sweep(self, epoch, *state, table=None, resample=False, share=1.0):
        """Run an epoch; the table as the epoch left it.

        Parameters
        ----------
        epoch : function
            Called with the data, the inverse of P, ``*state``, and the table in the
            order of visits.
        *state : numbers and arrays
            Arrays are updated in place.
        table : array of shape (n,) or (n, K), optional
            One entry or row of entries for every row of X.
        resample : bool
            Draw batches with replacement instead of each once.
        share : float
            Part of the batches to visit.
        """
        f, n = self.f, self.f.n_rows
        order = epoch_order(n, self.row_bytes, self.batch_size, self.rng)
        starts = np.arange(0, n, self.batch_size)
        starts = starts[: math.ceil(share * starts.shape[0])]
        if resample:
            starts = self.rng.choice(starts, starts.shape[0])
        y, weights = take(f.y, order), take(self.weights, order)
        kept = weights if table is None else take(table, order)
        known = f.loss.code >= 0 and is_numpy(self.X.values)
        run, loss = epoch, f.loss
        if known:  # any loss by its code: a slope is little of what there is to compile
            run, loss = compiled(epoch), (loss.code, float(loss.parameter))
        data = (self.X, y, weights, loss, order, starts, self.batch_size, self.penalty)
        run(*data, self.curvature.factors, *state, kept)
        self.passes += share
        del data, y, weights
        return put_back(kept, order)

    def accept(self, w, noisy=False):
        """Move to w, unless the objective rose too much: then back to the best point.

        Parameters
        ----------
        w : array
        noisy : bool
            Whether the method is expected to rise by more than it gained before.

        Returns
        -------
        bool
            Whether the run moved.
        """
        # a copy: the next epoch writes to w
        point, best = self.f.expand(self.f.xp.asarray(w, copy=True)), self.best
        self.passes += 1
        gained = math.inf if noisy else self.records[0] - best.value
        if point.value <= best.value + min(gained, RISE * abs(best.value)):
            self.good += 1
            if self.good % 3 == 0:
                self.factor = min(1.0, 1.2 * self.factor)
            if point.value < best.value:
                self.best = point
            self.records.append(self.best.value)
            self.point = point
            return True
        self.good, self.point = 0, best
        self.factor /= 2 if math.isfinite(point.value) else 16
        self.curvature.expire()
        return False

    def report(self, step):
        """`Step` record of the current point."""
        point, curvature = self.point, self.curvature
        return Step(
            point.w,
            point.value,
            point.gradient,
            curvature.gap(point),
            passes=self.passes + curvature.passes,
            step_size=step,
            refreshes=curvature.builds,
        )


def _view(design):
    """Rows of the design as the row verbs take them, and the bytes of a row."""
    rows = design.rows
    p, dim = rows.shape[1], design.shape[1]
    shift, scale = rows.zeros((dim,)), rows.zeros((dim,)) + 1
    if design.shift is not None:
        shift[:p] = like(design.shift, shift)
    if design.scale is not None:
        scale[:p] = like(design.scale, scale)
    if design.intercept:
        shift[p:] = -1.0
    return row_view(rows.X, shift, scale), max(1, rows.nbytes // rows.shape[0])
