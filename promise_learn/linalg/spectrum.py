r"""Eigenvalues, condition number and effective dimension, from products alone.

The operator is a symmetric H or, with a preconditioner known by ``solve``, the
symmetric :math:`P^{-1/2} H P^{-1/2}`, whose eigenvalues are those of :math:`P^{-1} H`.
"""

import warnings
from math import inf

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from .._arrays import as_numpy, identity, like, namespace, normal
from .cholesky import cholesky
from .density import SpectralDensity, spectral_density
from .lanczos import lanczos

EXACT = 500
"""Order up to which dense matrices are formed: they are fast, and exact."""

EXTRA = 5  # columns of a block beyond the eigenvalues asked for
CHECK_EVERY = 10


def eigenvalues(product, dim, X, solve=None):
    r"""All eigenvalues, by a dense matrix.

    With a preconditioner they are those of :math:`L^T H L`, where
    :math:`P^{-1} = L L^T`.

    Parameters
    ----------
    product : callable
        V of shape (dim,) or (dim, k) to H V, with H symmetric.
    dim : int
        Order of H.
    X : array or CSR matrix
        Gives the namespace, device and dtype of the vectors.
    solve : callable, default=None
        V of shape (dim,) or (dim, k) to P^{-1} V, with P symmetric positive definite.
        None means the identity.

    Returns
    -------
    ndarray (dim,)
        Ascending, float64 on the host.

    Raises
    ------
    ValueError
        If P is not positive definite.
    """
    eye = identity(dim, like([0.0], X))
    H = as_numpy(product(eye)).astype(float)
    if solve is not None:
        inverse = as_numpy(solve(eye)).astype(float)
        L = cholesky(inverse)
        if L is None:
            raise ValueError(
                "the preconditioner is not positive definite in this precision: "
                "raise its damping rho"
            )
        H = L.T @ H @ L
    return np.linalg.eigvalsh((H + H.T) / 2)


def top_eigenvalues(product, dim, rng, X, k=10, solve=None, *, max_iter=50, rtol=1e-6):
    r"""Largest eigenvalues, repeated ones as often as they occur.

    Rayleigh-Ritz on the block Krylov space of k + 5 random vectors, of which all images
    are kept and made P-orthonormal (see `lanczos` for how that goes without P). A
    single vector would show each eigenvalue once.

    Parameters
    ----------
    product, dim
        As in `eigenvalues`.
    rng : numpy.random.Generator
        Draws the block.
    X
        As in `eigenvalues`.
    k : int, default=10
        Number of eigenvalues; at most dim are returned.
    solve : callable, default=None
        As in `eigenvalues`.
    max_iter : int, default=50
        Most blocks.
    rtol : float, default=1e-6
        Residual norm of every eigenpair, relative to the largest eigenvalue: a bound of
        the error of each value.

    Returns
    -------
    ndarray (k,)
        Descending, float64 on the host, none above the true one; by `eigenvalues` for
        dim up to `EXACT`.

    Warns
    -----
    ConvergenceWarning
        Where ``max_iter`` blocks do not reach ``rtol``.

    References
    ----------
    Musco and Musco, "Randomized block Krylov methods for stronger and faster
    approximate singular value decomposition", 2015, algorithm 2.
    """
    k = min(k, dim)
    if dim <= EXACT:
        return eigenvalues(product, dim, X, solve)[::-1][:k]
    xp, block = namespace(X), normal(rng, (dim, min(k + EXTRA, dim)), X)
    dual = primal = image = block[:, :0]
    values, error = np.zeros(k), 0.0
    for _ in range(max_iter):
        new, columns = _orthonormal(block, dual, primal, solve)
        if columns.shape[1] == 0:
            return values[:k]
        block = product(columns)
        dual, primal, image = (
            xp.concat(parts, axis=1)
            for parts in ((dual, new), (primal, columns), (image, block))
        )
        T = as_numpy(primal.T @ image).astype(float)
        ascending, vectors = np.linalg.eigh((T + T.T) / 2)
        values, vectors = ascending[::-1][:k], vectors[:, ::-1][:, :k]
        V = like(vectors, X)
        residual = image @ V - (dual @ V) * like(values, X)[None, :]
        solved = residual if solve is None else solve(residual)
        error = float(xp.max(xp.sum(residual * solved, axis=0))) ** 0.5
        if error <= rtol * values[0]:
            return values
    _warn(f"top_eigenvalues: an error up to {error:.1e} is left", max_iter)
    return values


def _orthonormal(block, dual, primal, solve):
    """P-orthonormal basis of what a block adds to a space, and P times it.

    Directions that are rounding error are left out.
    """
    eps = float(namespace(block).finfo(block.dtype).eps)
    for _ in range(2):
        block = block - dual @ (primal.T @ block)
        columns = block if solve is None else solve(block)
        G = as_numpy(block.T @ columns).astype(float)
        squares, vectors = np.linalg.eigh((G + G.T) / 2)
        room = dual.shape[0] - dual.shape[1]
        kept = squares > 100 * eps * max(squares[-1], 0.0)
        kept[: len(squares) - min(room, len(squares))] = False
        turn = like(vectors[:, kept] / np.sqrt(squares[kept]), block)
        block, columns = block @ turn, columns @ turn
        if not kept.any():
            break
    return block, columns


def condition_number(product, dim, rng, X, solve=None, *, max_iter=500, rtol=1e-2):
    r"""Ratio of the largest to the smallest eigenvalue of a positive definite operator.

    Exact for dim up to `EXACT`; else by `lanczos`, whose extreme Ritz values bound the
    ratio from below. Well-conditioned operators, such as preconditioned ones, take a
    few tens of products. The smallest eigenvalue of an ill-conditioned one is far below
    what an error bound can resolve, and may take as many products as there are columns.

    Parameters
    ----------
    product, dim
        As in `eigenvalues`.
    rng : numpy.random.Generator
        Draws the starting vector.
    X, solve
        As in `eigenvalues`.
    max_iter : int, default=500
        Most products with H.
    rtol : float, default=1e-2
        Error bounds of both eigenvalues at which to stop.

    Returns
    -------
    float
        Infinite where the smallest eigenvalue is rounding error of the largest.

    Warns
    -----
    ConvergenceWarning
        Where ``max_iter`` products do not reach ``rtol``: the ratio is a lower bound.
    """
    eps = float(namespace(X).finfo(X.dtype).eps)
    if dim <= EXACT:
        return _ratio(eigenvalues(product, dim, X, solve), eps)
    for k, krylov in enumerate(
        lanczos(product, normal(rng, (dim,), X), max_iter, solve)
    ):
        if k % CHECK_EVERY == 0 and _known(krylov, rtol):
            break
    if not _known(krylov, rtol):
        _warn("condition_number: the ratio is a lower bound", max_iter)
    return _ratio(krylov.eigenvalues()[0], eps)


def _known(krylov, rtol):
    """Whether both extreme Ritz values are within rtol of an eigenvalue."""
    values, _, bounds = krylov.eigenvalues()
    return bool(np.all(bounds[[0, -1]] <= rtol * values[[0, -1]]))


def _ratio(values, eps):
    """Largest over smallest of ascending values, infinite for a singular operator."""
    return float(values[-1] / values[0]) if values[0] > eps * values[-1] else inf


def _warn(what, max_iter):
    warnings.warn(
        f"{what} after max_iter={max_iter}: raise it, or precondition (solve).",
        ConvergenceWarning,
        stacklevel=3,
    )


def effective_dimension(product, dim, rng, X, mu, *, n_probes=10, steps=100):
    r"""Effective dimension of a positive semidefinite operator at a penalty mu.

    .. math:: d_{\mathrm{eff}}(\mu) = \mathrm{tr}\, H (H + \mu I)^{-1}
              = \sum_j \frac{\lambda_j}{\lambda_j + \mu}

    Exact for dim up to `EXACT`, else by `spectral_density`. A Nystrom approximation
    of about three times this rank leaves a condition number of order one (Frangella,
    Tropp and Udell, 2023).

    Parameters
    ----------
    product, dim
        As in `eigenvalues`; H without its penalty.
    rng : numpy.random.Generator
        Draws the probes.
    X : array or CSR matrix
        As in `eigenvalues`.
    mu : float
        Positive.
    n_probes : int, default=10
        Random vectors.
    steps : int, default=100
        Most products for each.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If mu is not positive.
    """
    if not mu > 0:
        raise ValueError(f"mu must be positive, got {mu!r}")
    if dim <= EXACT:
        values = eigenvalues(product, dim, X)
        found = SpectralDensity(values, np.full(dim, 1 / dim), dim)
    else:
        options = {"n_probes": n_probes, "steps": steps}
        found = spectral_density(product, dim, rng, X, **options)
    return dim * found.mean(lambda v: np.maximum(v, 0) / (np.maximum(v, 0) + mu))
