"""Rows of X on any namespace: the verbs every storage offers, in array operations.

This text serves CuPy arrays, CuPyX CSR matrices and array-API arrays as it stands, and
is the reference that the compiled storages are tested against. An operand ``u`` is one
vector (p,) or a block (p, K), and ``offset`` a number or (K,) added to every row.
"""

from .._arrays import (
    as_numpy,
    column,
    column_squares,
    device,
    is_sparse,
    namespace,
    take,
)


class Rows:
    """X as it was given, dense or CSR.

    Parameters
    ----------
    X : array (n, p) or CSR matrix

    Attributes
    ----------
    vector_dtype : dtype
        Type of coefficients, margins and gradients.
    """

    def __init__(self, X):
        self.X = X
        self.xp = namespace(X)
        self.shape = X.shape
        self.sparse = is_sparse(X)
        self.vector_dtype = X.dtype

    @property
    def nnz(self):
        """Stored entries."""
        return self.X.nnz if self.sparse else self.shape[0] * self.shape[1]

    @property
    def nbytes(self):
        """Bytes of the stored entries."""
        return self.nnz * self.X.dtype.itemsize

    def dot(self, u, offset=0.0):
        """X u + offset."""
        return self.X @ u + offset

    def adjoint(self, r):
        """X' r."""
        return self.X.T @ r

    def expand(self, loss, u, offset, y, s):
        """Weighted loss, margins, weighted slopes, curvature at u, and X' slopes.

        A scalar curvature (n,) comes weighted, the multinomial one as `Loss` gives it.
        """
        eta = self.dot(u, offset)
        value, slope, curvature = loss.evaluate(eta, y)
        slope = column(s, slope) * slope
        total = float(self.xp.sum(column(s, value) * value))
        if curvature.ndim == 1:
            curvature = s * curvature
        return total, eta, slope, curvature, self.adjoint(slope)

    def curved(self, d, v, offset):
        """X' t and the sum of t over rows, where t = d * (X v + offset)."""
        t = self.dot(v, offset)
        t = column(d, t) * t
        return self.adjoint(t), self.xp.sum(t, axis=0)

    def loss_sum(self, loss, eta, y, s):
        """Weighted loss at margins eta."""
        value = loss.value(eta, y)
        return float(self.xp.sum(column(s, value) * value))

    def slope_sum(self, loss, eta, change, t, y, s):
        """Derivative in t of the weighted loss at margins eta + t * change."""
        slope = loss.slope(eta + t * change, y)
        return float(self.xp.sum(column(s, slope) * slope * change))

    def squares(self, d):
        """Diagonal of X' diag(d) X."""
        if self.sparse:
            return self.X.multiply(self.X).T @ d
        return (self.X * self.X).T @ d

    def gram(self, d, shift):
        """(X - 1 shift')' diag(d) (X - 1 shift') and (X - 1 shift')' d, in float64."""
        xp = self.xp
        X = self.X.toarray() if self.sparse else self.X
        centred = xp.astype(X, xp.float64) - xp.astype(shift, xp.float64)[None, :]
        d = xp.astype(d, xp.float64)
        weighted = centred * d[:, None]
        return centred.T @ weighted, xp.sum(weighted, axis=0)

    def means(self, s):
        """Weighted column means X' s / sum(s)."""
        return self.adjoint(s) / self.xp.sum(s)

    def block(self, rows):
        """Row block of the given host indices."""
        return take(self.X, rows)

    def row_squares(self):
        """Squared Euclidean norm of every row, on the host."""
        if self.sparse:
            return as_numpy(column_squares(self.X.T))
        return as_numpy(self.xp.sum(self.X * self.X, axis=1))

    def subset(self, rows):
        """Storage of the given rows alone."""
        return type(self)(self.block(rows))

    def zeros(self, shape):
        """Vector or block of zeros beside X."""
        return self.xp.zeros(shape, dtype=self.vector_dtype, device=device(self.X))
