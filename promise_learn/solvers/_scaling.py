"""What OSGM learns: a scaling of the gradient and a momentum; and its smoothness."""

import math

from ..linalg.power import largest_eigenvalue

STEADY = 1e-12
LARGEST_MOMENTUM, LARGEST_SCALE = 0.9995, 1e10  # as released with HDM
SAFETY = 1.05  # the power method stops a few per cent below


class Scaling:
    """Scaling P of gradients, learned from the gradients before and after a step.

    Parameters
    ----------
    kind : {"diagonal", "scalar", "matrix"}
    learner : {"adagrad", "ogd"}
        AdaGrad has one accumulator an entry of P, and a single one for a matrix.
    rate : float
    L : float
        Smoothness; entries of P stay within 0 and 1e10 / L, but for a matrix.
    f : Objective

    Attributes
    ----------
    value : array
        P: the shape of w, (), or (dim, dim).
    """

    def __init__(self, kind, learner, rate, L, f):
        self._kind, self._learner, self._rate = kind, learner, rate
        self._largest, self._xp, self._past = LARGEST_SCALE / L, f.xp, 0.0
        shape = {"diagonal": f.shape, "scalar": (), "matrix": (f.dim, f.dim)}[kind]
        self.value = f.design.rows.zeros(shape)

    def times(self, g):
        """P g."""
        return self.value @ g if self._kind == "matrix" else self.value * g

    def gradient(self, ahead, g):
        """Gradient of F(w - P g) in P, where ``ahead`` is that of F at w - P g."""
        if self._kind == "diagonal":
            return -ahead * g
        if self._kind == "scalar":
            return -self._xp.sum(ahead * g)
        return -(ahead[:, None] * g[None, :] if g.ndim == 1 else ahead @ g.T)

    def learn(self, ahead, g, c):
        """Take a step of the learner along the gradient over c."""
        xp, q = self._xp, self.gradient(ahead, g) / c
        if self._learner == "adagrad":
            square = q * q
            matrix = self._kind == "matrix"
            self._past = self._past + (xp.sum(square) if matrix else square)
            q = q / (xp.sqrt(self._past) + STEADY)
        self.value = self.value - self._rate * q
        if self._kind != "matrix":
            self.value = xp.clip(self.value, 0.0, self._largest)

    def halve(self):
        """Halve P."""
        self.value = 0.5 * self.value


class Momentum:
    """Momentum beta, learned by AdaGrad within 0 and 0.9995; 0 stays 0.

    Parameters
    ----------
    value, rate : float
    """

    def __init__(self, value, rate):
        self.value, self._past = value, 0.0
        self._rate = rate if value > 0 else 0.0

    def learn(self, m):
        """Take a step along m, the derivative in beta."""
        self._past += m * m
        value = self.value - self._rate * m / (self._past**0.5 + STEADY)
        self.value = min(max(value, 0.0), LARGEST_MOMENTUM)


def unit_of(point):
    """Reciprocal root of the Hessian diagonal, the shape of w; 1 where that is 0."""
    f, xp = point.objective, point.objective.xp
    every = f.zeros() + 1
    h = point.diagonal()
    h = (h if every.ndim == 1 else h[:, None]) * every + f.ridge(every)
    return 1 / xp.sqrt(xp.where(h > 0, h, 1.0))


def smoothness(point, unit, rng):
    """Smoothness L of f where coordinates are multiplied by the units.

    Largest curvature of the loss times the largest eigenvalue of the weighted second
    moments, by at most 20 power iterations. Where the curvature of the loss has no
    bound, the Hessian is that of the point.

    Parameters
    ----------
    point : Expansion
    unit : array, shape of w
    rng : numpy.random.Generator

    Returns
    -------
    float
    int
        Passes over X.
    """
    f, products = point.objective, []
    bounded = math.isfinite(f.loss.max_curvature)
    d = f.weights * f.loss.max_curvature if bounded else point.row_curvature
    ridge = f.ridge(f.zeros() + 1)
    if unit.ndim > 1:
        unit, ridge = f.xp.max(unit, axis=1), f.xp.max(ridge, axis=1)

    def product(v):
        products.append(1)
        return unit * (f.design.curved(d, unit * v) + ridge * unit * v)

    top = largest_eigenvalue(product, f.dim, rng, unit)
    return (SAFETY * top or 1.0), len(products)
