"""Randomised subspace Newton: Newton steps in random coordinates."""

from dataclasses import dataclass

import numpy as np

from .._arrays import column, inner, is_sparse, take
from ..design import Design
from ..objective import Expansion, Objective
from ._subsampled import NewtonSystem
from .base import Solver, Step
from .line_search import stationary
from .theory import Theory

PATIENCE = 10  # sweeps without a decrease, after which rounding is all there is


@dataclass(repr=False, eq=False)
class SubspaceNewton(Solver):
    r"""Newton steps in random coordinates, by columns of X alone.

    With S a fresh set of coordinates,

    .. math:: d_S = -\big( X_S^T D X_S + \mathrm{diag}(penalty_S) \big)^{-1}
              \nabla_S F(w), \qquad w_S \leftarrow w_S + t d_S .

    The margins X w are kept, so an iteration reads the columns of S only. An intercept
    belongs to every S. The line search works on the margins: it stops where the
    derivative of F along d has fallen tenfold.

    Parameters
    ----------
    size : int, default=250
        Coordinates of a step; the smallest of 250, 500, 750 and 1000 that the reference
        code of SketchySGD (2023) tries.

    References
    ----------
    Gower, Kovalev, Lieder and Richtarik, "RSN: randomized subspace Newton", NeurIPS
    2019, algorithm 1.
    """

    size: int = 250

    name = "subspace-newton"
    default_max_iter = 5000
    visits_rows = True
    theory = Theory(
        "full, random coordinates",
        "full, random coordinates",
        False,
        "linear",
        "Gower et al. (2019), algorithm 1",
    )

    def iterate(self, f, w, rng):
        """Yield a `Step` after every step."""
        columns, p = _Columns(f), f.design.rows.shape[1]
        size, window = min(self.size, p), -(-p // self.size)
        eta, values = f.design.dot(w), [f.expand(w).value]
        passes, refreshes = 1.0, 0
        long = PATIENCE * window
        while len(values) <= long or values[-1 - long] > values[-1]:
            chosen = np.sort(rng.choice(p, size, replace=False, shuffle=False))
            point, spread = columns.expand(chosen, eta, w)
            system = NewtonSystem(point)
            d = -system.solve(point.gradient)
            t, change = _line_search(point, d)
            eta, w = eta + t * change, w + t * spread(d)
            passes += size / p * (2 + system.passes)
            refreshes += 1
            value = f.design.rows.loss_sum(f.loss, eta, f.y, f.weights)
            value += 0.5 * inner(f.ridge(w), w)
            values.append(value)
            gap = values[-1 - window] - value if len(values) > window else None
            yield Step(w, value, None, gap, False, passes, t, refreshes)


class _Columns:
    """Objective as a function of some coefficients, the others as they are.

    Columns are taken from X itself, or from a copy by columns that is made once of CSR.
    """

    def __init__(self, f):
        self.f, X = f, f.design.rows.X
        self.columns = X.T.tocsr() if is_sparse(X) else X.T

    def expand(self, chosen, eta, w):
        """Expansion in the chosen columns and the intercept, and how to spread d."""
        f, p = self.f, self.f.design.rows.shape[1]
        X = take(self.columns, chosen).T
        X = X.tocsr() if is_sparse(X) else X
        shift, scale = f.design.shift, f.design.scale
        shift = None if shift is None else take(shift, chosen)
        scale = None if scale is None else take(scale, chosen)
        design = Design(X, shift, scale, f.design.intercept)
        every = np.append(chosen, np.arange(p, f.dim))
        part = Objective(
            design, f.y, f.loss, f.weights, take(f.penalty, every),
            (len(every), *f.shape[1:]),
        )  # fmt: skip
        _, slopes, curvature = f.loss.evaluate(eta, f.y)
        inside = take(w, every)
        g = design.adjoint(column(f.weights, slopes) * slopes) + part.ridge(inside)
        curvature = curvature if f.coupled else f.weights * curvature
        place = np.full(f.dim, len(every))
        place[every] = np.arange(len(every))

        def spread(d):
            return take(f.xp.concat([d, 0 * d[:1, ...]]), place)

        return Expansion(part, inside, None, g, eta, curvature), spread


def _line_search(point, d):
    """Step along d, and the change of the margins that d makes."""
    f = point.objective
    change = f.design.dot(d)
    ahead = Expansion(f, point.w + d, None, None, point.eta + change, None)
    derivative = point.slope_towards(ahead)
    slope, end = inner(point.gradient, d), derivative(1.0)
    if not slope < 0 or abs(end) <= 0.1 * abs(slope):
        return float(slope < 0), change
    return stationary(derivative, slope, end), change
