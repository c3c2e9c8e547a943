"""Gram matrices of dense rows by tiles of our own, where they are faster than BLAS."""

from functools import partial

import numpy as np

from .. import kernels
from ..kernels import _threads
from ..kernels._threads import evenly
from .wide_gram import BLOCK_SHARE, FEWEST_ROWS

TILED = 400  # order up to which tiles are faster than any BLAS
BLOCK_BYTES = 2**18  # of transposed rows, that the cache of a core holds
SUM_BYTES = 2**25  # of the sums of parts of the rows, and of their total


def is_tiled(order):
    """Whether tiles are faster than BLAS.

    Both are limited by the arithmetic of a core. Tiles waste less of it where a matrix
    is small, and in any case where a BLAS does not know how long vectors may be.
    """
    longer = kernels.tiles.LONG_VECTORS and _threads.blas_has_short_vectors()
    return order <= TILED or longer


def rounded(order):
    """Least multiple of the side of a tile that is no less."""
    side = kernels.tiles.SIDE
    return -(-order // side) * side


def most_sums(n, dim, dtype, room):
    """Count the sums that there is room for, each of as many rows as columns or more.

    One or none means that threads should share a sum.
    """
    order = rounded(dim)
    size = np.dtype(dtype).itemsize * order**2
    return min(n // max(order, 1), min(SUM_BYTES, room) // max(size, 1) - 1)


def summed_gram(n, dim, dtype, fill, room):
    """As `banded_gram`, with sums for parts of the rows where there is room for two."""
    order, most = rounded(dim), most_sums(n, dim, dtype, room)
    if most < 2:
        return banded_gram(n, dim, dtype, fill, room)

    def add(lo, hi, G):
        T = _block(hi - lo, dim, dtype, room)
        for a, b, length in _blocks(lo, hi, T):
            fill(a, b, T, 0)
            kernels.grams.tile_products(T, length, 0, order, G)
        return 0.0

    ranges = _threads.partition(
        partial(evenly, 0, n), n * order**2 // 8, order**2, most
    )
    G, _ = _threads.accumulate(add, ranges, (order, order), dtype)
    return kernels.grams.compact(G, dim)


def _block(n, dim, dtype, room):
    """Room for a block of at most n transposed rows."""
    order, size, grams = rounded(dim), np.dtype(dtype).itemsize, kernels.grams
    few = max(FEWEST_ROWS, BLOCK_SHARE * room / max(size * order, 1))
    row = max(grams.LENGTH, BLOCK_BYTES // max(order, 1))
    longest = int(max(1, min(n, row // size, few)))
    return np.zeros((order, longest + grams.APART), dtype)


def _blocks(lo, hi, T):
    """Rows of every block, and how many they are; T is cleared beyond them."""
    longest = T.shape[1] - kernels.grams.APART
    for a in range(lo, hi, longest):
        b = min(hi, a + longest)
        T[:, b - a :] = 0.0
        yield a, b, b - a


def banded_gram(n, dim, dtype, fill, room):
    """Lower triangle of Z'Z for n rows Z of length dim, a band of it in each thread.

    Parameters
    ----------
    n, dim : int
        Shape of Z.
    dtype : dtype
        Of Z and the sums.
    fill : callable
        ``fill(lo, hi, T, at)`` writes rows lo:hi into columns of T from `at` on, and
        releases the GIL.
    room : float
        Bytes that the matrix and what it is made of may take.

    Returns
    -------
    ndarray (dim, dim)
    """
    grams, side, order = kernels.grams, kernels.tiles.SIDE, rounded(dim)
    T, G = _block(n, dim, dtype, room), np.zeros((order, order), dtype)

    def bands(parts):
        shares = np.sqrt(np.arange(parts + 1) / parts)  # of a triangle
        return (side * (order // side * shares).astype(int)).tolist()

    for lo, hi, length in _blocks(0, n, T):
        _threads.run(
            lambda k, a, b, lo=lo: fill(a, b, T, a - lo),
            _threads.partition(partial(evenly, lo, hi), length * order, 0),
        )
        _threads.run(
            lambda k, a, b, length=length: grams.tile_products(T, length, a, b, G),
            _threads.partition(bands, length * order**2 // 2, 0),
        )
    return grams.compact(G, dim)
