"""Rows of X on any namespace: the verbs every storage offers, in array operations.

This text serves CuPy arrays, CuPyX CSR matrices and array-API arrays as it stands, and
is the reference that the compiled storages are tested against. An operand ``u`` is one
vector (p,) or a block (p, K), and ``offset`` a number or (K,) added to every row.

Products run in the dtype of X, so that float32 data are never copied to float64.
Vectors and sums are float64, as they are in the compiled storages.
"""

from .._arrays import (
    cast,
    column,
    dense,
    device,
    entry_squares,
    is_cupy,
    is_sparse,
    namespace,
    nbytes,
    sum_rows,
    take,
)
from ..linalg.gram import row_gram
from . import rates

LARGEST_FACTOR = 12000  # order; larger ones where they are a share of a dense X
FACTOR_SHARE = 0.25


class Rows:
    """X as it was given, dense or CSR.

    Parameters
    ----------
    X : array (n, p) or CSR matrix

    Attributes
    ----------
    vector_dtype : dtype
        Type of coefficients, margins and gradients.
    stored : bool
        Whether rows lie in memory, to be visited in any order.
    keeps : bool
        Whether later fits find Gram matrices and sketches that this one forms.
    call_seconds, small_seconds, factor_rate : float
        Of the `rates`: what an iteration takes beside its pass over X, what no estimate
        is worth that may avoid it, and n^3 / 3 a second of a Cholesky factor in single
        precision.
    """

    stored, keeps = True, False
    call_seconds, small_seconds, factor_rate = rates.CALL, rates.SMALL, rates.FACTOR
    BLOCK_ENTRIES = 2**24

    def __init__(self, X):
        self.X = X
        self.xp = namespace(X)
        self.shape = X.shape
        self.sparse = is_sparse(X)
        self.vector_dtype = self.xp.float64

    @property
    def nnz(self):
        """Stored entries."""
        return self.X.nnz if self.sparse else self.shape[0] * self.shape[1]

    @property
    def nbytes(self):
        """Bytes of the stored entries."""
        return nbytes(self.X.data if self.sparse else self.X)

    @property
    def epsilon(self):
        """Rounding error of the products, which run in the type of X."""
        return float(self.xp.finfo(self.X.dtype).eps)

    def check_room(self, dim, entry):
        """Raise ValueError where a solver's matrix of this order has no room.

        Stored rows set no bound; entry is in bytes.
        """

    @property
    def gram_cost(self):
        """Time of `gram` in passes over X, by the measured `rates`."""
        itemsize = self.nbytes // max(self.nnz, 1)
        return rates.gram_cost(*self.shape, self.nnz, itemsize or 8, self.sparse)

    @property
    def row_gram_cost(self):
        """Time of `row_gram` in passes over X, by the measured `rates`."""
        n, p = self.shape
        itemsize = self.nbytes // max(self.nnz, 1)
        return rates.gram_cost(p, n, self.nnz, itemsize or 8, self.sparse)

    @property
    def pass_seconds(self):
        """Time of a product and its adjoint, by the measured `rates`."""
        if self.sparse:
            return max(self.nnz, 1) * rates.SPARSE_PASS
        return self.nbytes / rates.DENSE_PASS

    @property
    def largest_factor(self):
        """Order up to which a factor in single precision may be formed."""
        room = 0.0 if self.sparse else FACTOR_SHARE * self.nbytes
        return max(LARGEST_FACTOR, int((room / 4) ** 0.5))

    def dot(self, u, offset=0.0):
        """X u + offset."""
        return self._product(self.X, u) + offset

    def adjoint(self, r):
        """X' r."""
        return self._product(self.X.T, r)

    def _product(self, X, u):
        return cast(X @ cast(u, X.dtype), self.vector_dtype)

    def _blocks(self):
        """Consecutive blocks of rows, of bounded size when dense, and their bounds."""
        n, p = self.shape
        step = max(1, self.BLOCK_ENTRIES // p)
        for lo in range(0, n, step):
            hi = min(n, lo + step)
            X = self.X[lo:hi, :]
            if self.sparse:
                X.has_canonical_format = True  # as X has; CuPy sorts it otherwise
            yield X, lo, hi

    def expand(self, loss, u, offset, y, s):
        """Weighted loss, margins, weighted slopes, curvature at u, and X' slopes.

        A scalar curvature (n,) comes weighted, the multinomial one as `Loss` gives it.
        """
        eta = self.dot(u, offset)
        value, slope, curvature = loss.evaluate(eta, y)
        slope = column(s, slope) * slope
        loss_sum = float(self.xp.sum(column(s, value) * value))
        if curvature.ndim == 1:
            curvature = s * curvature
        return loss_sum, eta, slope, curvature, self.adjoint(slope)

    def expand_with_squares(self, loss, u, offset, y, s, shift):
        """As `expand`, then the `squares` of the curvature where they come by the way.

        That is where rows are generated; they are None elsewhere.
        """
        return *self.expand(loss, u, offset, y, s), None

    def curved(self, d, v, offset):
        """X' t and the sum of t over rows, where t = d * (X v + offset)."""
        t = self.dot(v, offset)
        t = column(d, t) * t
        return self.adjoint(t), sum_rows(t)

    def sketched(self, d, V, offset):
        """`curved` of the test vectors of a sketch, which features may keep."""
        return self.curved(d, V, offset)

    def low_rank(self, sketch):
        """Nystrom approximation of a sketch, which features may keep."""
        return sketch.low_rank()

    def through(self, act, v, offset):
        """X' t and the sum of t over rows, where t = act(X v + offset, rows)."""
        t = act(self.dot(v, offset), slice(None))
        return self.adjoint(t), sum_rows(t)

    def loss_sum(self, loss, eta, y, s):
        """Weighted loss at margins eta."""
        value = loss.value(eta, y)
        return float(self.xp.sum(column(s, value) * value))

    def slope_sum(self, loss, eta, change, t, y, s):
        """Differentiate in t the weighted loss at margins eta + t * change."""
        slope = loss.slope(eta + t * change, y)
        return float(self.xp.sum(column(s, slope) * slope * change))

    def squares(self, d, shift):
        """Diagonal of Z' diag(d) Z for Z = X - 1 shift'."""
        if self.sparse:
            squares = self._product(entry_squares(self.X).T, d)
            return self._centred_squares(squares, d, shift)
        out = self.zeros((self.shape[1],))
        for X, lo, hi in self._blocks():
            Z = cast(X, self.vector_dtype) - shift[None, :]
            out = out + (Z * Z).T @ d[lo:hi]
        return out

    def _centred_squares(self, squares, d, shift):
        """Diagonal of Z' diag(d) Z from that of X' diag(d) X, for sparse X."""
        cross = 2 * shift * self.adjoint(d)
        return squares - cross + self.xp.sum(d) * shift**2

    def gram(self, d, shift, intercept, factor=None):
        """Z' diag(d) Z for Z = X - 1 shift', with a column of ones if asked for.

        With a ``factor`` (dim,) of every column, in single precision: half the time,
        and enough for a preconditioner where the factors make the columns alike.
        """
        dim = self.shape[1] + int(intercept)
        G = self.zeros((dim, dim))
        for X, lo, hi in self._blocks():
            Z = cast(dense(X), self.vector_dtype) - shift[None, :]
            if intercept:
                Z = self.xp.concat([Z, self.xp.ones_like(d[lo:hi, None])], axis=1)
            G = G + Z.T @ (Z * d[lo:hi, None])
        return G if factor is None else scaled_single(G, factor)

    def row_gram(self, shift):
        """Z Z' for Z = X - 1 shift', in float64."""
        if self.sparse:
            return self._centred_row_gram(
                row_gram(cast(self.X, self.xp.float64)), shift
            )
        n, p = self.shape
        K, step = self.zeros((n, n)), max(1, self.BLOCK_ENTRIES // n)
        for lo in range(0, p, step):
            hi = min(p, lo + step)
            Z = cast(self.columns(lo, hi), self.xp.float64) - shift[None, lo:hi]
            K = K + Z @ Z.T
        return K

    def _centred_row_gram(self, K, shift):
        """Z Z' from X X', for sparse X."""
        cross = self.dot(shift)
        return K - (cross[:, None] + cross[None, :]) + shift @ shift

    def means(self, s):
        """Weighted column means X' s / sum(s)."""
        return self.adjoint(s) / sum_rows(s)

    def block(self, rows):
        """Row block of the given host indices."""
        return take(self.X, rows)

    def columns(self, lo, hi):
        """Columns lo:hi of dense rows."""
        return self.X[:, lo:hi]

    def row_squares(self, v):
        """Sum over columns of x_ij^2 v_j, for every row."""
        return self._product(entry_squares(self.X), v)

    def subset(self, rows):
        """Storage of the given rows alone."""
        return type(self)(self.block(rows))

    def zeros(self, shape):
        """Vector or block of zeros beside X."""
        return self.xp.zeros(shape, dtype=self.vector_dtype, device=device(self.X))


class DeviceRows(Rows):
    """Rows of CuPy, with the speeds of a device."""

    call_seconds, small_seconds = rates.DEVICE_CALL, rates.DEVICE_SMALL
    factor_rate = rates.DEVICE_FACTOR

    @property
    def gram_cost(self):
        """Time of `gram` in passes over X, by the measured `rates`."""
        n, p = self.shape
        entry = rates.DEVICE_EXPANDED if self.sparse else rates.DEVICE_ENTRY
        return n * p * (entry + p / rates.DEVICE_GRAM) / self.pass_seconds

    @property
    def row_gram_cost(self):
        """Time of `row_gram` in passes over X, by the measured `rates`."""
        n, p = self.shape
        entry = rates.DEVICE_EXPANDED if self.sparse else rates.DEVICE_ENTRY
        return n * p * (entry + n / rates.DEVICE_GRAM) / self.pass_seconds

    @property
    def pass_seconds(self):
        """Time of a product and its adjoint, by the measured `rates`."""
        if self.sparse:
            return max(self.nnz, 1) * rates.DEVICE_SPARSE_PASS
        return self.nbytes / rates.DEVICE_PASS


def array_rows(X):
    """Storage of arrays that are not NumPy's."""
    return DeviceRows(X) if is_cupy(X) else Rows(X)


def scaled_single(G, factor):
    """Matrix diag(factor) G diag(factor) in single precision."""
    G = G * factor[:, None] * factor[None, :]
    return cast(G, namespace(G).float32)
