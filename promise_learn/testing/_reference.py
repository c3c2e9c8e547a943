"""The objective in dense float64 NumPy: what the package is compared with."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import expit, log_softmax, softmax, xlogy

from ..design import Design
from ..losses import LOSSES
from ..objective import Objective


def design_matrix(X, shift=None, scale=None, intercept=False):
    """Dense float64 matrix (X - 1 shift') diag(1/scale), with a last column of ones.

    Parameters
    ----------
    X : array (n, p) or sparse matrix
    shift, scale : array (p,), optional
    intercept : bool, default=False
    """
    Z = np.array(X.toarray() if hasattr(X, "toarray") else X, dtype=float)
    if shift is not None:
        Z = Z - shift
    if scale is not None:
        Z = Z / scale
    return np.hstack([Z, np.ones((len(Z), 1))]) if intercept else Z


def _squared(eta, y):
    """Value (n,), slope (n, K) and curvature (n, K, K) of half the squared residual."""
    curvature = np.broadcast_to(np.eye(eta.shape[1]), (*eta.shape, eta.shape[1]))
    residual = eta - y.reshape(eta.shape)
    return np.sum(residual**2, axis=1) / 2, residual, curvature


def _logistic(eta, y):
    """Value, slope and curvature of log(1 + exp(-y eta))."""
    margin = y[:, None] * eta
    value, slope = np.logaddexp(0, -margin)[:, 0], -y[:, None] * expit(-margin)
    return value, slope, (expit(margin) * expit(-margin))[:, :, None]


def _multinomial(eta, y):
    """Value, slope and curvature of the cross entropy of softmax(eta)."""
    P, code = softmax(eta, axis=1), y.astype(int)
    value = -np.take_along_axis(log_softmax(eta, axis=1), code[:, None], 1)[:, 0]
    curvature = P[:, :, None] * (np.eye(P.shape[1]) - P[:, None, :])
    return value, P - np.eye(P.shape[1])[code], curvature


def _squared_hinge(eta, y):
    """Value, slope and curvature of half the squared hinge."""
    short = np.maximum(0, 1 - y[:, None] * eta)
    curvature = (short > 0).astype(float)
    return short[:, 0] ** 2 / 2, -y[:, None] * short, curvature[:, :, None]


def _huber(eta, y, delta=1.35):
    """Value, slope and curvature of the Huber loss."""
    r = eta - y[:, None]
    far = np.abs(r) > delta
    value = np.where(far, delta * np.abs(r) - delta**2 / 2, r**2 / 2)[:, 0]
    return value, np.where(far, delta * np.sign(r), r), (~far)[:, :, None].astype(float)


def _poisson(eta, y):
    """Value, slope and curvature of half the Poisson deviance."""
    mean = np.exp(eta)
    value = mean[:, 0] - y * eta[:, 0] + xlogy(y, y) - y
    return value, mean - y[:, None], mean[:, :, None]


_TERMS = {
    "squared_error": _squared,
    "logistic": _logistic,
    "multinomial": _multinomial,
    "squared_hinge": _squared_hinge,
    "huber": _huber,
    "poisson": _poisson,
}


@dataclass
class DenseProblem:
    r"""Regularised empirical risk of a dense matrix Z.

    .. math:: F(w) = \sum_i s_i \ell(z_i \cdot w, y_i) + \tfrac12 \sum penalty \, w^2

    Parameters
    ----------
    Z : array (n, dim)
        Design with its intercept column.
    y : array (n,) or (n, K)
        As the loss takes it.
    loss : {"squared_error", "logistic", "multinomial", "squared_hinge", "huber", \
            "poisson"}
        With the default threshold of "huber".
    s : array (n,)
        Weights that sum to one.
    penalty : array (dim,) or (dim, K)
    shape : tuple
        Of w, (dim,) or (dim, K).

    Examples
    --------
    >>> import numpy as np
    >>> from promise_learn.testing import DenseProblem
    >>> Z, y, s = np.eye(2), np.array([1.0, 3.0]), np.array([0.5, 0.5])
    >>> problem = DenseProblem(Z, y, "squared_error", s, np.array([0.5, 0.5]), (2,))
    >>> problem.optimum
    array([0.5, 1.5])
    """

    Z: np.ndarray
    y: np.ndarray
    loss: str
    s: np.ndarray
    penalty: np.ndarray
    shape: tuple

    def _terms(self, w):
        eta = self.Z @ np.reshape(w, (self.Z.shape[1], -1))
        return _TERMS[self.loss](eta, self.y)

    def _penalties(self):
        """Penalty of every coordinate, in the shape of w."""
        first = self.penalty
        if first.ndim < len(self.shape):
            first = first[:, None]
        return np.broadcast_to(first, self.shape)

    def value(self, w):
        """F(w)."""
        w = np.asarray(w, dtype=float)
        return self.s @ self._terms(w)[0] + np.sum(self._penalties() * w**2) / 2

    def gradient(self, w):
        """Gradient, the shape of w."""
        slope = self.s[:, None] * self._terms(w)[1]
        return np.reshape(self.Z.T @ slope, self.shape) + self._penalties() * w

    def hessian(self, w):
        """Hessian (size, size) in the order of ``w.ravel()``."""
        curvature = self.s[:, None, None] * self._terms(w)[2]
        H = np.einsum("ij,il,ikm->jklm", self.Z, self.Z, curvature, optimize=True)
        size = int(np.prod(self.shape))
        return H.reshape(size, size) + np.diag(self._penalties().ravel())

    @cached_property
    def optimum(self):
        """Minimiser of least norm along flat directions, by damped Newton steps."""
        w, value = np.zeros(self.shape), np.inf
        while True:
            g = self.gradient(w).ravel()
            step = np.linalg.lstsq(self.hessian(w), -g, rcond=1e-15)[0]
            t = 1.0
            while (
                self.value(w + t * step.reshape(w.shape)) > self.value(w) and t > 1e-9
            ):
                t /= 2
            if not self.value(w) < value or value <= 1e-30 * self.value(0 * w):
                return w
            value, w = self.value(w), w + t * step.reshape(w.shape)

    @cached_property
    def minimum(self):
        """F at the optimum."""
        return self.value(self.optimum)

    def gap(self, w):
        """Relative suboptimality (F(w) - F*) / F(w), to about 1e-15."""
        return (self.value(w) - self.minimum) / self.value(w)

    def objective(self, X=None, **design):
        """Build the package's `Objective` of the same problem.

        Parameters
        ----------
        X : array or CSR matrix, optional
            What Z was made of by `design_matrix` with the same options; Z by default.
        **design
            ``shift``, ``scale`` and ``intercept`` of `Design`.
        """
        design = Design(self.Z if X is None else X, **design)
        loss = LOSSES[self.loss]()
        return Objective(design, self.y, loss, self.s, self.penalty, self.shape)
