"""Solve with a symmetric positive semi-definite matrix."""

import math

import numpy as np

from .._arrays import is_numpy, namespace

MAX_EIGH = 2500


class Factor:
    """Factor of a symmetric positive (semi-)definite matrix; columns equilibrated first.

    Cholesky on the host; a spectral factor elsewhere, or where a pivot is lost in
    rounding, and then `solve` gives the minimum-norm solution in the scaled variables.

    Parameters
    ----------
    H : array (dim, dim)

    Attributes
    ----------
    pivot : float
        Smallest squared pivot after scaling: a lower bound, up to a factor of dim, of
        how far the scaled matrix is from a singular one.
    """

    def __init__(self, H):
        xp = namespace(H)
        h = xp.linalg.diagonal(H)
        ok = h > 0
        self._scale = xp.where(ok, 1 / xp.sqrt(xp.where(ok, h, 1.0)), 0.0)
        self._lower = self._vectors = None
        dim = H.shape[0]
        lost = dim * np.finfo(np.float64).eps
        if is_numpy(H):
            self._cholesky(H * self._scale[:, None] * self._scale[None, :], lost)
        if self._lower is None:
            S = H * self._scale[:, None] * self._scale[None, :]
            values, self._vectors = xp.linalg.eigh(S)
            top = float(xp.max(xp.abs(values))) if dim else 0.0
            keep = values > lost * top
            self._inverse = xp.where(keep, 1 / xp.where(keep, values, 1.0), 0.0)
            self.pivot = float(xp.min(xp.where(keep, values, top))) if dim else 1.0

    def _cholesky(self, S, lost):
        from scipy.linalg import LinAlgError, cholesky

        np.fill_diagonal(S, 1.0)
        try:
            lower = cholesky(S, lower=True, check_finite=False)
        except LinAlgError:
            return
        pivot = float(lower.diagonal().min()) ** 2 if len(S) else 1.0
        if pivot > lost or len(S) > MAX_EIGH:
            self._lower, self.pivot = lower, max(pivot, math.ulp(1.0))

    def solve(self, g):
        """H^-1 g for a vector (dim,) or a block (dim, K)."""
        scale = self._scale if g.ndim == 1 else self._scale[:, None]
        if self._lower is not None:
            from scipy.linalg import cho_solve

            x = cho_solve((self._lower, True), scale * g, check_finite=False)
        else:
            inverse = self._inverse if g.ndim == 1 else self._inverse[:, None]
            x = self._vectors @ (inverse * (self._vectors.T @ (scale * g)))
        return scale * x
