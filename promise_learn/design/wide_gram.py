"""Gram matrices of many columns, by symmetric products on blocks of rows."""

import math
from functools import partial
from itertools import pairwise

import numpy as np

from ..kernels import _threads
from ..kernels._threads import evenly

GRAM_BLOCK_BYTES, LEAST_ROWS, FEWEST_ROWS = 2**24, 512, 64
GRAM_PARTS, PRIVATE_BYTES = 16, 2**25
LEAST_WORK = 10_000_000  # multiply-adds of a part
BLOCK_SHARE = 1 / 16  # of the room of a Gram matrix, that a block of rows may take


def wide_gram(n, dim, dtype, fill, room=math.inf, order="C"):
    """Lower triangle of Z'Z for rows Z that ``fill(lo, hi, out)`` writes.

    Row ranges go to threads of our own, each with BLAS in one thread and a sum of its
    own: BLAS itself gains little from threads where columns are few. A matrix too large
    for several sums is left to the threads of BLAS.

    Parameters
    ----------
    n, dim : int
        Shape of Z.
    dtype : dtype
        Of Z and the sums.
    fill : callable
        Releases the GIL.
    room : float, optional
        Bytes that the matrix and what it is made of may take.
    order : {"C", "F"}, default="C"
        Memory order in which rows are written.

    Returns
    -------
    ndarray (dim, dim)
    """
    row, rows = np.dtype(dtype).itemsize * dim, GRAM_BLOCK_BYTES // (8 * dim)
    rows = min(max(LEAST_ROWS, rows), max(FEWEST_ROWS, BLOCK_SHARE * room / row))
    rows = int(min(n, rows))
    private = 2 * row * dim + row * rows  # a sum, a product and a block
    least = min(dim, LEAST_ROWS)  # rows that outweigh a sum of their own
    parts = min(PRIVATE_BYTES // (row * dim), room // private, n // least)
    parts = min(parts, GRAM_PARTS, n * dim**2 // LEAST_WORK)
    parts = 2 * int(parts // 2)  # as many for each of two threads
    if n >= dim and n * dim**2 < 2 * LEAST_WORK:
        parts = 1  # threads of BLAS may wait longer than this takes
    if not parts:
        return _shared_gram(n, dim, dtype, fill, rows, order)
    edges = evenly(0, n, parts)
    private = np.zeros((parts, dim, dim), dtype)

    def part(k, first, last):
        buffer = np.empty((min(rows, last - first), dim), dtype, order)
        product = np.empty((dim, dim), dtype)
        for lo in range(first, last, rows):
            hi = min(last, lo + rows)
            Z = buffer[: hi - lo]
            fill(lo, hi, Z)
            np.matmul(Z.T, Z, out=product)
            private[k] += product

    _threads.run(part, list(pairwise(edges)), blas=True)
    return private.sum(axis=0)


def _shared_gram(n, dim, dtype, fill, rows, order):
    """One sum, to which the threads of BLAS add a block of rows at a time."""
    from scipy.linalg.blas import dsyrk, ssyrk

    syrk = dsyrk if dtype == np.float64 else ssyrk
    G = np.zeros((dim, dim), dtype, order="F")
    buffer = np.empty((rows, dim), dtype, order)
    for lo in range(0, n, rows):
        hi = min(n, lo + rows)
        ranges = _threads.partition(partial(evenly, lo, hi), (hi - lo) * dim, 0)

        def part(k, a, b, lo=lo):
            fill(a, b, buffer[a - lo : b - lo])

        _threads.run(part, ranges, blas=True)
        Z, turned = buffer[: hi - lo], int(order == "F")
        G = syrk(1.0, Z if turned else Z.T, 1.0, G, turned, overwrite_c=1)
    return G.T  # its upper triangle is the lower one of the row-major view
