"""The dual of ridge regression, in one unknown a row."""

from .._arrays import column, inner
from .row_space import alike


class Dual:
    r"""Dual of ridge regression: (A A' + penalty I) x = b, and w = A' x.

    A is :math:`D^{1/2} X` and b :math:`D^{1/2} y`, with weights D; where there is an
    intercept, less their components along the roots of the weights. For the residual r
    of x the gradient of F at w is -A'r, and F(w) - F* is at most r'r / 2, which is the
    gap between F(w) and the dual objective, x'(b + r) penalty / 2.

    Parameters
    ----------
    f : Objective
        Of the squared error, with one penalty for all coefficients of a target.
    """

    @staticmethod
    def exists(f):
        """Whether targets have one positive penalty each, and none of the intercept."""
        penalty, p = f.penalty, f.design.rows.shape[1]
        positive = f.xp.all(penalty[0, ...] > 0) & f.xp.all(penalty[p:, ...] == 0)
        return alike(f) and bool(positive)

    def __init__(self, f):
        self._f, self._root = f, f.xp.sqrt(f.weights)
        self._total = float(f.xp.sum(f.weights))
        self._penalty = f.penalty[0, ...]
        self.target = self._rooted(f.y)

    def _centred(self, t):
        """Part across the roots of the weights, where there is an intercept."""
        if not self._f.design.intercept:
            return t
        return t - column(self._root, t) * (self._root @ t / self._total)

    def _rooted(self, t):
        return self._centred(column(self._root, t) * t)

    def _lifted(self, x):
        """A'x, where x is centred."""
        return self._f.design.adjoint(column(self._root, x) * x)

    def product(self, x):
        """Return (A A' + penalty I) x."""
        return self._rooted(self._f.design.dot(self._lifted(x))) + self._penalty * x

    def start(self, w):
        """Multiple, of least dual objective, of what is x at the minimum; None at 0."""
        f = self._f
        if not bool(f.xp.any(w != 0)):
            return None
        x = self._rooted(f.y - f.design.dot(w))
        curvature = f.xp.sum(x * self.product(x), axis=0)
        positive = curvature > 0
        slope = f.xp.sum(x * self.target, axis=0)
        return x * f.xp.where(positive, slope / f.xp.where(positive, curvature, 1.0), 0)

    def primal(self, x):
        """Coefficients w = A'x, and the best intercept for them."""
        f, w = self._f, self._lifted(x)
        if not f.design.intercept:
            return w
        error = f.y - f.design.dot(w)
        mean = f.xp.sum(column(f.weights, error) * error, axis=0) / self._total
        return f.xp.concat([w[:-1, ...], w[-1:, ...] + mean], axis=0)

    def value(self, x, residual, gap):
        """F at the primal point of an x with this residual and gap."""
        dual = 0.5 * inner(self._penalty * x, self.target + residual)
        return dual + gap

    def gap(self, x):
        """Bound of F - F* by the residual that X itself gives at x."""
        residual = self.target - self.product(x)
        return 0.5 * inner(residual, residual)
