r"""Nyström features: the kernel to some rows of the data, made orthonormal.

.. math:: \varphi(x) = W^T k(Z, x), \qquad W W^T = (K(Z, Z) + \delta I)^{-1}

so that inner products are the Nyström approximation of the kernel; Williams and Seeger,
Using the Nyström method to speed up kernel machines (2001). Distances of near rows
cancel, so kernel values are computed in float64; the product with W, which is nearly
all of the work, runs in the type of the features.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.linalg import lapack

from .._arrays import (
    as_numpy,
    cast,
    dense,
    is_numpy,
    is_sparse,
    like,
    namespace,
    row_squares,
    take,
)
from ..linalg.cholesky import factor
from .maps import DrawnMap, on_host

VALUES = 2**17  # kernel values that are computed at once, in cache
VALUE_COPIES = 7  # float64 arrays that computing them holds at once, and some to spare
LANDMARK_COPIES = 4  # float64 arrays of them that drawing holds at once
COLUMN = 80.0  # flops of a product that take as long as |x_j - z_j|; measured
DOUBLE = 2.0**-52


@dataclass(frozen=True, eq=False)
class NystromMap(DrawnMap):
    """Nyström features whose landmarks have been drawn.

    Attributes
    ----------
    kernel : {"rbf", "laplacian", "arccos"}
    gamma : float
    degree : {0, 1}
        Of the arc-cosine kernel.
    n_components : int
    origin : array (d,)
        What landmarks are measured from, so that their squares are small: their mean,
        zero for the arc-cosine kernel.
    landmarks : array (d, m), float64
        Z', less the origin.
    squares : array (m,)
        Of the norms of the landmarks.
    weights : array (m, n_components)
        W, or columns of it.
    """

    kernel: str
    gamma: float
    degree: int
    n_components: int
    origin: Any
    landmarks: Any
    squares: Any
    weights: Any = None

    separable = True

    @property
    def drawn(self):
        """Weights."""
        return self.weights

    def astype(self, dtype):
        """Return the same map for features of another type."""
        return replace(self, weights=cast(self.weights, dtype))

    def flops(self, entries):
        """Floating-point operations a feature of a row with so many entries.

        Those of kernel values are float64, at half the speed.
        """
        values = 4.0 * entries
        if self.kernel == "laplacian":
            values = COLUMN * self.landmarks.shape[0]
        return values + 2.0 * self.weights.shape[0]

    def part(self, lo, hi):
        """Return the map to features lo:hi alone."""
        return replace(self, n_components=hi - lo, weights=self.weights[:, lo:hi])

    def buffers(self, n_rows):
        """Arrays for features and kernel values of host blocks of so many rows."""
        return *super().buffers(n_rows), self._kernel_buffer(n_rows)

    def _kernel_buffer(self, n_rows):
        return np.empty((n_rows, self.weights.shape[0]), self.dtype)

    def apply(self, X, out=None, scratch=None):
        """Features (b, m) of a row block; as `FeatureMap.apply`.

        Kernel values of host blocks are written to ``scratch``, of at least b rows.
        """
        if not is_numpy(X):
            return cast(self.values(X), self.dtype) @ self.weights
        scratch = self._kernel_buffer(X.shape[0]) if scratch is None else scratch
        K = self.fill(X, scratch[: X.shape[0]])
        return np.matmul(K, self.weights, out=out)

    def fill(self, X, K):
        """Write kernel values of host rows to K, a few rows at a time."""
        step = block_values(K.shape[1])
        for lo in range(0, K.shape[0], step):
            K[lo : lo + step] = self.values(X[lo : lo + step])
        return K

    def values(self, X):
        """Kernel values (b, m) of a row block and the landmarks, in float64."""
        X = cast(X, self.landmarks.dtype)
        if self.kernel == "laplacian":
            return self._laplacian(dense(X))
        if is_sparse(X):
            T = X @ self.landmarks - (self.origin @ self.landmarks)[None, :]
            squares = row_squares(X) - 2 * (X @ self.origin)
            squares += namespace(X).sum(self.origin * self.origin)
        else:
            X = X - self.origin[None, :]
            T, squares = X @ self.landmarks, row_squares(X)
        return (self._rbf if self.kernel == "rbf" else self._arccos)(T, squares)

    def _laplacian(self, X):
        xp, X = namespace(X), X - self.origin[None, :]
        T = xp.abs(X[:, 0][:, None] - self.landmarks[0, :][None, :])
        for j in range(1, X.shape[1]):
            T += xp.abs(X[:, j][:, None] - self.landmarks[j, :][None, :])
        T *= -self.gamma
        return xp.exp(T)

    def _rbf(self, T, squares):
        T *= 2 * self.gamma
        T -= self.gamma * squares[:, None]
        T -= self.gamma * self.squares[None, :]
        return namespace(T).exp(T)

    def _arccos(self, T, squares):
        """Of a zero row, whose random features are zero, all values are."""
        xp = namespace(T)
        norms = xp.sqrt(squares)[:, None] * xp.sqrt(self.squares)[None, :]
        positive = norms > 0
        T /= xp.where(positive, norms, xp.ones_like(norms))
        T = xp.clip(T, -1.0, 1.0)
        turned = math.pi - xp.acos(T)
        if self.degree == 0:
            return xp.where(positive, turned / math.pi, norms)
        turned *= T
        turned += xp.sqrt(1 - T * T)
        turned *= norms
        turned /= math.pi
        return turned


def draw_landmarks(X, n_components, kernel, gamma, degree, rng, dtype=None):
    """Draw landmarks from the rows of X, all with the same probability.

    Parameters
    ----------
    X : array or CSR matrix (n, d)
    n_components : int
        m.
    kernel : {"rbf", "laplacian", "arccos"}
    gamma : float
    degree : {0, 1}
    rng : numpy.random.Generator
    dtype : dtype, optional
        Of the features; that of X by default.

    Returns
    -------
    NystromMap

    Raises
    ------
    ValueError
        Where X has fewer than ``n_components`` rows.
    """
    n, m, dtype = X.shape[0], n_components, dtype or X.dtype
    if m > n:
        raise ValueError(
            f"approximation='nystrom' draws n_components={m:,} different rows of X "
            f"(n_samples = {n}): lower n_components or use approximation='random'."
        )
    rows = np.sort(rng.choice(n, m, replace=False, shuffle=False))
    # as the map will see rows of X: in the type of the features
    Z = as_numpy(dense(take(X, rows))).astype(on_host(dtype)).astype(float)
    origin = np.zeros(X.shape[1]) if kernel == "arccos" else Z.mean(axis=0)
    near = np.ascontiguousarray((Z - origin).T)
    squares = np.einsum("jk,jk->k", near, near)
    host = NystromMap(kernel, float(gamma), degree, m, origin, near, squares)
    weights = _weights(host, Z, on_host(dtype))
    anchor, double = X.data if is_sparse(X) else X, namespace(X).float64
    names = ("origin", "landmarks", "squares")
    moved = {name: like(getattr(host, name), anchor, double) for name in names}
    return replace(host, weights=like(weights, anchor, dtype), **moved)


def _weights(host, Z, dtype):
    """Inverse of the transposed Cholesky factor of K(Z, Z) + jitter."""
    m = len(Z)
    K = host.fill(Z, np.empty((m, m)))
    diagonal = K.reshape(-1)[:: m + 1]
    diagonal += _jitter(host, dtype) * (diagonal.mean() or 1.0)
    L = factor(K, overwrite=True)
    if L is None:
        raise ValueError(
            "The kernel of some rows of X is not a number: scale X or lower gamma."
        )
    return lapack.dtrtri(L.T, lower=0, overwrite_c=1)[0]


def _jitter(host, dtype):
    """Share of the mean diagonal that is added to the diagonal of K(Z, Z).

    It bounds what rounding does to K, and with it to an eigenvalue: of a factorisation
    (Higham, Accuracy and stability of numerical algorithms, theorem 10.7), of distances
    and of the angle between nearly parallel rows. Float32 features would amplify the
    rounding of kernel values in directions smaller than it.
    """
    m = host.n_components
    bounds = [m**2 * DOUBLE, m**0.5 * np.finfo(dtype).eps]
    if host.kernel == "rbf":
        bounds.append(4 * host.gamma * host.squares.sum() * DOUBLE)
    elif host.kernel == "arccos" and host.degree == 0:
        bounds.append(m * DOUBLE**0.5)
    return max(bounds)


def block_values(m):
    """Rows whose kernel values are computed at once."""
    return max(16, VALUES // m)


def landmark_bytes(d, m, itemsize):
    """Bytes that a map takes while it is drawn: W in both types, and the landmarks."""
    return (8 + itemsize) * m**2 + 8 * LANDMARK_COPIES * d * m + value_bytes(d, m)


def value_bytes(d, m):
    """Bytes that computing some kernel values takes."""
    return 8 * block_values(m) * (VALUE_COPIES * m + 3 * d)
