r"""The one form of a preconditioner's inverse, and what its specification must say.

Every preconditioner here is :math:`P = Y^T Y + \mathrm{diag}(d)` for a row block Y that
stands for the Hessian. Its inverse always reads :math:`P^{-1} g = t g - Y^T (M (Y g))`.
"""

from dataclasses import dataclass, replace
from math import sqrt
from typing import Any

from sklearn.base import BaseEstimator

from .._arrays import (
    cast,
    column,
    column_squares,
    identity,
    is_sparse,
    namespace,
    nbytes,
    scale_columns,
    zeros,
)
from ..linalg.cholesky import shifted_inverse
from ..linalg.gram import row_gram


@dataclass(frozen=True, eq=False)
class Inverse:
    r"""Inverse of a preconditioner, :math:`P^{-1} g = t g - Y^T (M (Y g))`.

    Attributes
    ----------
    t : array of shape (dim,)
        Diagonal part.
    Y : row block of shape (r, dim)
        Dense or CSR.
    M : array of shape (r, r)
        Symmetric.
    square : bool
        Whether r = dim, t = 0 and Y is the identity, so that ``-M`` is the inverse and
        the two products with Y can be left out.

    Notes
    -----
    The arrays have one dtype: that of the data when Y is dense, float64 when it is CSR.
    """

    t: Any
    Y: Any
    M: Any
    square: bool = False

    @property
    def rank(self):
        """Number of rows of Y."""
        return self.Y.shape[0]

    @property
    def nbytes(self):
        """Memory of the three factors, in bytes."""
        return nbytes(self.t) + nbytes(self.Y) + nbytes(self.M)

    def apply(self, g):
        """Product of the inverse with g.

        Parameters
        ----------
        g : array of shape (dim,) or (dim, K)
            For a block, every column is a vector of its own.

        Returns
        -------
        array of the shape and dtype of g
        """
        v = cast(g, self.t.dtype)
        if self.square:
            return cast(-(self.M @ v), g.dtype)
        out = column(self.t, v) * v
        if self.rank > 0:
            out = out - self.Y.T @ (self.M @ (self.Y @ v))
        return cast(out, g.dtype)

    def astype(self, dtype):
        """Inverse with factors of another dtype (itself when they have it)."""
        if self.t.dtype == dtype:
            return self
        t, Y, M = (cast(factor, dtype) for factor in (self.t, self.Y, self.M))
        return replace(self, t=t, Y=Y, M=M)

    def to_dense(self):
        """Matrix of the inverse, shape (dim, dim), for tests and small problems."""
        return self.apply(identity(self.t.shape[0], self.t))


class Preconditioner(BaseEstimator):
    r"""Specification of a preconditioner: parameters only, never changed by ``build``.

    A subclass writes :meth:`rows`, which turns a row block A into fewer or simpler rows
    Y with Y'Y close to A'A. Damping, equilibration and inversion are the same for all:

    .. math:: P = Y^T Y + \rho I

    or, when ``equilibrate`` is true and the exact diagonal h of the Hessian is given,
    with columns scaled by :math:`S = \mathrm{diag}(\sqrt{h})`,

    .. math::
        P = S \big( Y_s^T Y_s + \mathrm{diag}(\max(\rho, 1 - \mathrm{diag}(Y_s^T Y_s)))
        \big) S, \qquad Y_s^T Y_s \approx S^{-1} A^T A S^{-1}.

    The compensation keeps :math:`P_{jj} \ge h_j`: a rare column that the sampled rows
    missed keeps its true curvature instead of the damping alone. Scaling a column of X
    by c then scales the same column and row of P by c, and a solver cannot notice it.
    """

    equilibrate = True

    def rows(self, A, rng):
        """Row block that stands for A.

        Parameters
        ----------
        A : row block of shape (b, dim)
            Dense or CSR, A'A estimates the Hessian.
        rng : numpy.random.Generator
            Source of all randomness.

        Returns
        -------
        row block of shape (r, dim)
            May be A itself; it is not modified.
        """
        raise NotImplementedError

    def terms(self, A, rho, rng, diagonal=None):
        r"""Row block Y and diagonal d with :math:`P = Y^T Y + \mathrm{diag}(d)`.

        Parameters
        ----------
        A, rho, rng, diagonal
            As in :meth:`build`.

        Returns
        -------
        Y : row block of shape (r, dim)
        d : array of shape (dim,), float64
        """
        xp = namespace(A)
        if diagonal is None or not self.equilibrate:
            Y = self.rows(A, rng)
            return Y, damping(rho, Y)
        scale = xp.sqrt(_positive(cast(diagonal, xp.float64)))
        Y = self.rows(scale_columns(A, cast(1 / scale, A.dtype)), rng)
        missed = 1 - cast(column_squares(Y), xp.float64)
        compensation = xp.where(missed > rho, missed, xp.full_like(missed, rho))
        return scale_columns(Y, cast(scale, Y.dtype)), compensation * scale * scale

    def build(self, A, rho, rng, diagonal=None):
        """Inverse of the preconditioner for a row block.

        Parameters
        ----------
        A : row block of shape (b, dim)
            Dense or CSR, with A'A an estimate of the Hessian without penalty.
        rho : float
            Positive damping: on the scale of the Hessian, or relative to its diagonal
            (dimensionless) with equilibration.
        rng : numpy.random.Generator
            Source of all randomness.
        diagonal : array of shape (dim,), default=None
            Exact diagonal of the Hessian over all rows. Add the penalty to it, so that
            a column with next to no curvature is damped by its penalty. Columns where
            it is zero are damped by the largest entry. Used when ``equilibrate``.

        Returns
        -------
        Inverse
        """
        if not rho > 0:
            raise ValueError(f"rho must be positive, got {rho!r}")
        for name, value in self.get_params().items():
            if name in ("rank", "nonzeros") and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value!r}")
        return woodbury(*self.terms(A, rho, rng, diagonal))


def damping(rho, Y):
    """Constant diagonal of rho, shape (dim,), float64; at least rounding errors of Y'Y.

    Parameters
    ----------
    rho : float
        Damping asked for.
    Y : row block of shape (r, dim)
        Rows that it damps.

    Returns
    -------
    array of shape (dim,)
    """
    xp = namespace(Y)
    squares = cast(column_squares(Y), xp.float64)
    least = float(xp.finfo(Y.dtype).eps) * float(xp.max(squares))
    return xp.full_like(squares, max(rho, least))


def _positive(h):
    """Replace entries of h that are not positive by its largest one, or by 1."""
    xp = namespace(h)
    largest = float(xp.max(h))
    return xp.where(h > 0, h, xp.full_like(h, largest if largest > 0 else 1.0))


def woodbury(Y, diagonal):
    r"""Inverse of :math:`P = Y^T Y + D`, with :math:`D = \mathrm{diag}(diagonal)`.

    With :math:`Z = Y D^{-1/2}`, one of three equal expressions is used:

    * CSR Y, or dense Y that dominates D little (Woodbury):
      :math:`D^{-1} - (Y D^{-1})^T (I + Z Z^T)^{-1} Y D^{-1}`. CSR rows stay CSR.
    * dense Y, with :math:`Z^T = Q R`:
      :math:`D^{-1/2} (I - Q (I - (I + R R^T)^{-1}) Q^T) D^{-1/2}`.
      Woodbury's subtraction loses the digits of the square of
      :math:`\|Z\|^2`, this one those of :math:`\|Z\|^2`, for the price of a QR.
    * r >= dim: :math:`D^{-1/2} (I + Z^T Z)^{-1} D^{-1/2}`.

    Factors are computed in float64. When D is below what the stored factors can
    resolve (for a float32 dense Y: :math:`10^{-6}` of the largest eigenvalue), it is
    multiplied by a common factor up to there, so that the stored inverse stays positive
    definite.

    Parameters
    ----------
    Y : row block of shape (r, dim)
        Dense or CSR. It is copied.
    diagonal : array of shape (dim,)
        Positive.

    Returns
    -------
    Inverse
    """
    xp = namespace(Y)
    rank, dim = Y.shape
    root = 1 / xp.sqrt(cast(diagonal, xp.float64))
    if rank == 0:
        return Inverse(cast(root * root, Y.dtype), Y, zeros((0, 0), Y))
    Z = scale_columns(cast(Y, xp.float64), root)
    gram = row_gram(Z) if rank < dim else row_gram(Z.T)
    size = float(xp.linalg.matrix_norm(gram))
    sparse = is_sparse(Z)
    eps = float(xp.finfo(xp.float64 if sparse else Y.dtype).eps)
    if rank >= dim:
        inverse = _square(Z, root, gram, max(1.0, 10 * eps * size))
    elif sparse or eps * size * size < 1e-3:
        inverse = _rows(Z, root, gram, max(1.0, sqrt(10 * eps) * size))
    else:
        inverse = _orthogonal(Z, root, max(1.0, 10 * eps * size))
    return inverse if sparse else inverse.astype(Y.dtype)


def _rows(Z, root, gram, boost):
    """Inverse by Woodbury's identity, keeping the rows as they are stored."""
    M, boost = shifted_inverse(gram, boost)
    t = root * root / boost
    return Inverse(t, scale_columns(Z, root / boost), M)


def _orthogonal(Z, root, boost):
    """Inverse by an orthonormal basis of the rows of a dense Z."""
    xp = namespace(Z)
    Q, R = xp.linalg.qr(Z.T, mode="reduced")
    remainder, boost = shifted_inverse(R @ R.T, boost)
    root = root / sqrt(boost)
    M = identity(Q.shape[1], Q) - remainder
    return Inverse(root * root, scale_columns(Q.T, root), M)


def _square(Z, root, gram, boost):
    """Inverse formed as a dim x dim matrix, for at least as many rows as columns."""
    inverse, boost = shifted_inverse(gram, boost)
    root = root / sqrt(boost)
    M = -(root[:, None] * inverse * root[None, :])
    return Inverse(zeros(root.shape, root), identity(Z.shape[1], Z), M, square=True)
