"""Blocks of rows of X, by storage: an array, or a `Columns` or `Sparse` tuple.

Each verb has one body a storage, chosen when it is compiled. Imported only inside
functions: importing this module imports Numba.
"""

from collections import namedtuple

import numpy as np
from numba import types
from numba.extending import overload, register_jitable

from .._arrays import csr_parts
from ._prefetch import prefetch

BLOCK = 256
CACHED = 16384  # entries of a block of dense rows, to be read twice
AHEAD = 512  # entries between what is read and what is asked for
LONG = 2500  # columns of which u leaves the first cache between two rows

Sparse = namedtuple("Sparse", "indptr indices values")
Sparse.__doc__ = "CSR matrix by its `csr_parts`."


def sparse_view(X):
    """CSR matrix as the kernels take it."""
    return Sparse(*csr_parts(X))


Columns = namedtuple("Columns", "values")
Columns.__doc__ = "Column-major X by its transpose, a row-major (p, n) array."


@register_jitable(fastmath={"contract"})
def rows_inner(X, rows, u, offset, out):
    """out[k] = u times row rows[k] of a CSR matrix, plus the offset.

    Four chains, since a sum has to wait for the one before. The compiler may not
    reorder them: it would make vectors of them, up to a half slower. A call a row would
    cost as much as twenty entries, for its counts of references to the arrays.
    """
    one, two, three, four = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)
    ahead = np.uint64(AHEAD)
    for at, i in enumerate(rows):
        k, end = np.uint64(X.indptr[i]), np.uint64(X.indptr[i + 1])
        a, b, c, d = 0.0, 0.0, 0.0, 0.0
        while k + four <= end:
            prefetch(X.values, (k + ahead,), 1)
            prefetch(X.indices, (k + ahead,), 1)
            a += X.values[k] * u[X.indices[k]]
            b += X.values[k + one] * u[X.indices[k + one]]
            c += X.values[k + two] * u[X.indices[k + two]]
            d += X.values[k + three] * u[X.indices[k + three]]
            k += four
        while k < end:
            a += X.values[k] * u[X.indices[k]]
            k += one
        out[at] = (a + b) + (c + d) + offset


@register_jitable(fastmath={"contract"})
def rows_add(X, rows, scales, g):
    """Add the sum of scales[k] times row rows[k] of a CSR matrix to g.

    Loops over unsigned ranges take ten nanoseconds to begin, as long as some entries.
    """
    one = np.uint64(1)
    for at, i in enumerate(rows):
        k, end, scale = np.uint64(X.indptr[i]), np.uint64(X.indptr[i + 1]), scales[at]
        while k < end:
            g[X.indices[k]] += scale * X.values[k]
            k += one


def block_rows(X):
    """Rows of a block: as many as stay in cache between its two reads."""
    raise TypeError("compiled code only")


def block_dot(X, lo, hi, u, offset, eta):
    """eta[:hi - lo] = X[lo:hi] u + offset."""
    raise TypeError("compiled code only")


def block_adjoint(X, lo, hi, r, g):
    """Add X[lo:hi]' r[:hi - lo] to g."""
    raise TypeError("compiled code only")


def block_squares(X, lo, hi, r, shift, g):
    """Add (Z * Z)' r[:hi - lo] to g, Z = X[lo:hi] - shift; CSR rows are not shifted."""
    raise TypeError("compiled code only")


def _by_storage(X, sparse, columns, rows):
    if not isinstance(X, types.BaseNamedTuple):
        return rows
    return sparse if "indptr" in X.fields else columns


@overload(block_rows)
def _(X):
    def largest(X):
        return BLOCK

    def rows(X):
        return min(BLOCK, max(8, CACHED // max(X.shape[1], 1)))

    return _by_storage(X, largest, largest, rows)


@overload(block_dot)
def _(X, lo, hi, u, offset, eta):
    def sparse(X, lo, hi, u, offset, eta):
        rows_inner(X, range(lo, hi), u, offset, eta)

    def columns(X, lo, hi, u, offset, eta):
        p, size = X.values.shape[0], hi - lo
        eta[:size] = offset
        whole = p - p % 4
        for j in range(0, whole, 4):
            a, b = X.values[j, lo:hi], X.values[j + 1, lo:hi]
            c, d = X.values[j + 2, lo:hi], X.values[j + 3, lo:hi]
            for k in range(4, 8):
                prefetch(X.values, (j + k, lo), size)
            for i in range(size):
                eta[i] += (
                    a[i] * u[j] + b[i] * u[j + 1] + c[i] * u[j + 2] + d[i] * u[j + 3]
                )
        for j in range(whole, p):
            a = X.values[j, lo:hi]
            for i in range(size):
                eta[i] += a[i] * u[j]

    def rows(X, lo, hi, u, offset, eta):
        whole = lo
        if X.shape[1] >= LONG:
            whole = hi - (hi - lo) % 4
        for i in range(lo, whole, 4):
            a, b, c, d, k = 0.0, 0.0, 0.0, 0.0, i - lo
            for j in range(X.shape[1]):
                a += X[i, j] * u[j]
                b += X[i + 1, j] * u[j]
                c += X[i + 2, j] * u[j]
                d += X[i + 3, j] * u[j]
            eta[k], eta[k + 1] = a + offset, b + offset
            eta[k + 2], eta[k + 3] = c + offset, d + offset
        ahead = 1 + AHEAD // (X.shape[1] + 1)
        for i in range(whole, hi):
            prefetch(X, (i + ahead, 0), X.shape[1])
            total = 0.0
            for j in range(X.shape[1]):
                total += X[i, j] * u[j]
            eta[i - lo] = total + offset

    return _by_storage(X, sparse, columns, rows)


@overload(block_adjoint)
def _(X, lo, hi, r, g):
    def sparse(X, lo, hi, r, g):
        rows_add(X, range(lo, hi), r, g)

    def columns(X, lo, hi, r, g):
        for j in range(X.values.shape[0]):
            x, total = X.values[j, lo:hi], 0.0
            for i in range(hi - lo):
                total += r[i] * x[i]
            g[j] += total

    def rows(X, lo, hi, r, g):
        whole = hi - (hi - lo) % 4
        for i in range(lo, whole, 4):
            a, b, c, d = r[i - lo], r[i - lo + 1], r[i - lo + 2], r[i - lo + 3]
            for j in range(X.shape[1]):
                g[j] += (
                    X[i, j] * a + X[i + 1, j] * b + X[i + 2, j] * c + X[i + 3, j] * d
                )
        for i in range(whole, hi):
            for j in range(X.shape[1]):
                g[j] += X[i, j] * r[i - lo]

    return _by_storage(X, sparse, columns, rows)


@overload(block_squares)
def _(X, lo, hi, r, shift, g):
    def sparse(X, lo, hi, r, shift, g):
        for i in range(lo, hi):
            scale = r[i - lo]
            for k in range(np.uint64(X.indptr[i]), np.uint64(X.indptr[i + 1])):
                g[X.indices[k]] += scale * X.values[k] * X.values[k]

    def columns(X, lo, hi, r, shift, g):
        for j in range(X.values.shape[0]):
            x, total = X.values[j, lo:hi], 0.0
            for i in range(hi - lo):
                total += r[i] * (x[i] - shift[j]) ** 2
            g[j] += total

    def rows(X, lo, hi, r, shift, g):
        for i in range(lo, hi):
            for j in range(X.shape[1]):
                g[j] += r[i - lo] * (X[i, j] - shift[j]) ** 2

    return _by_storage(X, sparse, columns, rows)
