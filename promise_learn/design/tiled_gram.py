"""Gram matrices of dense rows by tiles of our own, where they are faster than BLAS."""

from functools import partial

import numpy as np

from .. import kernels
from ..kernels import _threads
from ..kernels._threads import evenly
from .wide_gram import BLOCK_SHARE, FEWEST_ROWS

TILED = 400  # order up to which tiles are faster than any BLAS
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
    size = np.dtype(dtype).itemsize
    few = max(FEWEST_ROWS, BLOCK_SHARE * room / max(size * order, 1))
    longest = int(max(1, min(n, grams.LENGTH // size, few)))
    T = np.zeros((order, longest + grams.APART), dtype)
    G = np.zeros((order, order), dtype)

    def bands(parts):
        shares = np.sqrt(np.arange(parts + 1) / parts)  # of a triangle
        return side * (order // side * shares).astype(int)

    for lo in range(0, n, longest):
        hi = min(n, lo + longest)
        length = hi - lo
        T[:, length:] = 0.0
        _threads.run(
            lambda k, a, b, lo=lo: fill(a, b, T, a - lo),
            _threads.partition(partial(evenly, lo, hi), length * order, 0),
        )
        _threads.run(
            lambda k, a, b, length=length: grams.tile_products(T, length, a, b, G),
            _threads.partition(bands, length * order**2 // 2, 0),
        )
    return grams.compact(G, dim)
