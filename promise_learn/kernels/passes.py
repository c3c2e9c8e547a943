"""Compiled passes over contiguous rows of X: one read of X a pass.

A pass walks over its rows in blocks that stay in cache: margins of the block, pointwise
loss, then the block's share of the adjoint product. Vectors are float64 whatever the
type of X, so float32 data lose no accuracy in the sums.

Imported only inside functions: importing this module imports Numba.
"""

import math

import numpy as np

from ._jit import jit
from .blocks import BLOCK, block_adjoint, block_dot, block_rows, block_squares

SQUARED, LOGISTIC = 0, 1

# exp and log1p in plain arithmetic, and loops that touch few arrays, so that the
# compiler turns them into vector instructions: exp(-a) = 2^-k exp(-f) with a = k log 2
# + f and |f| <= log(2) / 2, by the Taylor sum, to the rounding error eps (1 + a) of its
# argument; log(1 + e) = 2 artanh(e / (2 + e)) by its series, to 5e-16.
_LARGEST = 708.0  # exp(-708) is the smallest normal number, and as good as zero
_LOG2_HIGH, _LOG2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_EXP = tuple(1.0 / math.factorial(k) for k in range(13, -1, -1))
_INTEGERS = 1.5 * 2.0**52  # added to a small integer, its low bits hold the integer
_ARTANH = tuple(1.0 / (2 * k + 1) for k in range(16, -1, -1))


@jit
def exp_minus(a, e, power, size):
    """e[:size] = exp(-|a[:size]|); overwrites power."""
    bits = power.view(np.int64)
    for i in range(size):
        least = _LARGEST if abs(a[i]) > _LARGEST else abs(a[i])
        k = np.floor(least * 1.4426950408889634 + 0.5)
        f = -((least - k * _LOG2_HIGH) - k * _LOG2_LOW)
        total = _EXP[0] * f + _EXP[1]
        for c in _EXP[2:]:
            total = total * f + c
        e[i] = total
        power[i] = _INTEGERS - k
    for i in range(size):
        bits[i] = (bits[i] + 1023) << 52  # the exponent of 2^-k
    for i in range(size):
        e[i] *= power[i]


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
def decay(margin, e, inverse, size):
    """Write exp(-|margin|) to e and 1 / (1 + e) to inverse."""
    exp_minus(margin, e, inverse, size)
    for i in range(size):
        inverse[i] = 1.0 / (1.0 + e[i])


@jit
def pointwise(loss, eta, y, s, r, d, work, size):
    """Weighted loss, slope and curvature of one block; returns the sum of the loss."""
    value, e, margin = work[0], work[1], work[2]
    if loss == SQUARED:
        for i in range(size):
            r[i] = s[i] * (eta[i] - y[i])
        for i in range(size):
            value[i] = 0.5 * r[i] * (eta[i] - y[i])
        for i in range(size):
            d[i] = s[i]
        return block_sum(value, size)
    for i in range(size):
        margin[i] = y[i] * eta[i]
    decay(margin, e, r, size)
    for i in range(size):
        value[i] = log1p_small(e[i]) - (margin[i] if margin[i] < 0 else 0.0)
    for i in range(size):
        value[i] *= s[i]
    for i in range(size):
        d[i] = s[i] * e[i] * r[i] * r[i]
    for i in range(size):
        r[i] *= e[i] if margin[i] > 0 else 1.0
    for i in range(size):
        r[i] *= -y[i] * s[i]
    return block_sum(value, size)


@jit
def expand(X, lo, hi, loss, u, offset, y, s, eta, r, d, g):
    """Margins, slopes and curvatures of rows lo:hi, g += X' r; returns the loss."""
    total, work, step = 0.0, np.empty((3, BLOCK)), block_rows(X)
    start = not np.any(u)  # of most fits: no product is needed
    for a in range(lo, hi, step):
        b = min(a + step, hi)
        if start:
            for i in range(a, b):
                eta[i] = offset
        else:
            block_dot(X, a, b, u, offset, eta[a:b])
        total += pointwise(loss, eta[a:b], y[a:b], s[a:b], r[a:b], d[a:b], work, b - a)
        block_adjoint(X, a, b, r[a:b], g)
    return total


@jit
def curved(X, lo, hi, d, v, offset, g):
    """Add X' t to g over rows lo:hi, t = d * (X v + offset); returns the sum of t."""
    total, t, step = 0.0, np.empty(BLOCK), block_rows(X)
    for a in range(lo, hi, step):
        b = min(a + step, hi)
        block_dot(X, a, b, v, offset, t)
        weight = d[a:b]
        for i in range(b - a):
            t[i] *= weight[i]
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
    r, d, work = np.empty(BLOCK), np.empty(BLOCK), np.empty((3, BLOCK))
    total = 0.0
    for a in range(lo, hi, BLOCK):
        b = min(a + BLOCK, hi)
        total += pointwise(loss, eta[a:b], y[a:b], s[a:b], r, d, work, b - a)
    return total


@jit
def block_slope(loss, eta, change, t, y, s, margin, e, share, size):
    """Differentiate in t the weighted loss of one block."""
    if loss == SQUARED:
        for i in range(size):
            share[i] = eta[i] + t * change[i] - y[i]
    else:
        for i in range(size):
            margin[i] = y[i] * (eta[i] + t * change[i])
        decay(margin, e, share, size)
        for i in range(size):
            share[i] *= e[i] if margin[i] > 0 else 1.0
        for i in range(size):
            share[i] *= -y[i]
    for i in range(size):
        share[i] *= s[i] * change[i]
    return block_sum(share, size)


@jit
def slope_sum(loss, lo, hi, eta, change, t, y, s):
    """Differentiate in t the weighted loss at margins eta + t * change, rows lo:hi."""
    total = 0.0
    margin, e, share = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    for a in range(lo, hi, BLOCK):
        size = min(BLOCK, hi - a)
        total += block_slope(
            loss, eta[a:hi], change[a:hi], t, y[a:hi], s[a:hi], margin, e, share, size
        )
    return total
