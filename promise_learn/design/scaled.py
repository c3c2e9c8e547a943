r"""The design matrix that the objective sees: X, lazily centred and scaled.

.. math:: \eta = (X - 1 m') \, \mathrm{diag}(1/c) \, w_{1:p} + w_{p+1}

Neither centring nor scaling touches X: they change p-vectors before and after a
product, so sparse data stay sparse and nothing is copied.
"""

import sys

from .._arrays import (
    append_column,
    append_row,
    column,
    column_squares,
    diagonal,
    namespace,
    scale_columns,
    scale_rows,
    sum_rows,
)
from .compiled import rows_of


class Design:
    """Centred and scaled view of X, with an intercept column on request.

    Parameters
    ----------
    X : array (n, p) or CSR matrix
    shift : array (p,), optional
        Subtracted from every row (column means); only with an intercept, which absorbs
        the change.
    scale : array (p,), optional
        Divides the columns.
    intercept : bool, default=False
        Whether a constant column follows the p columns.

    Attributes
    ----------
    shape : tuple
        (n, dim) with dim = p + 1 if there is an intercept, else p.
    """

    def __init__(self, X, shift=None, scale=None, intercept=False):
        self.rows = X if hasattr(X, "vector_dtype") else rows_of(X)
        self.shift, self.scale, self.intercept = shift, scale, intercept
        n, p = self.rows.shape
        self.shape = (n, p + int(intercept))
        self.xp = self.rows.xp

    def inner(self, w):
        """Coefficients u of X itself and the constant: eta = X u + offset."""
        u = w[: self.rows.shape[1], ...]
        offset = w[-1, ...] if self.intercept else 0.0
        if self.scale is not None:
            u = u / column(self.scale, u)
        if self.shift is not None:
            offset = offset - sum_rows(column(self.shift, u) * u)
        return u, offset

    def outer(self, g, total):
        """Adjoint of `inner`: from X' r and the sum of r to a dim-vector or block."""
        if self.shift is not None:
            g = g - column(self.shift, g) * total
        if self.scale is not None:
            g = g / column(self.scale, g)
        if self.intercept:
            g = append_row(g, total)
        return g

    def dot(self, w):
        """Margins, shape (n,) or (n, K)."""
        return self.rows.dot(*self.inner(w))

    def adjoint(self, r):
        """Transposed product, shape (dim,) or (dim, K)."""
        return self.outer(self.rows.adjoint(r), sum_rows(r))

    def expand(self, loss, w, y, s):
        """Weighted loss, margins, slopes, curvature and gradient of the loss part."""
        value, eta, r, d, g = self.rows.expand(loss, *self.inner(w), y, s)
        return value, eta, d, self.outer(g, sum_rows(r))

    def expand_with_squares(self, loss, w, y, s):
        """As `expand`, then `squares` of the curvature; None where they cost more."""
        value, eta, r, d, g, squares = self.rows.expand_with_squares(
            loss, *self.inner(w), y, s, self._shift()
        )
        if squares is not None:
            squares = self._outer_squares(squares, d)
        return value, eta, d, self.outer(g, sum_rows(r)), squares

    def curved(self, d, v):
        """Design' diag(d) Design v, in one read of X."""
        return self.outer(*self.rows.curved(d, *self.inner(v)))

    def sketched(self, d, V):
        """`curved` of the test vectors of a sketch, which features may keep."""
        return self.outer(*self.rows.sketched(d, *self.inner(V)))

    def through(self, act, v):
        """Design' act(Design v, rows), in one read of X where rows are generated."""
        return self.outer(*self.rows.through(act, *self.inner(v)))

    def squares(self, d):
        """Diagonal of Design' diag(d) Design, shape (dim,)."""
        return self._outer_squares(self.rows.squares(d, self._shift()), d)

    def _outer_squares(self, g, d):
        weight = sum_rows(d)
        g = self.xp.where(self._constant(g, weight), 0.0, g)
        if self.scale is not None:
            g = g / self.scale**2
        if self.intercept:
            g = append_row(g, weight)
        return g

    def gram(self, d, unit=None):
        """Dense Design' diag(d) Design in float64, shape (dim, dim).

        With a ``unit`` (dim,) of every column, which divides it, in single precision.
        """
        xp, p = self.xp, self.rows.shape[1]
        factor, scale = None, self.scale
        if unit is not None:
            factor = 1 / unit
            if scale is not None:
                factor[:p] /= scale
        G = self.rows.gram(d, self._shift(), self.intercept, factor)
        squares = diagonal(G)[:p]
        if unit is not None:
            squares, scale = xp.astype(squares, d.dtype) / factor[:p] ** 2, None
        constant = self._constant(squares, sum_rows(d))
        if bool(xp.any(constant)):
            kept = xp.astype(~constant, G.dtype)
            G[:p, :] *= kept[:, None]
            G[:, :p] *= kept[None, :]
        if scale is not None:
            G[:p, :] /= scale[:, None]
            G[:, :p] /= scale[None, :]
        return G

    def row_gram(self):
        """Products of the rows, without the intercept, in float64.

        Columns are centred, and not scaled.
        """
        return self.rows.row_gram(self._shift())

    def _shift(self):
        """Vector that is subtracted from every row, zeros if nothing is."""
        if self.shift is None:
            return self.rows.zeros(self.rows.shape[1:])
        return self.shift

    def _constant(self, squares, total):
        """Whether the centred columns with these sums of squares are rounding errors.

        A constant column less its mean is some eps times the mean, and not zero.
        """
        bound = 4 * sys.float_info.epsilon
        if not self.rows.sparse:
            bound = bound**2  # centred before it is squared
        return squares <= bound * total * self._shift() ** 2

    def root(self, rows, d):
        """Row block diag(sqrt(d)) Design[rows]; sparse rows are not centred."""
        A = self.rows.block(rows)
        root = namespace(d).sqrt(d)
        if self.shift is not None:
            if self.rows.sparse:
                raise ValueError(
                    "a row block of sparse data cannot be centred and stay sparse: "
                    "build the Design with shift=None"
                )
            A = self.xp.astype(A, d.dtype) - self.shift[None, :]
            constant = self._constant(column_squares(A), A.shape[0])
            A *= self.xp.astype(~constant, A.dtype)[None, :]
        A = scale_rows(A, root)
        if self.scale is not None:
            A = scale_columns(A, 1 / self.scale)
        return append_column(A, root) if self.intercept else A

    def subset(self, rows):
        """Design of the given rows alone, in the same coordinates."""
        return Design(self.rows.subset(rows), self.shift, self.scale, self.intercept)
