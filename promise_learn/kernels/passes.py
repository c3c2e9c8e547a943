"""Compiled passes over contiguous rows of X: one read of X a pass.

A pass walks over its rows in blocks that stay in cache: margins of the block, pointwise
loss, then the block's share of the adjoint product. X is a C- or F-ordered array or a
`Sparse` tuple; ``block_dot`` and ``block_adjoint`` have one body for each. Vectors are
float64 whatever the type of X, so float32 data lose no accuracy in the sums.

Imported only inside functions: importing this module imports Numba.
"""

import math
from collections import namedtuple

import numpy as np
from numba import types
from numba.extending import overload

from ._jit import jit

SQUARED, LOGISTIC = 0, 1
BLOCK = 256

Sparse = namedtuple("Sparse", "indptr indices values")


def block_dot(X, lo, hi, u, offset, eta):
    """eta[:hi - lo] = X[lo:hi] u + offset."""
    raise TypeError("compiled code only")


def block_adjoint(X, lo, hi, r, g):
    """Add X[lo:hi]' r[:hi - lo] to g."""
    raise TypeError("compiled code only")


def block_squares(X, lo, hi, r, shift, g):
    """Add (Z * Z)' r[:hi - lo] to g, Z = X[lo:hi] - shift; CSR rows are not shifted."""
    raise TypeError("compiled code only")


def _dot_rows(X, lo, hi, u, offset, eta):
    for i in range(lo, hi):
        total = 0.0
        for j in range(X.shape[1]):
            total += X[i, j] * u[j]
        eta[i - lo] = total + offset


def _dot_columns(X, lo, hi, u, offset, eta):
    eta[: hi - lo] = offset
    for j in range(X.shape[1]):
        for i in range(lo, hi):
            eta[i - lo] += X[i, j] * u[j]


def _dot_sparse(X, lo, hi, u, offset, eta):
    for i in range(lo, hi):
        total = 0.0
        for k in range(X.indptr[i], X.indptr[i + 1]):
            total += X.values[k] * u[X.indices[k]]
        eta[i - lo] = total + offset


def _adjoint_rows(X, lo, hi, r, g):
    for i in range(lo, hi):
        scale = r[i - lo]
        for j in range(X.shape[1]):
            g[j] += scale * X[i, j]


def _adjoint_columns(X, lo, hi, r, g):
    for j in range(X.shape[1]):
        total = 0.0
        for i in range(lo, hi):
            total += r[i - lo] * X[i, j]
        g[j] += total


def _adjoint_sparse(X, lo, hi, r, g):
    for i in range(lo, hi):
        scale = r[i - lo]
        for k in range(X.indptr[i], X.indptr[i + 1]):
            g[X.indices[k]] += scale * X.values[k]


def _squares_rows(X, lo, hi, r, shift, g):
    for i in range(lo, hi):
        for j in range(X.shape[1]):
            g[j] += r[i - lo] * (X[i, j] - shift[j]) ** 2


def _squares_columns(X, lo, hi, r, shift, g):
    for j in range(X.shape[1]):
        total = 0.0
        for i in range(lo, hi):
            total += r[i - lo] * (X[i, j] - shift[j]) ** 2
        g[j] += total


def _squares_sparse(X, lo, hi, r, shift, g):
    for i in range(lo, hi):
        for k in range(X.indptr[i], X.indptr[i + 1]):
            g[X.indices[k]] += r[i - lo] * X.values[k] * X.values[k]


def _by_storage(X, sparse, rows, columns):
    if isinstance(X, types.BaseNamedTuple):
        return sparse
    return columns if X.layout == "F" else rows


@overload(block_dot)
def _(X, lo, hi, u, offset, eta):
    return _by_storage(X, _dot_sparse, _dot_rows, _dot_columns)


@overload(block_adjoint)
def _(X, lo, hi, r, g):
    return _by_storage(X, _adjoint_sparse, _adjoint_rows, _adjoint_columns)


@overload(block_squares)
def _(X, lo, hi, r, shift, g):
    return _by_storage(X, _squares_sparse, _squares_rows, _squares_columns)


# exp and log1p in plain arithmetic, so that the compiler turns the loop into vector
# instructions: exp(-a) = 2^-k exp(-f) with a = k log 2 + f and |f| <= log(2)/2, by the
# Taylor sum, to the rounding error eps (1 + a) of its argument; log(1 + e) = 2 artanh(
# e / (2 + e)) by its series, to 5e-16.
_POWERS = 2.0 ** -np.arange(1100.0)
_LOG2_HIGH, _LOG2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_EXP = tuple(1.0 / math.factorial(k) for k in range(13, -1, -1))
_ARTANH = tuple(1.0 / (2 * k + 1) for k in range(16, -1, -1))


@jit
def exp_minus(a):
    """exp(-a) for a >= 0."""
    k = np.floor(min(a, 745.0) * 1.4426950408889634 + 0.5)
    f = -((min(a, 745.0) - k * _LOG2_HIGH) - k * _LOG2_LOW)
    total = _EXP[0] * f + _EXP[1]
    for c in _EXP[2:]:
        total = total * f + c
    return total * _POWERS[int(k)]


@jit
def log1p_small(e):
    """log(1 + e) for 0 <= e <= 1."""
    s = e / (2.0 + e)
    q = s * s
    total = _ARTANH[0] * q + _ARTANH[1]
    for c in _ARTANH[2:]:
        total = total * q + c
    return 2.0 * s * total


@jit
def block_sum(t, size):
    """Sum of t[:size].

    In a loop of its own: a loop that also stores is compiled twice, and which of the
    two runs, and so the order of the sum, depends on where the arrays lie in memory.
    """
    total = 0.0
    for i in range(size):
        total += t[i]
    return total


@jit
def pointwise(loss, eta, y, s, r, d, value, size):
    """Weighted loss, slope and curvature of one block; returns the sum of the loss."""
    if loss == SQUARED:
        for i in range(size):
            residual = eta[i] - y[i]
            value[i] = 0.5 * s[i] * residual * residual
            r[i] = s[i] * residual
            d[i] = s[i]
    else:
        for i in range(size):
            margin = y[i] * eta[i]
            e = exp_minus(abs(margin))
            value[i] = s[i] * (log1p_small(e) + max(-margin, 0.0))
            inverse = 1.0 / (1.0 + e)
            r[i] = -y[i] * s[i] * (e * inverse if margin > 0 else inverse)
            d[i] = s[i] * e * inverse * inverse
    return block_sum(value, size)


@jit
def expand(X, lo, hi, loss, u, offset, y, s, eta, r, d, g):
    """Margins, slopes and curvatures of rows lo:hi, g += X' r; returns the loss."""
    total, value = 0.0, np.empty(BLOCK)
    for a in range(lo, hi, BLOCK):
        b = min(a + BLOCK, hi)
        block_dot(X, a, b, u, offset, eta[a:b])
        total += pointwise(loss, eta[a:b], y[a:b], s[a:b], r[a:b], d[a:b], value, b - a)
        block_adjoint(X, a, b, r[a:b], g)
    return total


@jit
def curved(X, lo, hi, d, v, offset, g):
    """Add X' t to g over rows lo:hi, t = d * (X v + offset); returns the sum of t."""
    total = 0.0
    t = np.empty(BLOCK)
    for a in range(lo, hi, BLOCK):
        b = min(a + BLOCK, hi)
        block_dot(X, a, b, v, offset, t)
        for i in range(b - a):
            t[i] *= d[a + i]
        total += block_sum(t, b - a)
        block_adjoint(X, a, b, t, g)
    return total


@jit
def margins(X, lo, hi, u, offset, eta):
    """eta[lo:hi] = X[lo:hi] u + offset."""
    block_dot(X, lo, hi, u, offset, eta[lo:hi])
    return 0.0


@jit
def adjoint(X, lo, hi, r, g):
    """Add X[lo:hi]' r[lo:hi] to g."""
    for a in range(lo, hi, BLOCK):
        b = min(a + BLOCK, hi)
        block_adjoint(X, a, b, r[a:b], g)
    return 0.0


@jit
def squares(X, lo, hi, d, shift, g):
    """Add (Z * Z)' d to g over rows lo:hi, Z = X - shift; CSR rows are not shifted."""
    block_squares(X, lo, hi, d[lo:hi], shift, g)
    return 0.0


@jit
def loss_sum(loss, lo, hi, eta, y, s):
    """Weighted sum of the loss over rows lo:hi."""
    r, d, value = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    total = 0.0
    for a in range(lo, hi, BLOCK):
        b = min(a + BLOCK, hi)
        total += pointwise(loss, eta[a:b], y[a:b], s[a:b], r, d, value, b - a)
    return total


@jit
def slope_sum(loss, lo, hi, eta, change, t, y, s):
    """Differentiate in t the weighted loss at margins eta + t * change, rows lo:hi."""
    total = 0.0
    if loss == SQUARED:
        for i in range(lo, hi):
            total += s[i] * (eta[i] + t * change[i] - y[i]) * change[i]
    else:
        for i in range(lo, hi):
            margin = y[i] * (eta[i] + t * change[i])
            e = exp_minus(abs(margin))
            share = (e if margin > 0 else 1.0) / (1.0 + e)
            total -= s[i] * y[i] * share * change[i]
    return total
