"""Features of X that are not stored: every pass generates those that find no room.

The verbs are those of `Rows`. A pass takes blocks of rows in threads; the blocks of a
thread share their buffers, and BLAS runs in one thread inside it. Features are
generated and multiplied in the type of the map, and sums over blocks are float64.
"""

from itertools import pairwise

import numpy as np

from .. import kernels
from .._arrays import cast, column, is_numpy, is_sparse, read_only, take, zeros
from ..kernels import _threads
from . import rates
from .compiled import DenseRows
from .partial import PartialStore
from .rows import Rows, array_rows
from .wide_gram import wide_gram

BUFFER_BYTES = 2**23
LEAST_BLOCK, LARGEST_BLOCK = 16, 256
DEVICE_BLOCK = 2**22  # features that are generated at once where all are stored
PARTS = 16
FACTOR_BYTES = 6  # an entry of the Gram matrix in single precision, sample, buffers
DOUBLE_BYTES = 16  # an entry of one in double precision, and of its factor
SHARE = 0.25  # of the budget, that the features of a row sample may take
KEPT = 0.6  # of it, less a factor, that the features which passes keep may take
LEAST_KEPT = 0.1  # of the rows; what fewer save of a pass is not worth their memory


class FeatureRows(Rows):
    """Random or Nyström features of the rows of X.

    Parameters
    ----------
    X : array (n, d) or CSR matrix
        May be mapped from a file: every pass reads it once, in order.
    feature_map : FeatureMap or NystromMap
    budget : float, default=0
        Bytes that a solver may take, for a factor or the features of a row sample.
    picked : array (n_picked,) of int, optional
        Rows of X to take instead of all; X is not copied for them.

    Attributes
    ----------
    stored : bool
        False: solvers that visit rows in random order ask for stored ones.
    """

    stored = False

    def __init__(self, X, feature_map, budget=0.0, picked=None):
        super().__init__(X)
        self.map, self.budget, self.picked = feature_map, budget, picked
        n_rows = X.shape[0] if picked is None else len(picked)
        self.shape = (n_rows, feature_map.n_components)
        self.sparse = False
        self._block = block_rows(feature_map.n_components, feature_map.itemsize)
        self._partial = None

    def keep(self):
        """Let passes keep the features of as many rows as the budget has room for.

        Beside them it holds a factor in single precision and the features of a row
        sample. The first pass generates what is kept, and the next ones copy it: sums
        are the same to the last bit.
        """
        room = KEPT * self.budget - FACTOR_BYTES * self.shape[1] ** 2
        share = min(1.0, room / self.nbytes)
        if is_numpy(self.X) and share >= LEAST_KEPT:
            size = (self.shape[1], self.map.dtype)
            self._partial = PartialStore(self._parts(), share, *size)

    @property
    def room(self):
        """Bytes of the budget beside the features that are kept."""
        return self.budget - (0 if self._partial is None else self._partial.nbytes)

    @property
    def nnz(self):
        """Entries of the features."""
        return self.shape[0] * self.shape[1]

    @property
    def nbytes(self):
        """Bytes of the features, were they stored."""
        return self.nnz * self.map.itemsize

    @property
    def epsilon(self):
        """Rounding error of the products, which run in the type of the map."""
        return float(self.xp.finfo(self.map.dtype).eps)

    @property
    def gram_cost(self):
        """Time of `gram` in passes, by the measured `rates`."""
        read = rates.gram_cost(*self.shape, self.nnz, self.map.itemsize, False)
        return 1.0 + read / self.pass_cost

    @property
    def pass_seconds(self):
        """Time of a pass, by the measured `rates`."""
        return self.pass_cost * super().pass_seconds

    @property
    def largest_factor(self):
        """Order up to which a factor in single precision fits the budget."""
        return int((self.budget / FACTOR_BYTES) ** 0.5)

    @property
    def pass_cost(self):
        """Time of a pass that generates all features, in reads of stored ones."""
        n, d = self.X.shape
        flops = self.map.flops(self.X.nnz / n if is_sparse(self.X) else d)
        return (rates.FEATURE + flops / rates.PROJECTION) * rates.DENSE_PASS / 4

    def _generate(self, lo, hi, out=None, *scratch):
        """Features of consecutive rows, in the arrays given."""
        out = None if out is None else out[: hi - lo]
        return self.map.apply(self._inputs(slice(lo, hi)), out, *scratch)

    def _inputs(self, rows):
        """Rows of X that the features of the given rows are made of."""
        if self.picked is not None:
            rows = self.picked[rows]
        X = self.X[rows, ...] if isinstance(rows, slice) else take(self.X, rows)
        return cast(X, self.map.dtype)

    def _pick(self, rows):
        """Numbers in X of the given rows."""
        return rows if self.picked is None else self.picked[rows]

    def _parts(self):
        """Ranges of rows that go to threads, the same for any number of threads."""
        parts = max(1, min(PARTS, self.shape[0] // self._block))
        edges = np.linspace(0, self.shape[0], parts + 1).astype(int)
        return list(pairwise(edges.tolist()))

    def _blocks(self):
        for lo in range(0, self.shape[0], LARGEST_BLOCK):
            hi = min(self.shape[0], lo + LARGEST_BLOCK)
            yield self._generate(lo, hi), lo, hi

    def _sweep(self, visit, *shapes):
        """Sum over blocks of features what ``visit(Z, lo, hi, *sums)`` adds.

        The block is the visitor's own to change.
        """
        if not is_numpy(self.X):
            sums = [self.zeros(shape) for shape in shapes]
            for Z, lo, hi in self._blocks():
                visit(Z, lo, hi, *sums)
            return sums
        ranges = self._parts()
        private = [np.zeros((len(ranges), *shape)) for shape in shapes]
        partial = self._partial

        def part(k, first, last):
            buffers = self.map.buffers(self._block)
            for lo in range(first, last, self._block):
                hi = min(last, lo + self._block)
                Z = buffers[0][: hi - lo]
                if partial is None or not partial.read(k, lo - first, Z):
                    self._generate(lo, hi, *buffers)
                    if partial is not None:
                        partial.write(k, lo - first, Z)
                visit(Z, lo, hi, *(sums[k] for sums in private))

        _threads.run(part, ranges, blas=True)
        return [sums.sum(axis=0) for sums in private]

    def dot(self, u, offset=0.0):
        """Features times u, plus offset."""
        eta = self.zeros((self.shape[0], *u.shape[1:]))

        def visit(Z, lo, hi):
            eta[lo:hi, ...] = _dot(Z, u) + offset

        self._sweep(visit)
        return eta

    def adjoint(self, r):
        """Transposed features times r."""

        def visit(Z, lo, hi, g):
            _add_adjoint(Z, r[lo:hi, ...], g)

        return self._sweep(visit, (self.shape[1], *r.shape[1:]))[0]

    def expand(self, loss, u, offset, y, s):
        """As `Rows.expand`, with features generated once."""
        return self.expand_with_squares(loss, u, offset, y, s, None)[:-1]

    def expand_with_squares(self, loss, u, offset, y, s, shift):
        """As `Rows.expand_with_squares`, with features generated once."""
        known = shift is not None and loss.code != 2
        shift = cast(shift, self.map.dtype) if known else None
        xp, tail, start = self.xp, u.shape[1:], not bool(self.xp.any(u != 0))
        eta, slope = (self.zeros((self.shape[0], *tail)) for _ in range(2))
        curvature = self.zeros(eta.shape if loss.code == 2 else eta.shape[:1])

        def visit(Z, lo, hi, total, g, squares):
            eta[lo:hi, ...] = offset if start else _dot(Z, u) + offset
            value, r, d = loss.evaluate(eta[lo:hi, ...], y[lo:hi, ...])
            weight = s[lo:hi]
            slope[lo:hi, ...] = column(weight, r) * r
            curvature[lo:hi, ...] = weight * d if d.ndim == 1 else d
            total += xp.sum(column(weight, value) * value)
            _add_adjoint(Z, slope[lo:hi, ...], g)
            if known:
                _add_squares(Z, shift, curvature[lo:hi], squares)

        m = self.shape[1]
        total, g, squares = self._sweep(visit, (1,), (m, *tail), (m,))
        squares = squares if known else None
        return float(total[0]), eta, slope, curvature, g, squares

    def curved(self, d, v, offset):
        """As `Rows.curved`, with features generated once."""
        return self.through(lambda t, rows: column(d[rows], t) * t, v, offset)

    def through(self, act, v, offset):
        """As `Rows.through`, with features generated once."""
        tail = v.shape[1:]

        def visit(Z, lo, hi, total, g):
            t = act(_dot(Z, v) + offset, slice(lo, hi))
            total += self.xp.sum(t, axis=0, keepdims=True)
            _add_adjoint(Z, t, g)

        total, g = self._sweep(visit, (1, *tail), (self.shape[1], *tail))
        return g, total[0, ...]

    def squares(self, d, shift):
        """Diagonal of Z' diag(d) Z for Z = features - 1 shift'."""
        shift = cast(shift, self.map.dtype)

        def visit(Z, lo, hi, g):
            _add_squares(Z, shift, d[lo:hi], g)

        return self._sweep(visit, (self.shape[1],))[0]

    def row_squares(self, v):
        """Sum over features of z_ij^2 v_j, for every row."""
        out = self.zeros((self.shape[0],))

        def visit(Z, lo, hi):
            Z *= Z
            out[lo:hi] = _dot(Z, v)

        self._sweep(visit)
        return out

    def gram(self, d, shift, intercept, factor=None):
        """Z' diag(d) Z; see `Rows.gram`.

        Raises
        ------
        ValueError
            Where the matrix would not fit into the budget.
        """
        dim = self.shape[1] + int(intercept)
        self.check_room(dim, DOUBLE_BYTES if factor is None else FACTOR_BYTES)
        if not is_numpy(self.X):
            return super().gram(d, shift, intercept, factor)
        root = np.sqrt(d)
        dtype = np.float64 if factor is None else np.float32
        factor = np.ones(dim) if factor is None else factor

        def fill(lo, hi, out):
            buffers = self.map.buffers(self._block)
            for a in range(lo, hi, self._block):
                b = min(hi, a + self._block)
                Z = read_only(self._generate(a, b, *buffers))
                rows = out[a - lo : b - lo]
                kernels.grams.weigh(Z, 0, b - a, shift, factor, root[a:b], rows)

        G = wide_gram(self.shape[0], dim, dtype, fill, self.room)
        kernels.grams.mirror(G)
        return G

    def check_room(self, dim, entry):
        """Raise where a matrix with so many bytes an entry exceeds the budget.

        Features that are kept make room for it.
        """
        if entry * dim**2 > self.room:
            self._partial = None
        short = entry * dim**2 - self.room
        if short > 0:
            raise ValueError(
                f"The solver forms a matrix of order {dim:,}, for which memory is "
                f"{short:.1e} bytes too small: use solver='auto', raise memory by that "
                "or lower n_components."
            )

    def block(self, rows):
        """Features of the given host indices."""
        return self.map.apply(self._inputs(rows))

    def columns(self, lo, hi):
        """Features lo:hi of all rows."""
        if self.map.separable:
            narrow = self.map.part(lo, hi)
            return FeatureRows(self.X, narrow, self.budget, self.picked).features()
        parts = [self.xp.asarray(Z[:, lo:hi], copy=True) for Z, _, _ in self._blocks()]
        return self.xp.concat(parts, axis=0)

    @property
    def storable(self):
        """Rows whose features are a share of the budget."""
        return int(SHARE * self.budget / (self.shape[1] * self.map.itemsize))

    def subset(self, rows):
        """Storage of the given rows alone; stored where they are few."""
        small = FeatureRows(self.X, self.map, self.room, self._pick(rows))
        return small.store() if len(rows) <= self.storable else small

    def features(self):
        """Features of all rows, (n, m)."""
        if not is_numpy(self.X):
            return self._features_by_arrays()
        out = np.empty(self.shape, self.map.dtype)

        def part(k, first, last):
            _, *scratch = self.map.buffers(self._block)
            for lo in range(first, last, self._block):
                hi = min(last, lo + self._block)
                self._generate(lo, hi, out[lo:hi], *scratch)

        _threads.run(part, self._parts(), blas=True)
        return out

    def _features_by_arrays(self):
        """As `features`, in blocks that a device is busy with for a while."""
        n, m = self.shape
        out = zeros((n, m), self.X, self.map.dtype)
        step = max(LARGEST_BLOCK, DEVICE_BLOCK // m)
        for lo in range(0, n, step):
            hi = min(n, lo + step)
            out[lo:hi, ...] = self._generate(lo, hi)
        return out

    def store(self):
        """Storage of the same features in memory."""
        features = self.features()
        if not is_numpy(features):
            return array_rows(features)
        return DenseRows(features, self.budget - self.nbytes)


def block_rows(n_components, itemsize):
    """Rows of a block of features."""
    rows = BUFFER_BYTES // (n_components * itemsize)
    return max(LEAST_BLOCK, min(LARGEST_BLOCK, rows))


def _dot(Z, u):
    """Z u in float64; on the host also summed in it."""
    if u.ndim > 1 or not is_numpy(Z):
        return cast(Z @ cast(u, Z.dtype), u.dtype)
    eta = np.empty(Z.shape[0])
    kernels.passes.margins(
        read_only(Z), 0, len(Z), np.ascontiguousarray(u, float), 0.0, eta
    )
    return eta


def _add_adjoint(Z, r, g):
    """G += Z' r in float64."""
    if r.ndim > 1 or not is_numpy(Z):
        g += cast(Z.T @ cast(r, Z.dtype), g.dtype)
        return
    kernels.passes.adjoint(read_only(Z), 0, len(Z), np.ascontiguousarray(r, float), g)


def _add_squares(Z, shift, d, g):
    """G += diagonal of (Z - 1 shift')' diag(d) (Z - 1 shift'); overwrites Z."""
    Z -= shift[None, :]
    Z *= Z
    _add_adjoint(Z, d, g)
