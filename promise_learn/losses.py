"""Pointwise losses of a margin eta = x.w + b.

A loss knows neither X nor the weights. ``value``, ``slope`` and ``curvature`` act on
whole arrays of any namespace; compiled kernels carry the same formulas under ``code``.
"""

from ._arrays import column, device, namespace


class Loss:
    """Base of all losses.

    Attributes
    ----------
    code : int
        Number by which compiled kernels know the loss; -1 for a loss that they do not
        know, which runs as array operations.
    max_curvature : float
        Upper bound of the second derivative in eta.
    """

    code: int = -1
    max_curvature: float

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


LOSSES = {
    "squared_error": SquaredError,
    "logistic": Logistic,
    "multinomial": Multinomial,
}
"""Every loss by name."""
