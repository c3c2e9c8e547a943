"""Randomised Nystrom approximation of a positive semidefinite operator."""

from dataclasses import dataclass
from math import isfinite, sqrt
from typing import Any

from numpy.linalg import LinAlgError

from .._arrays import cast, column, namespace, normal, solve_triangular, zeros
from .cholesky import N_ATTEMPTS, cholesky
from .power import operator_norm


@dataclass(frozen=True, eq=False)
class LowRank:
    r"""Positive semidefinite matrix of low rank, :math:`U \mathrm{diag}(\lambda) U^T`.

    Attributes
    ----------
    U : array of shape (p, r)
        Orthonormal columns. Dense by nature, also when the operator is sparse.
    eigenvalues : array of shape (r,)
        Descending, non-negative.
    """

    U: Any
    eigenvalues: Any

    @property
    def rank(self):
        """Number of columns of U."""
        return self.U.shape[1]

    def product(self, V):
        """Product with a vector (p,) or a block (p, k)."""
        coordinates = self.U.T @ V
        return self.U @ (column(self.eigenvalues, coordinates) * coordinates)

    def rows(self):
        """Row block Y of shape (r, p) with Y'Y equal to the matrix."""
        xp = namespace(self.U)
        return xp.sqrt(self.eigenvalues)[:, None] * self.U.T


@dataclass(frozen=True, eq=False)
class Sketch:
    r"""Orthonormal test vectors and their images, from which the rank can grow.

    Attributes
    ----------
    test : array of shape (p, r)
        Orthonormal basis :math:`\Omega` of random directions.
    image : array of shape (p, r)
        :math:`H \Omega`.
    """

    test: Any
    image: Any

    @classmethod
    def empty(cls, dim, X):
        """Sketch without columns for an operator of order dim, of X's kind."""
        return cls(zeros((dim, 0), X), zeros((dim, 0), X))

    @property
    def rank(self):
        """Number of test vectors."""
        return self.test.shape[1]

    def grow(self, product, rank, rng):
        """Sketch with more test vectors; only their products are computed.

        New Gaussian columns are made orthogonal to the old ones (twice, which is
        enough), so that the range is that of one Gaussian block of the final size.

        Parameters
        ----------
        product : callable
            V of shape (p, k) to H V.
        rank : int
            Number of test vectors wanted; at most p are kept.
        rng : numpy.random.Generator
            Draws the new columns.

        Returns
        -------
        Sketch
            With min(rank, p) columns, the old ones first.
        """
        dim = self.test.shape[0]
        extra = min(rank, dim) - self.rank
        if extra <= 0:
            return self
        xp = namespace(self.test)
        new = normal(rng, (dim, extra), self.test)
        if self.rank > 0:
            for _ in range(2):
                new = new - self.test @ (self.test.T @ new)
        new, _ = xp.linalg.qr(new, mode="reduced")
        return Sketch(
            xp.concat([self.test, new], axis=1),
            xp.concat([self.image, product(new)], axis=1),
        )

    def low_rank(self):
        r"""Nystrom approximation :math:`(H\Omega)(\Omega^T H \Omega)^{-1}(H\Omega)^T`.

        The operator is shifted by :math:`\nu = \sqrt{p}\,\epsilon\,\|H\Omega\|_F`, and
        the shift is taken off the eigenvalues again (Frangella, Tropp and Udell, 2023,
        algorithm 2.1). When the core has no Cholesky factor the shift grows and both
        the image and the core are formed again: raising it in the core alone, as some
        codes do, leaves no Nystrom approximation of anything. All factors are float64.

        Returns
        -------
        LowRank
            In the dtype of the sketch, with as many columns.

        Raises
        ------
        numpy.linalg.LinAlgError
            If the operator is not positive semidefinite or not finite.
        """
        xp, dtype = namespace(self.test), self.test.dtype
        test, image = cast(self.test, xp.float64), cast(self.image, xp.float64)
        norm = float(xp.linalg.matrix_norm(image))
        if norm == 0:
            return LowRank(self.test, zeros((self.rank,), self.test))
        shift = sqrt(test.shape[0]) * float(xp.finfo(dtype).eps) * norm
        for _ in range(N_ATTEMPTS if isfinite(norm) else 0):
            shifted = image + shift * test
            core = test.T @ shifted
            root = cholesky(core)
            if root is not None:
                return _spectrum(shifted, root, shift, dtype)
            lowest = float(xp.min(xp.linalg.eigvalsh((core + core.T) / 2)))
            shift = 10 * shift + 1.1 * max(-lowest, 0.0)
        raise LinAlgError(
            "the operator is not positive semidefinite or returned values that are "
            f"not finite (norm of its products {norm:.3g})"
        )


def _spectrum(shifted, root, shift, dtype):
    """Eigenvectors and eigenvalues of B B' - shift I, with B root' = shifted."""
    xp = namespace(shifted)
    # solving, rather than multiplying by an inverse, keeps the error at the size of
    # the shift
    B = solve_triangular(root, shifted.T).T
    Q, R = xp.linalg.qr(B, mode="reduced")
    small = xp.linalg.svd(R, full_matrices=False)
    eigenvalues = xp.maximum(small.S * small.S - shift, xp.zeros_like(small.S))
    return LowRank(cast(Q @ small.U, dtype), cast(eigenvalues, dtype))


def nystrom(product, dim, rank, rng, X):
    r"""Randomised Nystrom approximation of a positive semidefinite operator.

    .. math:: \hat H = (H\Omega)(\Omega^T H\Omega)^{\dagger}(H\Omega)^T \preceq H

    with :math:`\Omega` an orthonormal basis of min(rank, dim) Gaussian vectors. Exact
    when the rank of H is not larger. See :meth:`Sketch.low_rank`; keep the
    :class:`Sketch` itself to grow the rank later.

    Parameters
    ----------
    product : callable
        V of shape (dim, k) to H V, called once.
    dim : int
        Order of H.
    rank : int
        Number of columns of the sketch.
    rng : numpy.random.Generator
        Draws the test vectors.
    X : array or CSR matrix
        Gives the namespace, device and dtype.

    Returns
    -------
    LowRank
        Of min(rank, dim) columns.
    """
    return Sketch.empty(dim, X).grow(product, rank, rng).low_rank()


def error_norm(product, low_rank, rng, *, max_iter=10):
    r"""A-posteriori estimate of :math:`\|H - \hat H\|_2`, from below.

    Parameters
    ----------
    product : callable
        v of shape (p,) to H v.
    low_rank : LowRank
        The approximation.
    rng : numpy.random.Generator
        Draws the starting vector.
    max_iter : int, default=10
        Products with H.

    Returns
    -------
    float
        By :func:`promise_learn.linalg.operator_norm`.
    """
    return operator_norm(
        lambda v: product(v) - low_rank.product(v),
        low_rank.U.shape[0],
        rng,
        low_rank.U,
        max_iter=max_iter,
    )
