"""Compiled random features: projections of sparse rows, Hadamard transforms, maps.

Imported only inside functions: importing this module imports Numba.
"""

from functools import lru_cache

import numpy as np

from ._jit import jit

COSINE, RELU, STEP = 0, 1, 2

TILE = 512  # columns of a projection that stay in cache
LANES = 16  # rows that a Hadamard transform takes side by side


@lru_cache
def cosine_series(dtype):
    """Coefficients, highest first, of cos(2 pi f) in f^2 for |f| <= 1/2.

    Interpolation in Chebyshev points, to the last digits of the type.
    """
    series = np.polynomial.Chebyshev.interpolate(
        lambda q: np.cos(2 * np.pi * np.sqrt(np.maximum(q, 0.0))),
        7 if dtype == np.float32 else 12,
        domain=[0.0, 0.25],
    )
    coefficients = series.convert(kind=np.polynomial.Polynomial).coef
    return tuple(dtype.type(c) for c in coefficients[::-1])


@jit
def cosine(T, offset, scale, series):
    """T = scale cos(2 pi (T + offset)), with T and the offset (m,) in turns."""
    for i in range(T.shape[0]):
        t = T[i]
        for j in range(t.shape[0]):
            turns = t[j] + offset[j]
            f = turns - np.rint(turns)
            q = f * f
            total = series[0] * q + series[1]
            for c in series[2:]:
                total = total * q + c
            t[j] = scale * total


@jit
def positive(T, scale, step):
    """T = scale max(T, 0), or scale where T is positive with ``step``."""
    zero = scale - scale
    for i in range(T.shape[0]):
        t = T[i]
        if step:
            for j in range(t.shape[0]):
                t[j] = scale if t[j] > zero else zero
        else:
            for j in range(t.shape[0]):
                t[j] = scale * t[j] if t[j] > zero else zero


@jit
def sparse_projection(X, lo, hi, W, T):
    """T[:hi - lo] = X[lo:hi] W for CSR rows and a dense W (d, m), tile by tile."""
    m = W.shape[1]
    for a in range(0, m, TILE):
        b = min(a + TILE, m)
        for i in range(lo, hi):
            out = T[i - lo, a:b]
            out[:] = 0
            for k in range(np.uint64(X.indptr[i]), np.uint64(X.indptr[i + 1])):
                x, w = X.values[k], W[X.indices[k], a:b]
                for j in range(b - a):
                    out[j] += x * w[j]


@jit
def transform_lanes(V):
    """Hadamard transform, not normalised, of the columns of V (2^k, LANES)."""
    order, half = V.shape[0], 1
    while half < order:
        for start in range(0, order, 2 * half):
            for i in range(start, start + half):
                for lane in range(LANES):
                    a, b = V[i, lane], V[i + half, lane]
                    V[i, lane] = a + b
                    V[i + half, lane] = a - b
        half *= 2


@jit
def hadamard_projection(X, signs, norms, T):
    """T = X S_1 H S_2 H S_3 H diag(norms), 2^k columns for each row of signs.

    X is dense (b, d), padded by zeros to the order 2^k; ``signs`` is (blocks, 3, 2^k)
    and T (b, m), its last block cut short where m asks for it.
    """
    order, m = signs.shape[2], T.shape[1]
    V = np.zeros((order, LANES), T.dtype)
    for lo in range(0, X.shape[0], LANES):
        size = min(LANES, X.shape[0] - lo)
        for block in range(signs.shape[0]):
            first, width = block * order, min(order, m - block * order)
            V[:] = 0
            for j in range(X.shape[1]):
                for lane in range(size):
                    V[j, lane] = X[lo + lane, j]
            for turn in range(3):
                sign = signs[block, turn]
                for j in range(order):
                    for lane in range(LANES):
                        V[j, lane] *= sign[j]
                transform_lanes(V)
            for lane in range(size):
                out = T[lo + lane]
                for j in range(width):
                    out[first + j] = norms[first + j] * V[j, lane]
