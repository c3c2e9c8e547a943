"""Pointwise losses of a margin eta = x.w + b.

A loss knows neither X nor the weights. ``value``, ``slope`` and ``curvature`` act on
whole arrays of any namespace; compiled kernels carry the same formulas under ``code``.
"""

import math

from . import kernels
from ._arrays import column, device, namespace, sum_rows


class Loss:
    """Base of all losses.

    Attributes
    ----------
    code : int
        Number by which compiled epochs know the loss; -1 for a loss that compiled code
        does not know, which runs as array operations.
    parameter : float
        What the formulas depend on besides, 0 where there is nothing.
    max_curvature : float
        Upper bound of the second derivative in eta; infinite where there is none.
    piecewise : bool
        Whether the second derivative jumps.
    """

    code: int = -1
    parameter: float = 0.0
    max_curvature: float
    piecewise: bool = False

    @property
    def compiled(self):
        """Its parameter, in the type by which compiled passes know the loss."""
        return kernels.pointwise.LOSSES[self.code](float(self.parameter))

    def value(self, eta, y):
        """Loss of each row, shape (n,) (or (n, K): one loss a target)."""
        raise NotImplementedError

    def slope(self, eta, y):
        """First derivative in eta, the shape of eta."""
        raise NotImplementedError

    def curvature(self, eta, y):
        """Second derivative in eta, in the form that `curvature_product` takes."""
        raise NotImplementedError

    def evaluate(self, eta, y):
        """Value, slope and curvature at once."""
        return self.value(eta, y), self.slope(eta, y), self.curvature(eta, y)

    def curvature_product(self, curvature, t):
        """Second derivative applied to a change t of the margins; t may be a block."""
        return column(curvature, t) * t

    def curvature_bound(self, curvature):
        """Scalar per row, shape (n,), that bounds the row's curvature from above."""
        return curvature

    def centred(self, y, weights):
        """Targets and weights whose loss at eta is the given ones' at eta + shift.

        The shift, returned last, is about the best constant margin: eta = 0 is a good
        start then. It is zero where there is no simple one.
        """
        return y, weights, 0.0


class SquaredError(Loss):
    """Half the squared residual, 1/2 (eta - y)^2, for one or many targets."""

    code = 0
    max_curvature = 1.0

    def value(self, eta, y):
        """Half the squared residual."""
        return 0.5 * (eta - y) ** 2

    def slope(self, eta, y):
        """Residual eta - y."""
        return eta - y

    def curvature(self, eta, y):
        """One everywhere, shape (n,): it is the same for all targets."""
        first = eta if eta.ndim == 1 else eta[:, 0]
        return namespace(eta).ones_like(first)

    def centred(self, y, weights):
        """Targets less their mean."""
        shift = sum_rows(column(weights, y) * y)
        return y - shift, weights, shift


class Logistic(Loss):
    """Logistic loss log(1 + exp(-y eta)) for labels y in {-1, +1}."""

    code = 1
    max_curvature = 0.25

    def value(self, eta, y):
        """log(1 + exp(-y eta)), without overflow at any margin."""
        xp = namespace(eta)
        margin = y * eta
        return xp.log1p(xp.exp(-xp.abs(margin))) + (xp.abs(margin) - margin) / 2

    def slope(self, eta, y):
        """-y / (1 + exp(y eta))."""
        xp = namespace(eta)
        margin = y * eta
        e = xp.exp(-xp.abs(margin))
        return -y * xp.where(margin > 0, e, xp.ones_like(e)) / (1 + e)

    def curvature(self, eta, y):
        """exp(-|eta|) / (1 + exp(-|eta|))^2."""
        xp = namespace(eta)
        e = xp.exp(-xp.abs(eta))
        return e / (1 + e) ** 2


class Multinomial(Loss):
    """Cross entropy of the softmax of K margins; y holds class codes 0..K-1.

    The curvature of a row is diag(p) - p p' with p the K probabilities.
    """

    code = 2
    max_curvature = 0.5

    def _exponentials(self, eta):
        """Margins less the largest of their row, their exponentials and row sums."""
        xp = namespace(eta)
        below = eta - xp.max(eta, axis=1, keepdims=True)
        exponentials = xp.exp(below)
        return below, exponentials, xp.sum(exponentials, axis=1, keepdims=True)

    def _one_hot(self, eta, y):
        """One-hot coding of y, the dtype and shape of eta."""
        xp = namespace(eta)
        codes = xp.arange(eta.shape[1], dtype=y.dtype, device=device(eta))
        return xp.astype(y[:, None] == codes[None, :], eta.dtype)

    def value(self, eta, y):
        """Log of the summed exponentials less the margin of the true class."""
        xp = namespace(eta)
        below, _, total = self._exponentials(eta)
        return xp.log(total)[:, 0] - xp.sum(below * self._one_hot(eta, y), axis=1)

    def slope(self, eta, y):
        """Probabilities less the one-hot labels."""
        return self.curvature(eta, y) - self._one_hot(eta, y)

    def evaluate(self, eta, y):
        """Value, slope and curvature from one set of exponentials."""
        xp = namespace(eta)
        below, exponentials, total = self._exponentials(eta)
        one_hot = self._one_hot(eta, y)
        probabilities = exponentials / total
        value = xp.log(total)[:, 0] - xp.sum(below * one_hot, axis=1)
        return value, probabilities - one_hot, probabilities

    def curvature(self, eta, y):
        """Probabilities, shape (n, K)."""
        _, exponentials, total = self._exponentials(eta)
        return exponentials / total

    def curvature_product(self, curvature, t):
        """(diag(p) - p p') t, row by row."""
        xp = namespace(t)
        scaled = curvature * t
        return scaled - curvature * xp.sum(scaled, axis=1, keepdims=True)

    def curvature_bound(self, curvature):
        """2 max_k p_k (1 - p_k), at least the largest eigenvalue of diag(p) - p p'."""
        xp = namespace(curvature)
        return 2 * xp.max(curvature * (1 - curvature), axis=1)


class SquaredHinge(Loss):
    """Half the squared hinge, 1/2 max(0, 1 - y eta)^2, for labels y in {-1, +1}."""

    code = 3
    max_curvature = 1.0
    piecewise = True

    def _shortfall(self, eta, y):
        """Part of the margin y eta that is missing to 1."""
        short = 1 - y * eta
        return namespace(eta).where(short <= 0, 0.0, short)

    def value(self, eta, y):
        """Half the square of max(0, 1 - y eta)."""
        return 0.5 * self._shortfall(eta, y) ** 2

    def slope(self, eta, y):
        """-y max(0, 1 - y eta)."""
        return -y * self._shortfall(eta, y)

    def curvature(self, eta, y):
        """One where y eta < 1, else zero."""
        return namespace(eta).astype(y * eta < 1, eta.dtype)


class Huber(Loss):
    """Huber loss of the residual r = eta - y: r^2 / 2, linear where abs(r) > delta.

    Parameters
    ----------
    delta : float, default=1.35
        Threshold in the units of y, positive.

    References
    ----------
    Huber, "Robust estimation of a location parameter", 1964.
    """

    code = 4
    max_curvature = 1.0
    piecewise = True

    def __init__(self, delta=1.35):
        self.parameter = delta

    def value(self, eta, y):
        """r^2 / 2 within the threshold, delta (abs(r) - delta / 2) beyond."""
        slope = self.slope(eta, y)
        return slope * (eta - y - 0.5 * slope)

    def slope(self, eta, y):
        """Residual eta - y, cut off at -delta and delta."""
        return namespace(eta).clip(eta - y, -self.parameter, self.parameter)

    def curvature(self, eta, y):
        """One within the threshold, zero beyond."""
        xp = namespace(eta)
        return xp.astype(xp.abs(eta - y) <= self.parameter, eta.dtype)

    def centred(self, y, weights):
        """Targets less their weighted median."""
        xp = namespace(y)
        order = xp.argsort(y)
        below = xp.cumulative_sum(xp.take(weights, order))
        upper = xp.where(below >= 0.5 * below[-1], xp.take(y, order), math.inf)
        shift = xp.min(upper)
        return y - shift, weights, shift


class Poisson(Loss):
    """Half the Poisson deviance of the mean exp(eta), for targets y >= 0.

    e^eta - y eta + y log y - y: never negative, zero at eta = log y. Beyond half the
    logarithm of the largest number of its type, where e^eta is cut off, it is linear.
    """

    code = 5
    max_curvature = math.inf

    def _split(self, eta):
        """Argument of the exponential, and the part of eta beyond the largest one."""
        xp = namespace(eta)
        top = 0.5 * math.log(float(xp.finfo(eta.dtype).max))
        beyond = xp.where(eta > top, eta - top, 0.0)
        return xp.where(eta > top, top, eta), beyond

    def value(self, eta, y):
        """Half the deviance, without cancellation where exp(eta) is near y."""
        xp = namespace(eta)
        margin, beyond = self._split(eta)
        residual, known = xp.exp(margin) - y, y > 0
        z = xp.where(known, margin - xp.log(xp.where(known, y, 1.0)), 0.0)
        near = known & (z < 1)
        excess = xp.where(near, y * xp.expm1(xp.where(near, z, 0.0)), residual)
        return excess - y * z + beyond * residual

    def slope(self, eta, y):
        """exp(eta) - y."""
        return self.curvature(eta, y) - y

    def curvature(self, eta, y):
        """exp(eta)."""
        return namespace(eta).exp(self._split(eta)[0])

    def centred(self, y, weights):
        """Targets relative to their mean, which multiplies the weights."""
        xp = namespace(y)
        mean = xp.sum(weights * y)
        mean = xp.where(mean > 0, mean, 1.0)
        return y / mean, weights * mean, xp.log(mean)


LOSSES = {
    "squared_error": SquaredError,
    "logistic": Logistic,
    "multinomial": Multinomial,
    "squared_hinge": SquaredHinge,
    "huber": Huber,
    "poisson": Poisson,
}
"""Every loss by name."""
