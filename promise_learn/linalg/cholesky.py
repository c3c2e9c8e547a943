"""Cholesky factors that say when there is none, and the inverse of I + G."""

from contextlib import nullcontext

import numpy as np
from numpy.linalg import LinAlgError
from scipy.linalg import lapack

from .. import kernels
from .._arrays import (
    add_diagonal,
    as_numpy,
    diagonal,
    identity,
    is_numpy,
    like,
    namespace,
    solve_triangular,
)
from ..kernels._threads import serial_blas

N_ATTEMPTS = 6
CERTAIN, LOST = 1e-8, 1e-15  # of the largest diagonal entry, as squared pivots
SERIAL = range(100, 1500)  # orders for which BLAS starts threads that gain little


def cholesky(K):
    """Lower Cholesky factor of the symmetric part of K, None when there is none."""
    return factor((K + K.T) / 2)


def factor(K, overwrite=False):
    """Lower Cholesky factor of a symmetric matrix, None when there is none.

    LAPACK says so by an error code, CuPy by NaN. With ``overwrite`` a row-major K on
    the host may be used for the factor.
    """
    xp = namespace(K)
    if is_numpy(K):
        potrf = lapack.spotrf if K.dtype == np.float32 else lapack.dpotrf
        with _threads_for(K):
            upper, lost = potrf(K.T, lower=0, overwrite_a=overwrite)
        if lost:
            return None
        L = upper.T
    else:
        try:
            L = xp.linalg.cholesky(K)
        except LinAlgError:
            return None
    return L if bool(xp.all(xp.isfinite(diagonal(L)))) else None


def pivoted(K):
    """Rows L (n, r) with L L' = K for a semidefinite K (n, n) of rank r, at least 1.

    Where K is not finite, L is no number: a solver then says that it diverged.

    Returns
    -------
    L : array of shape (n, r)
    rows : array of r host indices
        Rows of L that form a lower triangle.
    """
    host = as_numpy(K)
    L = _unpivoted(host)
    if L is not None:
        return like(L, K), np.arange(L.shape[1])
    with _threads_for(host):
        lower, order, rank, _ = lapack.dpstrf(host, lower=1)
    if not np.isfinite(host).all():
        return like(np.full((len(host), 1), np.nan), K), order[:1] - 1
    if rank == 0:
        return like(np.zeros((len(host), 1)), K), order[:1] - 1
    L = np.zeros((len(host), rank))
    L[order - 1] = np.tril(lower)[:, :rank]
    return like(L, K), order[:rank] - 1


def _unpivoted(K):
    """Rows L (n, r) with L L' = K in their own order, several times as fast to find.

    None unless K has full rank for certain, or lacks it by one, as products of centred
    rows do.
    """
    n, top = len(K), np.max(np.diagonal(K))
    first = factor(K[:-1, :-1]) if n > 1 else None
    if first is None or not np.min(np.diagonal(first)) ** 2 > CERTAIN * top:
        return None
    last = solve_triangular(first, K[:-1, -1])
    left = K[-1, -1] - last @ last
    if left > CERTAIN * top:
        first = np.pad(first, ((0, 0), (0, 1)))
        last = np.append(last, np.sqrt(left))
    elif left > LOST * n * top:
        return None
    return np.vstack([first, last])


def shifted_inverse(G, boost=1.0):
    r"""Inverse of I + G / boost for a positive semidefinite G.

    .. math:: (I + G / boost)^{-1} = L^{-T} L^{-1}

    Parameters
    ----------
    G : array of shape (r, r), float64
        Gram matrix in units of the damping, symmetric.
    boost : float
        Factor by which the damping is raised. It doubles each time that rounding
        errors leave the matrix without a Cholesky factor, five times at most.

    Returns
    -------
    inverse : array of shape (r, r)
        Symmetric positive semidefinite.
    boost : float
        The factor that was used.
    """
    xp = namespace(G)
    one = xp.ones_like(diagonal(G))
    for _ in range(N_ATTEMPTS):
        L = factor(add_diagonal(G / boost, one, overwrite=True), overwrite=True)
        if L is not None:
            return _inverse(L), boost
        boost *= 2
    raise LinAlgError(
        "the preconditioner's matrix has no Cholesky factor: its rows hold values "
        "that are not finite; look for overflow in X or in the coefficients"
    )


def inverse_trace(G, shift):
    """Trace of (G + shift I)^-1 for a semidefinite G, None where it has no factor."""
    xp = namespace(G)
    L = factor(add_diagonal(G, xp.full_like(diagonal(G), shift)))
    if L is None:
        return None
    return float(xp.sum(diagonal(_inverse(L))))


def _inverse(L):
    """(L L')^-1, symmetric to the last digit; L is overwritten on the host."""
    if not is_numpy(L):
        half = solve_triangular(L, identity(L.shape[0], L))
        return half.T @ half
    with _threads_for(L):
        lower = lapack.dpotri(L.T, lower=0, overwrite_c=1)[0].T
    kernels.grams.mirror(lower)
    return lower


def _threads_for(K):
    """Context in which BLAS has as many threads as a factor of this order can use."""
    small = is_numpy(K) and K.shape[0] in SERIAL
    return serial_blas() if small else nullcontext()
