"""Compiled Gram matrices, and products of CSR rows with blocks of columns.

Imported only inside functions: importing this module imports Numba.
"""

import numpy as np
from numba import types
from numba.extending import overload

from ._jit import jit

TILE = 128  # rows of a tile of `narrow_gram`
APART = 8  # more in memory, since columns a power of two apart share a cache set


def block_weigh(X, lo, hi, shift, factor, root, out):
    """out[:hi - lo] = root * (X[lo:hi] - shift) * factor, the columns of X alone."""
    raise TypeError("compiled code only")


@overload(block_weigh)
def _(X, lo, hi, shift, factor, root, out):
    def columns(X, lo, hi, shift, factor, root, out):
        size = 16
        for a in range(lo, hi, size):
            for j in range(X.values.shape[0]):
                x, scale = X.values[j], factor[j]
                for i in range(a, min(a + size, hi)):
                    out[i - lo, j] = root[i] * scale * (x[i] - shift[j])

    def rows(X, lo, hi, shift, factor, root, out):
        for i in range(lo, hi):
            for j in range(X.shape[1]):
                out[i - lo, j] = root[i] * factor[j] * (X[i, j] - shift[j])

    return columns if isinstance(X, types.BaseNamedTuple) else rows


@jit
def weigh(X, lo, hi, shift, factor, root, out):
    """Rows root * (X - shift) * factor of lo:hi into out.

    A column of root * factor follows where out has one more.
    """
    block_weigh(X, lo, hi, shift, factor, root, out)
    if out.shape[1] > shift.shape[0]:
        for i in range(lo, hi):
            out[i - lo, shift.shape[0]] = root[i] * factor[shift.shape[0]]


def block_transpose(X, lo, hi, shift, root, T):
    """T[:, :hi - lo] = (root * (X[lo:hi] - shift))', the columns of X alone."""
    raise TypeError("compiled code only")


@overload(block_transpose)
def _(X, lo, hi, shift, root, T):
    def columns(X, lo, hi, shift, root, T):
        weight = root[lo:hi]
        for j in range(X.values.shape[0]):
            x, out = X.values[j, lo:hi], T[j]
            for i in range(hi - lo):
                out[i] = weight[i] * (x[i] - shift[j])

    def rows(X, lo, hi, shift, root, T):
        for i in range(lo, hi):
            for j in range(X.shape[1]):
                T[j, i - lo] = root[i] * (X[i, j] - shift[j])

    return columns if isinstance(X, types.BaseNamedTuple) else rows


@jit
def tile_products(T, G):
    """Lower triangle of G += T T' in tiles of three by three rows: sums in registers.

    The first `TILE` columns of T count.
    """
    for j in range(0, T.shape[0], 3):
        a, b, c = T[j], T[j + 1], T[j + 2]
        for k in range(0, j + 3, 3):
            d, e, f = T[k], T[k + 1], T[k + 2]
            ad = ae = af = bd = be = bf = cd = ce = cf = 0.0
            for i in range(TILE):
                x, y, z = d[i], e[i], f[i]
                ad, ae, af = ad + a[i] * x, ae + a[i] * y, af + a[i] * z
                bd, be, bf = bd + b[i] * x, be + b[i] * y, bf + b[i] * z
                cd, ce, cf = cd + c[i] * x, ce + c[i] * y, cf + c[i] * z
            _add_row(G[j], k, ad, ae, af)
            _add_row(G[j + 1], k, bd, be, bf)
            _add_row(G[j + 2], k, cd, ce, cf)


@jit
def _add_row(g, k, x, y, z):
    g[k] += x
    g[k + 1] += y
    g[k + 2] += z


@jit
def narrow_gram(X, lo, hi, shift, root, G):
    """Lower triangle of G += Z' Z, Z = root * (X - shift) over rows lo:hi, then root.

    For few columns, where library calls are slow. G has its order rounded up to a
    multiple of three.
    """
    p = shift.shape[0]
    T = np.zeros((G.shape[0], TILE + APART))
    for a in range(lo, hi, TILE):
        b = min(a + TILE, hi)
        if b - a < TILE:
            T[:] = 0.0
        block_transpose(X, a, b, shift, root, T)
        for i in range(a, b):
            T[p, i - a] = root[i]
        tile_products(T, G)
    return 0.0


@jit
def mirror(G):
    """Copy the lower triangle of a square matrix above its diagonal, tile by tile."""
    size = 64
    for a in range(0, G.shape[0], size):
        for b in range(0, a + 1, size):
            for i in range(a, min(a + size, G.shape[0])):
                for j in range(b, min(b + size, i)):
                    G[j, i] = G[i, j]


@jit
def _first_from(indices, start, end, least):
    """Position of the first one of sorted indices start:end that is not below least."""
    if least == 0 or start == end:
        return start
    if indices[end - np.uint64(1)] < least:
        return end
    while start < end:
        middle = (start + end) >> np.uint64(1)
        if indices[middle] < least:
            start = middle + np.uint64(1)
        else:
            end = middle
    return start


@jit
def sparse_gram(X, lo, hi, first, last, d, G):
    """Rows first:last of the upper triangle of G += X' diag(d) X, over CSR rows lo:hi.

    Columns of X are sorted in every row. Two rows of G at a time read the rest of a row
    of X once.
    """
    one, two = np.uint64(1), np.uint64(2)
    for i in range(lo, hi):
        start, end = np.uint64(X.indptr[i]), np.uint64(X.indptr[i + 1])
        k = _first_from(X.indices, start, end, first)
        stop = _first_from(X.indices, k, end, last)
        while k + one < stop:
            a, b = X.indices[k], X.indices[k + one]
            x, y = X.values[k], X.values[k + one]
            u, v, m = d[i] * x, d[i] * y, k + two
            G[a, a] += u * x
            G[a, b] += u * y
            G[b, b] += v * y
            while m < end:
                j, z = X.indices[m], X.values[m]
                G[a, j] += u * z
                G[b, j] += v * z
                m += one
            k += two
        if k < stop:
            a, u = X.indices[k], d[i] * X.values[k]
            while k < end:
                G[a, X.indices[k]] += u * X.values[k]
                k += one
    return 0.0


@jit
def sparse_block(X, lo, hi, W, out):
    """out[lo:hi] = X[lo:hi] W for a CSR X and a dense (p, K) W."""
    for i in range(lo, hi):
        for c in range(W.shape[1]):
            out[i, c] = 0.0
        for k in range(np.uint64(X.indptr[i]), np.uint64(X.indptr[i + 1])):
            x, j = X.values[k], X.indices[k]
            for c in range(W.shape[1]):
                out[i, c] += x * W[j, c]
    return 0.0


@jit
def sparse_block_adjoint(X, lo, hi, R, G):
    """G += X[lo:hi]' R[lo:hi] for a CSR X and a dense (n, K) R."""
    for i in range(lo, hi):
        for k in range(np.uint64(X.indptr[i]), np.uint64(X.indptr[i + 1])):
            x, j = X.values[k], X.indices[k]
            for c in range(R.shape[1]):
                G[j, c] += x * R[i, c]
    return 0.0


@jit
def sparse_block_curved(X, lo, hi, d, V, offset, G):
    """Add X' t, and in a last row the sum of t, over rows lo:hi of a CSR X.

    t = d * (X V + offset) for a dense (p, K) V; G is (p + 1, K).
    """
    p, t = V.shape[0], np.empty(V.shape[1])
    for i in range(lo, hi):
        start, end = np.uint64(X.indptr[i]), np.uint64(X.indptr[i + 1])
        for c in range(t.shape[0]):
            t[c] = offset[c]
        for k in range(start, end):
            x, j = X.values[k], X.indices[k]
            for c in range(t.shape[0]):
                t[c] += x * V[j, c]
        for c in range(t.shape[0]):
            t[c] *= d[i]
            G[p, c] += t[c]
        for k in range(start, end):
            x, j = X.values[k], X.indices[k]
            for c in range(t.shape[0]):
                G[j, c] += x * t[c]
    return 0.0
