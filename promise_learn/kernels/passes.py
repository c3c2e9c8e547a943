"""Compiled passes over contiguous rows of X: one read of X a pass.

A pass walks over its rows in blocks that stay in cache: margins of the block, pointwise
loss, then the block's share of the adjoint product. Vectors are float64 whatever the
type of X, so float32 data lose no accuracy in the sums.

Imported only inside functions: importing this module imports Numba.
"""

import numpy as np

from ._jit import jit
from .blocks import BLOCK, block_adjoint, block_dot, block_rows, block_squares
from .pointwise import block_slope, block_sum, pointwise


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
def slope_sum(loss, lo, hi, eta, change, t, y, s):
    """Differentiate in t the weighted loss at margins eta + t * change, rows lo:hi."""
    total = 0.0
    work, share = np.empty((3, BLOCK)), np.empty(BLOCK)
    for a in range(lo, hi, BLOCK):
        size = min(BLOCK, hi - a)
        total += block_slope(
            loss, eta[a:hi], change[a:hi], t, y[a:hi], s[a:hi], work, share, size
        )
    return total
