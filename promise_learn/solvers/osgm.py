"""OSGM: gradient steps whose scaling is learned online."""

import math
from dataclasses import dataclass
from typing import Any

from .._arrays import inner
from ._scaling import Momentum, Scaling, smoothness, unit_of
from .base import Solver, Step
from .theory import Theory

WINDOW = 20
LARGEST_MATRIX = 2000
OPTIONS = {
    "surrogate": ("hypergradient", "ratio"),
    "scaling": ("diagonal", "scalar", "matrix"),
    "action": ("monotone", "lookahead", "vanilla"),
    "learner": ("adagrad", "ogd"),
}


@dataclass(repr=False, eq=False)
class OSGM(Solver):
    r"""Online scaled gradient method with heavy-ball momentum.

    .. math::
        w_{1/2} = w - P \nabla F(w) + \beta (w - w_{old}), \qquad
        P \leftarrow P - \eta \nabla \ell(P), \qquad
        \nabla \ell(P) = -\frac{\nabla F(w_{1/2}) \nabla F(w)^T}{c},

    the part of the outer product that the scaling P can have. P and the momentum are
    learned online, to minimise what a step leaves: with c the squared norm of the
    gradient, plus :math:`L^2 |w - w_{old}|^2 / 4` that pays for momentum, or with
    c = F(w) - F*. Where the curvature of the loss has no bound, the gradient after a
    step that raises F may be of any size: P is halved then (our choice).

    Parameters
    ----------
    surrogate : {"hypergradient", "ratio"}, default="hypergradient"
        Which c. "ratio" needs a good ``lower_bound``.
    scaling : {"diagonal", "scalar", "matrix"}, default="diagonal"
        Of P. A matrix takes dim^2 numbers.
    action : {"monotone", "lookahead", "vanilla"}, default="monotone"
        "monotone" stays at w if the step does not lower F, and learns all the same;
        "lookahead" does so, too, then adds a gradient step of length 1 / L, for a
        second evaluation, if that lowers F (it does where the curvature of the loss has
        a bound); "vanilla" takes every step, and may diverge.
    learner : {"adagrad", "ogd"}, default="adagrad"
        Rule by which P is learned: AdaGrad, or online gradient descent. The momentum
        has AdaGrad in any case.
    rate : float or "auto", default="auto"
        Of the learner, in units of 1 / L. "auto" is 10 for AdaGrad, one of the four
        values of the released grid; for online gradient descent the reciprocal
        smoothness of the surrogate, 1 (1 / (2 L) for "ratio").
    momentum : float, default=0.95
        First beta, as released; 0 for no momentum.
    momentum_rate : float, default=3.0
        Of its learner, one of the five values of the released grid.
    equilibrate : bool, default=True
        Work in columns that are divided by the root of the Hessian diagonal at the
        start, so that a rescaling of X changes nothing (our choice; the papers do not).
    lower_bound : float, default=0.0
        Of F, for "ratio". All losses here are at least 0.

    References
    ----------
    Gao, Chu, Ye and Udell, "Gradient methods with online scaling", 2024, for the
    surrogates and actions; Chu, Gao, Ye and Udell, "Provable and practical online
    learning rate adaptation with hypergradient descent", 2025, for the variant with
    heavy-ball momentum, AdaGrad and null steps, and its released code.
    """

    surrogate: str = "hypergradient"
    scaling: str = "diagonal"
    action: str = "monotone"
    learner: str = "adagrad"
    rate: Any = "auto"
    momentum: float = 0.95
    momentum_rate: float = 3.0
    equilibrate: bool = True
    lower_bound: float = 0.0

    name = "osgm"
    default_max_iter = 50000
    theory = Theory("full", "none", False, "superlinear", "Gao et al. (2024), OSGM")

    def check(self, f):
        """Refuse options that do not exist, and a matrix that is too large."""
        for name, known in OPTIONS.items():
            if getattr(self, name) not in known:
                names = ", ".join(repr(value) for value in known)
                raise ValueError(f"{name}={getattr(self, name)!r}: use one of {names}")
        if self.scaling == "matrix" and f.dim > LARGEST_MATRIX:
            raise ValueError(
                f"scaling='matrix' of solver='osgm' learns a {f.dim:,} x {f.dim:,} "
                "matrix: use scaling='diagonal'."
            )

    def iterate(self, f, w, rng):
        """Yield a `Step` after every iteration."""
        xp, point = f.xp, f.expand(w)
        unit = unit_of(point) if self.equilibrate else f.zeros() + 1
        L, cost = smoothness(point, unit, rng)
        scaling = Scaling(self.scaling, self.learner, self._rate(L), L, f)
        beta = Momentum(self.momentum, self.momentum_rate)
        change, values, passes = f.zeros(), [point.value], 1.0 + cost
        bounded = math.isfinite(f.loss.max_curvature)
        while True:
            g = unit * point.gradient
            move = beta.value * change - scaling.times(g)
            moved = f.expand(point.w + unit * move)
            ahead, c = unit * moved.gradient, self._denominator(point, g, change, L)
            if not c > 0:
                return
            if bounded or moved.value <= point.value:
                scaling.learn(ahead, g, c)
                beta.learn(inner(ahead, change) / c)
            else:
                scaling.halve()
            passes += 1
            if self.action != "vanilla" and not moved.value < point.value:
                moved = point
            if self.action == "lookahead":
                further = f.expand(moved.w - unit**2 * moved.gradient / L)
                moved = further if further.value < moved.value else moved
                passes += 1
            change, point = (moved.w - point.w) / unit, moved
            values.append(point.value)
            gap = values[-1 - WINDOW] - point.value if len(values) > WINDOW else None
            yield Step(
                point.w, point.value, point.gradient, gap, passes=passes,
                step_size=float(xp.max(scaling.value)),
            )  # fmt: skip

    def _rate(self, L):
        """Rate of the learner of P."""
        if self.rate != "auto":
            return self.rate / L
        if self.learner == "adagrad":
            return 10 / L
        return 1 / L if self.surrogate == "hypergradient" else 1 / (2 * L**2)

    def _denominator(self, point, g, change, L):
        """Return c, which the surrogate divides by."""
        if self.surrogate == "ratio":
            return point.value - min(self.lower_bound, point.value)
        return inner(g, g) + 0.25 * L**2 * inner(change, change)
