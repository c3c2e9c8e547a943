"""Compiled Gram matrices, and products of CSR rows with blocks of columns.

Imported only inside functions: importing this module imports Numba.
"""

import numpy as np
from numba import types
from numba.extending import overload

from ._jit import jit
from ._prefetch import prefetch
from .tiles import SIDE, TURNED, add_tile, turn_tile, turns

LENGTH = 2048  # bytes of a row of T, a block of transposed rows
APART = 16  # entries more in memory: lengths are rounded up to a vector, and rows a
# power of two apart share a cache set
STRIP = 96  # columns of a Gram matrix whose tiles stay in cache


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


def block_transpose(X, lo, hi, shift, factor, root, T, at):
    """T[:, at:at + hi - lo] = (root * (X[lo:hi] - shift) * factor)' for the rows of T.

    The columns of X alone.
    """
    raise TypeError("compiled code only")


@overload(block_transpose)
def _(X, lo, hi, shift, factor, root, T, at):
    def columns(X, lo, hi, shift, factor, root, T, at):
        weight = root[lo:hi]
        for j in range(X.values.shape[0]):
            x, out, scale = X.values[j, lo:hi], T[j, at:], factor[j]
            for i in range(hi - lo):
                out[i] = weight[i] * scale * (x[i] - shift[j])

    def rows(X, lo, hi, shift, factor, root, T, at):
        p, whole = X.shape[1], lo
        if p >= TURNED:
            whole = hi - (hi - lo) % TURNED
        for i in range(lo, whole, TURNED):
            for j in range(0, p, TURNED):
                # as many entries of the next rows, which follow each other in memory
                prefetch(X, (i + TURNED, TURNED * j), TURNED * TURNED)
                first = min(j, p - TURNED)  # the last columns twice, if need be
                turn_tile(X, i, first, shift, factor, root, T, at + i - lo)
        for i in range(whole, hi):
            for j in range(p):
                T[j, at + i - lo] = root[i] * factor[j] * (X[i, j] - shift[j])

    def strided(X, lo, hi, shift, factor, root, T, at):
        for i in range(lo, hi):
            for j in range(X.shape[1]):
                T[j, at + i - lo] = root[i] * factor[j] * (X[i, j] - shift[j])

    if isinstance(X, types.BaseNamedTuple):
        return columns
    return rows if all(map(turns, (X, shift, factor, root, T))) else strided


@jit
def transpose(X, lo, hi, shift, factor, root, T, at):
    """Columns root * (X - shift) * factor of rows lo:hi into T, from its column at on.

    A last one of root * factor where there is one more factor than columns of X.
    """
    p = shift.shape[0]
    block_transpose(X, lo, hi, shift, factor, root, T, at)
    if factor.shape[0] > p:
        for i in range(lo, hi):
            T[p, at + i - lo] = root[i] * factor[p]


@jit
def tile_products(T, length, first, last, G):
    """Rows first:last of the lower triangle of G += T T', by the first columns of T.

    Numbers of rows are multiples of `SIDE`, and so is the order of G.
    """
    for a in range(0, last, STRIP):
        for j in range(max(first, a), last, SIDE):
            for k in range(a, min(a + STRIP, j + SIDE), SIDE):
                add_tile(T, j, k, length, G)


@jit
def dense_gram(X, lo, hi, shift, factor, root, G):
    """Lower triangle of G += Z' Z for rows lo:hi, Z = root * (X - shift) * factor.

    See `transpose` for a last column of Z; the order of G is rounded up to a multiple
    of `SIDE`.
    """
    longest = max(1, min(LENGTH // G.itemsize, hi - lo))
    T = np.zeros((G.shape[0], longest + APART), G.dtype)
    for a in range(lo, hi, longest):
        b = min(a + longest, hi)
        transpose(X, a, b, shift, factor, root, T, 0)
        if b - a < longest:
            T[:, b - a :] = 0.0
        tile_products(T, b - a, 0, G.shape[0], G)
    return 0.0


@jit
def compact(G, order):
    """Move the first rows and columns of a square matrix together, and return them."""
    flat, width = G.reshape(-1), G.shape[1]
    for i in range(1, order):
        for j in range(order):
            flat[i * order + j] = flat[i * width + j]
    return flat[: order * order].reshape((order, order))


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
