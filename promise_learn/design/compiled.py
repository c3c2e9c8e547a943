"""Rows of X in host memory: single-read compiled passes, two storages.

One column at a time goes through the kernels of `promise_learn.kernels.passes`; blocks
of columns of dense data go to BLAS. Vectors are float64 also for float32 data, which
are read as they are and never copied to float64.
"""

import math
from functools import cached_property, partial
from itertools import pairwise

import numpy as np

from .. import kernels
from .._arrays import is_numpy, is_sparse, read_only
from ..kernels import _threads
from ..kernels._threads import evenly
from . import rates
from .rows import Rows, array_rows
from .tiled_gram import banded_gram, is_tiled, most_sums, rounded, summed_gram
from .wide_gram import wide_gram

BLOCK_BYTES = 2**24  # of rows that a product with several columns takes at once
SQUARED = 2**18  # entries whose squares are taken at once
BAND_BYTES = 2e6  # of a band of a Gram matrix, that the cache of a core holds
BAND_PAIRS = 256  # squared entries of a row for which bands are worth finding
BAND_ROWS = 2000  # by which bands of a Gram matrix are divided


class CompiledRows(Rows):
    """Verbs that both host storages share."""

    def __init__(self, X):
        super().__init__(X)
        self.vector_dtype = np.dtype(np.float64)
        self._ranges = {}

    def _boundaries(self, parts):
        return evenly(0, self.shape[0], parts)

    def _partition(self, *arguments):
        if arguments not in self._ranges:
            self._ranges[arguments] = _threads.partition(self._boundaries, *arguments)
        return self._ranges[arguments]

    def _accumulate(self, kernel, shape, work=None):
        width = math.prod(shape)
        ranges = self._partition(work or 2 * self.nnz, width)
        return _threads.accumulate(kernel, ranges, shape)

    def _each(self, kernel, work=None):
        """Run a kernel that writes its own rows; the sum of its results."""
        ranges = self._partition(work or self.nnz, 0)
        return sum(_threads.run(lambda k, lo, hi: kernel(lo, hi), ranges))

    def dot(self, u, offset=0.0):
        """X u + offset."""
        if u.ndim > 1:
            return self._block_dot(u) + offset
        eta, X = np.empty(self.shape[0]), self.kernel_view
        u, offset = np.ascontiguousarray(u, np.float64), float(offset)
        self._each(lambda lo, hi: kernels.passes.margins(X, lo, hi, u, offset, eta))
        return eta

    def adjoint(self, r):
        """X' r."""
        if r.ndim > 1:
            return self._block_adjoint(r)
        X, r = self.kernel_view, np.ascontiguousarray(r, np.float64)
        return self._accumulate(
            lambda lo, hi, g: kernels.passes.adjoint(X, lo, hi, r, g), (self.shape[1],)
        )[0]

    def expand(self, loss, u, offset, y, s):
        """Margins, weighted loss, slopes and curvature at u, and X' slopes."""
        if u.ndim > 1 or loss.code < 0:
            return super().expand(loss, u, offset, y, s)
        X, code, n = self.kernel_view, loss.compiled, self.shape[0]
        u, offset = np.ascontiguousarray(u), float(offset)
        eta, r, d = np.empty(n), np.empty(n), np.empty(n)
        g, value = self._accumulate(
            lambda lo, hi, g: kernels.passes.expand(
                X, lo, hi, code, u, offset, y, s, eta, r, d, g
            ),
            (self.shape[1],),
        )
        return value, eta, r, d, g

    def curved(self, d, v, offset):
        """X' t and the sum of t over rows, where t = d * (X v + offset)."""
        if v.ndim > 1:
            return self._block_curved(d, v, offset)
        X, v, offset = self.kernel_view, np.ascontiguousarray(v), float(offset)
        return self._accumulate(
            lambda lo, hi, g: kernels.passes.curved(X, lo, hi, d, v, offset, g),
            (self.shape[1],),
        )

    def loss_sum(self, loss, eta, y, s):
        """Weighted loss at margins eta."""
        if eta.ndim > 1 or loss.code < 0:
            return super().loss_sum(loss, eta, y, s)
        code = loss.compiled
        return self._each(
            lambda lo, hi: kernels.passes.loss_sum(code, lo, hi, eta, y, s),
            20 * self.shape[0],
        )

    def slope_sum(self, loss, eta, change, t, y, s):
        """Differentiate in t the weighted loss at margins eta + t * change."""
        if eta.ndim > 1 or loss.code < 0:
            return super().slope_sum(loss, eta, change, t, y, s)
        code, t = loss.compiled, float(t)
        return self._each(
            lambda lo, hi: kernels.passes.slope_sum(code, lo, hi, eta, change, t, y, s),
            20 * self.shape[0],
        )

    def squares(self, d, shift):
        """Diagonal of Z' diag(d) Z for Z = X - 1 shift'."""
        X = self.kernel_view
        g, _ = self._accumulate(
            lambda lo, hi, g: kernels.passes.squares(X, lo, hi, d, shift, g),
            (self.shape[1],),
        )
        return self._centred_squares(g, d, shift) if self.sparse else g


class DenseRows(CompiledRows):
    """Dense X of either memory order.

    Parameters
    ----------
    X : ndarray (n, p)
    room : float, optional
        Bytes that a Gram matrix and its making may take.
    """

    def __init__(self, X, room=math.inf):
        super().__init__(X)
        self.room = room

    @cached_property
    def kernel_view(self):
        """X as the kernels take it."""
        if not self.X.flags.f_contiguous or self.X.flags.c_contiguous:
            return read_only(self.X)
        return kernels.blocks.Columns(read_only(self.X.T))

    def block(self, rows):
        """Row block of the given host indices, row-major, copied in threads.

        Raises
        ------
        IndexError
            Where an index is negative or beyond the last row.
        """
        if len(rows) and not 0 <= np.min(rows) <= np.max(rows) < self.shape[0]:
            raise IndexError(f"rows must be numbers from 0 to {self.shape[0] - 1}")
        X, out = self.X, np.empty((len(rows), self.shape[1]), self.X.dtype)

        def copy(k, lo, hi):
            if X.flags.c_contiguous:  # of another X `take` would copy all first
                np.take(X, rows[lo:hi], 0, out[lo:hi], "clip")
            else:
                out[lo:hi] = X[rows[lo:hi]]

        _threads.run(
            copy, _threads.partition(partial(evenly, 0, len(rows)), out.size, 0)
        )
        return out

    def subset(self, rows):
        """Storage of the given rows alone, which take some of the room."""
        block = self.block(rows)
        return DenseRows(block, self.room - block.nbytes)

    def _block_dot(self, U):
        return (self.X @ U.astype(self.X.dtype, copy=False)).astype(float, copy=False)

    def _block_adjoint(self, R):
        R = R.astype(self.X.dtype, copy=False)
        return (self.X.T @ R).astype(float, copy=False)

    def _block_curved(self, d, V, offset):
        """As `curved`, on blocks of rows, so that no (n, K) array is held."""
        n, dtype = self.shape[0], self.X.dtype
        V = V.astype(dtype, copy=False)
        out, total = np.zeros(V.shape), np.zeros(V.shape[1])
        step = max(1024, BLOCK_BYTES // (8 * max(self.shape[1], 1)))
        for lo in range(0, n, step):
            X = self.X[lo : lo + step]
            t = (X @ V + offset) * d[lo : lo + step, None]
            total += t.sum(axis=0)
            out += X.T @ t.astype(dtype, copy=False)
        return out, total

    def gram(self, d, shift, intercept, factor=None):
        """Z' diag(d) Z; see `Rows.gram`."""
        dim = self.shape[1] + int(intercept)
        single = factor is not None and dim > rates.NARROW
        dtype = np.float32 if single else np.float64
        unit = factor if single else np.ones(dim)
        form = self._tiled_gram if is_tiled(dim) else self._wide_gram
        G = form(d, shift, unit, dtype)
        kernels.grams.mirror(G)
        return G if factor is None or single else scaled_single(G, factor)

    def row_gram(self, shift):
        """Z Z' for Z = X - 1 shift', by symmetric products of blocks of columns."""
        n, p = self.shape

        def fill(lo, hi, T, at=0):
            out = T[:n, at : at + hi - lo]
            np.subtract(self.columns(lo, hi), shift[lo:hi], out=out)

        if is_tiled(n):
            K = summed_gram(p, n, np.float64, fill, self.room)
        else:
            K = wide_gram(
                p, n, np.float64, lambda lo, hi, Z: fill(lo, hi, Z.T), self.room, "F"
            )
        kernels.grams.mirror(K)
        return K

    def _tiled_gram(self, d, shift, factor, dtype):
        """Lower triangle by tiles of our own."""
        X, root, (n, dim) = self.kernel_view, np.sqrt(d), (self.shape[0], len(factor))
        order = rounded(dim)
        most = most_sums(n, dim, dtype, self.room)
        if most < 2:

            def fill(lo, hi, T, at):
                kernels.grams.transpose(X, lo, hi, shift, factor, root, T, at)

            return banded_gram(n, dim, dtype, fill, self.room)

        def add(lo, hi, G):
            return kernels.grams.dense_gram(X, lo, hi, shift, factor, root, G)

        work = max(2 * self.nnz, n * order**2 // 8)
        ranges = self._partition(work, order**2, most)
        G, _ = _threads.accumulate(add, ranges, (order, order), dtype)
        return kernels.grams.compact(G, dim)

    def _wide_gram(self, d, shift, factor, dtype):
        """Lower triangle by symmetric products of BLAS on row blocks."""
        X, root = self.kernel_view, np.sqrt(d)

        def fill(lo, hi, out):
            kernels.grams.weigh(X, lo, hi, shift, factor, root, out)

        return wide_gram(self.shape[0], len(factor), dtype, fill, self.room)


class SparseRows(CompiledRows):
    """CSR X with 32- or 64-bit indices.

    Squares of entries need every entry once, and the Gram matrix needs them in order:
    an X whose rows repeat a column or are not sorted is copied.
    """

    GRAM_PARTS = 4

    def __init__(self, X):
        if not X.has_canonical_format:
            X = X.copy()
            X.sum_duplicates()
        super().__init__(X)

    @cached_property
    def kernel_view(self):
        """X as the kernels take it."""
        return kernels.blocks.sparse_view(self.X)

    def row_squares(self, v):
        """Sum over columns of x_ij^2 v_j, for every row."""
        X, out = self.X, np.empty(self.shape[0])
        edges = self._boundaries(1 + self.nnz // SQUARED)
        for lo, hi in pairwise(edges):
            first, last = X.indptr[lo], X.indptr[hi]
            squares = X.data[first:last].astype(float) ** 2
            parts = squares, X.indices[first:last], X.indptr[lo : hi + 1] - first
            out[lo:hi] = type(X)(parts, shape=(hi - lo, self.shape[1])) @ v
        return out

    def _boundaries(self, parts):
        edges = np.searchsorted(self.X.indptr, evenly(0, self.nnz, parts))
        return [0, *edges[1:-1].tolist(), self.shape[0]]

    def _block_dot(self, U):
        X, U = self.kernel_view, np.ascontiguousarray(U, float)
        out = np.empty((self.shape[0], U.shape[1]))
        work = self.nnz * U.shape[1]
        self._each(lambda lo, hi: kernels.grams.sparse_block(X, lo, hi, U, out), work)
        return out

    def _block_adjoint(self, R):
        X, R = self.kernel_view, np.ascontiguousarray(R, float)
        return self._accumulate(
            lambda lo, hi, G: kernels.grams.sparse_block_adjoint(X, lo, hi, R, G),
            (self.shape[1], R.shape[1]),
            2 * self.nnz * R.shape[1],
        )[0]

    def _block_curved(self, d, V, offset):
        X, V = self.kernel_view, np.ascontiguousarray(V, float)
        offset = np.full(V.shape[1], offset)
        G, _ = self._accumulate(
            lambda lo, hi, G: kernels.grams.sparse_block_curved(
                X, lo, hi, d, V, offset, G
            ),
            (self.shape[1] + 1, V.shape[1]),
            2 * self.nnz * V.shape[1],
        )
        return G[:-1], G[-1]

    def gram(self, d, shift, intercept, factor=None):
        """Z' diag(d) Z by the rows' nonzeros; see `Rows.gram`."""
        p, total = self.shape[1], d.sum()
        dim = p + int(intercept)
        work = self.nnz * max(self.nnz // max(self.shape[0], 1), 1)
        parts = min(self.GRAM_PARTS, len(self._partition(work, p * p)))
        cached, short = 8 * p * p < 3 * BAND_BYTES, work < BAND_PAIRS * self.shape[0]
        by_rows = parts > 1 and (cached or short)
        G = self._rows_gram(d, dim, parts) if by_rows else self._band_gram(d, dim)
        kernels.grams.mirror(G.T)
        border = self.adjoint(d)
        if shift.any():
            cross = np.outer(shift, border)
            G[:p, :p] -= cross + cross.T - total * np.outer(shift, shift)
            border = border - total * shift
        if intercept:
            G[p, :p] = G[:p, p] = border
            G[p, p] = total
        return G if factor is None else scaled_single(G, factor)

    @cached_property
    def row_gram_cost(self):
        """Time of `row_gram` in passes over X, by the measured `rates`."""
        counts = np.bincount(self.X.indices, minlength=1).astype(float)
        pairs = 0.5 * (counts @ counts) / max(self.nnz, 1)
        density = self.nnz / max(math.prod(self.shape), 1)
        return pairs * rates.pair_seconds(self.shape[0], density) / rates.SPARSE_PASS

    def row_gram(self, shift):
        """Z Z' for Z = X - 1 shift', by the nonzeros of the columns."""
        columns = SparseRows(self.X.T.tocsr())
        K = columns.gram(np.ones(self.shape[1]), np.zeros(self.shape[0]), False)
        return self._centred_row_gram(K, shift) if shift.any() else K

    def _rows_gram(self, d, dim, parts):
        """Upper triangle, each range of rows in a matrix of its own."""
        X, p = self.kernel_view, self.shape[1]
        ranges = list(pairwise(self._boundaries(parts)))
        return _threads.accumulate(
            lambda lo, hi, G: kernels.grams.sparse_gram(X, lo, hi, 0, p, d, G),
            ranges,
            (dim, dim),
        )[0]

    def _band_gram(self, d, dim):
        """Upper triangle, each band of its rows from all rows of X.

        A band stays in cache, and needs no matrix of its own; finding it in every row
        of X takes as long as some thirty pairs of entries.
        """
        X, n = self.kernel_view, self.shape[0]
        G, work = np.zeros((dim, dim)), self.nnz**2 // max(n, 1)
        most = max(2, G.nbytes // BAND_BYTES)
        _threads.run(
            lambda k, lo, hi: kernels.grams.sparse_gram(X, 0, n, lo, hi, d, G),
            _threads.partition(self._bands, work, 2 * n, most),
        )
        return G

    def _bands(self, parts):
        """Columns between which pairs of entries are about as many, by some rows."""
        if parts == 1:
            return [0, self.shape[1]]
        X = self.X[:: max(1, self.shape[0] // BAND_ROWS)]
        after = np.repeat(X.indptr[1:], np.diff(X.indptr)) - np.arange(X.nnz)
        pairs = np.cumsum(np.bincount(X.indices, after, X.shape[1]))
        edges = np.searchsorted(pairs, pairs[-1] * np.arange(parts + 1) / parts)
        return [0, *edges[1:-1].tolist(), X.shape[1]]


def scaled_single(G, factor):
    """Matrix diag(factor) G diag(factor) in single precision, in one read of G."""
    out, zero, G = np.empty(G.shape, np.float32), np.zeros(len(G)), read_only(G)
    _threads.run(
        lambda k, lo, hi: kernels.grams.weigh(
            G, lo, hi, zero, factor, factor, out[lo:hi]
        ),
        _threads.partition(partial(evenly, 0, len(G)), G.size, 0),
    )
    return out


def rows_of(X):
    """Storage of X: compiled for NumPy and SciPy data, array operations otherwise."""
    if not is_numpy(X):
        return array_rows(X)
    return SparseRows(X) if is_sparse(X) else DenseRows(X)
