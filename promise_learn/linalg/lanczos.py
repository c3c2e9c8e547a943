"""Lanczos tridiagonalisation with full reorthogonalisation, from products alone."""

from dataclasses import dataclass
from math import sqrt

import numpy as np

from .._arrays import namespace, zeros


@dataclass(frozen=True, eq=False)
class Tridiagonal:
    r"""Symmetric tridiagonal matrix T of a Krylov space.

    Attributes
    ----------
    diagonal : ndarray (k,)
    off : ndarray (k - 1,)
        Entries beside the diagonal.
    residual : float
        The next entry of ``off``: norm of what H adds to the space. About zero where
        the space is invariant.
    norm : float
        Of the starting vector.
    """

    diagonal: np.ndarray
    off: np.ndarray
    residual: float
    norm: float

    def eigenvalues(self):
        """Ritz values, ascending, with their weights and error bounds.

        Returns
        -------
        values : ndarray (k,)
        weights : ndarray (k,)
            Squared first entries of the eigenvectors of T: a Gauss rule for the
            spectral measure of the starting vector. They sum to one.
        bounds : ndarray (k,)
            Each value has an eigenvalue within its bound.
        """
        from scipy.linalg import eigh_tridiagonal

        values, vectors = eigh_tridiagonal(self.diagonal, self.off)
        return values, vectors[0] ** 2, self.residual * np.abs(vectors[-1])


def lanczos(product, start, steps, solve=None):
    r"""Tridiagonal matrix of a symmetric operator on the Krylov space of a vector.

    With a preconditioner P the operator is :math:`P^{-1/2} H P^{-1/2}` in other
    coordinates: the Lanczos recurrence for :math:`P^{-1} H`, which is symmetric in the
    inner product of P. Beside the P-orthonormal vectors q it keeps :math:`p = P q`, so
    that :math:`q_i \cdot p_j` is every inner product it needs, and no root of P, nor a
    product with P, is ever formed:

    .. math:: z = H q_k, \quad \alpha_k = q_k \cdot z, \quad
              r = z - \alpha_k p_k - \beta_{k-1} p_{k-1}, \quad
              q = P^{-1} r, \quad \beta_k = \sqrt{q \cdot r}.

    Every r is made orthogonal to all earlier q, twice, which is enough: copies of
    converged eigenvalues never appear. The last matrix is the one where
    :math:`\beta_k` is rounding error: the space is invariant.

    Parameters
    ----------
    product : callable
        v of shape (dim,) to H v, with H symmetric.
    start : array (dim,)
        :math:`p_0` before it is normalised: :math:`P^{1/2} z` for a starting vector z
        of :math:`P^{-1/2} H P^{-1/2}`.
    steps : int
        Most products with H; at most dim are made.
    solve : callable, default=None
        r of shape (dim,) to P^{-1} r, with P symmetric positive definite. None means
        the identity.

    Yields
    ------
    Tridiagonal
        After every product.

    References
    ----------
    Golub and Van Loan, Matrix Computations, algorithm 10.1.1 and section 10.3;
    Parlett, The Symmetric Eigenvalue Problem, chapters 13 and 15.
    """
    xp, steps = namespace(start), min(steps, start.shape[0])
    eps = float(xp.finfo(start.dtype).eps)
    dual = zeros((steps, start.shape[0]), start)
    primal = dual if solve is None else zeros(dual.shape, start)
    r = start
    q, norm = _normalise(r, solve)
    beta, scale, diagonal, off = norm, 0.0, [], []
    for k in range(steps):
        dual[k, :], primal[k, :] = r / beta, q / beta
        z = product(primal[k, :])
        alpha = float(xp.sum(primal[k, :] * z))
        r = z - alpha * dual[k, :]
        for _ in range(2):
            r = r - (primal[: k + 1, :] @ r) @ dual[: k + 1, :]
        q, beta = _normalise(r, solve)
        diagonal.append(alpha)
        scale = max(scale, abs(alpha) + beta)
        yield Tridiagonal(np.array(diagonal), np.array(off), beta, norm)
        if beta <= 10 * eps * scale:
            return
        off.append(beta)


def _normalise(r, solve):
    """P^-1 r, and the norm of r in the inner product of P^-1."""
    q = r if solve is None else solve(r)
    return q, sqrt(max(float(namespace(r).sum(q * r)), 0.0))
