r"""Nyström features: the kernel to some rows of the data, made orthonormal.

.. math:: \varphi(x) = W^T k(Z, x), \qquad W W^T = (K(Z, Z) + \delta I)^{-1}

so that inner products are the Nyström approximation of the kernel; Williams and Seeger,
Using the Nyström method to speed up kernel machines (2001). W is the inverse of a
Cholesky factor, upper triangular, and the product with it, which is nearly all of the
work, leaves out its zeros. Distances of near rows cancel, so they are computed in
float64; exponentials, whose error is below the rounding of the kernel at zero distance,
and the product with W run in the type of the features.
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
PANEL = 256  # columns of W that share their zeros; measured
FOLDED = 2**17  # entries of W that are cast at once, in cache
DOUBLE = 2.0**-52


@dataclass(frozen=True, eq=False)
class KernelMap(DrawnMap):
    """Values of the kernel at landmarks, as features.

    Attributes
    ----------
    kernel : {"rbf", "laplacian", "arccos"}
    gamma : float
    degree : {0, 1}
        Of the arc-cosine kernel.
    origin : array (d,)
        What landmarks are measured from, so that their squares are small: their mean,
        zero for the arc-cosine kernel.
    landmarks : array (d, m), float64
        Z', less the origin.
    squares : array (m,)
        Of the norms of the landmarks.
    dtype : dtype
        Of the features.
    """

    kernel: str
    gamma: float
    degree: int
    origin: Any
    landmarks: Any
    squares: Any
    dtype: Any

    separable = True

    @property
    def drawn(self):
        """Landmarks."""
        return self.landmarks

    @property
    def n_components(self):
        """Number of landmarks."""
        return self.landmarks.shape[1]

    def astype(self, dtype):
        """Return the same map for features of another type."""
        return replace(self, dtype=dtype)

    def flops(self, entries):
        """Floating-point operations a feature of a row with so many entries.

        They are float64, at half the speed.
        """
        if self.kernel == "laplacian":
            return COLUMN * self.landmarks.shape[0]
        return 4.0 * entries

    def part(self, lo, hi):
        """Return the map to features lo:hi alone."""
        landmarks, squares = self.landmarks[:, lo:hi], self.squares[lo:hi]
        return replace(self, landmarks=landmarks, squares=squares)

    def apply(self, X, out=None):
        """Values (b, m) of a row block; as `FeatureMap.apply`, a few rows at a time."""
        if not is_numpy(X):
            return self._values(X)
        if out is None:
            out = np.empty((X.shape[0], self.n_components), self.dtype)
        step = block_values(self.n_components)
        for lo in range(0, X.shape[0], step):
            out[lo : lo + step] = self._values(X[lo : lo + step])
        return out

    def _values(self, X):
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
        return xp.exp(cast(T, self.dtype))

    def _rbf(self, T, squares):
        T *= 2 * self.gamma
        T -= self.gamma * squares[:, None]
        T -= self.gamma * self.squares[None, :]
        return namespace(T).exp(cast(T, self.dtype))

    def _arccos(self, T, squares):
        """Of a zero row, whose random features are zero, all values are."""
        xp = namespace(T)
        norms = xp.sqrt(squares)[:, None] * xp.sqrt(self.squares)[None, :]
        positive = norms > 0
        T /= xp.where(positive, norms, xp.ones_like(norms))
        T = xp.clip(T, -1.0, 1.0)
        turned = math.pi - xp.acos(T)
        if self.degree == 0:
            return cast(xp.where(positive, turned / math.pi, norms), self.dtype)
        turned *= T
        turned += xp.sqrt(1 - T * T)
        turned *= norms
        turned /= math.pi
        return cast(turned, self.dtype)


@dataclass(frozen=True, eq=False)
class NystromMap(DrawnMap):
    """Nyström features whose landmarks have been drawn.

    Attributes
    ----------
    values : KernelMap
        Of m landmarks.
    weights : array (m, n_components)
        W, or columns of it that end at its last.
    """

    values: KernelMap
    weights: Any

    separable = True

    @property
    def drawn(self):
        """Weights."""
        return self.weights

    @property
    def dtype(self):
        """Type of the features."""
        return self.weights.dtype

    @property
    def n_components(self):
        """Number of features."""
        return self.weights.shape[1]

    def astype(self, dtype):
        """Return the same map for features of another type."""
        weights = cast(self.weights, dtype)
        return replace(self, values=self.values.astype(dtype), weights=weights)

    def flops(self, entries):
        """Floating-point operations a feature of a row with so many entries."""
        m, n_components = self.weights.shape
        products = 2.0 * m - n_components + min(PANEL, n_components)
        return self.values.flops(entries) * m / n_components + products

    def part(self, lo, hi):
        """Return the map to features lo:hi alone."""
        last = self.weights.shape[0] - self.n_components + hi
        weights = self.weights[:last, lo:hi]
        return replace(self, values=self.values.part(0, last), weights=weights)

    def fold(self, u, dtype):
        """Map to the kernel values, and the coefficients of those: W u.

        In float64 for features of any type: sums over landmarks cancel.
        """
        xp, rows = namespace(u), self.weights.shape[0]
        u, step = cast(u, xp.float64), max(1, FOLDED // rows)
        edges = [(lo, min(rows, lo + step)) for lo in range(0, rows, step)]
        parts = [  # entries below the diagonal are zero
            cast(self.weights[lo:hi, lo:], u.dtype) @ u[lo:, ...] for lo, hi in edges
        ]
        return self.values.astype(u.dtype), xp.concat(parts, axis=0)

    def buffers(self, n_rows):
        """Arrays for features and kernel values of host blocks of so many rows."""
        return *super().buffers(n_rows), *self.values.buffers(n_rows)

    def apply(self, X, out=None, scratch=None):
        """Features (b, n_components) of a row block; as `FeatureMap.apply`.

        Kernel values of host blocks are written to ``scratch``, of at least b rows.
        """
        if not is_numpy(X):
            return self.values.apply(X) @ self.weights
        K = self.values.apply(X, None if scratch is None else scratch[: X.shape[0]])
        m, n_components = self.weights.shape
        if out is None:
            out = np.empty((X.shape[0], n_components), self.dtype)
        for lo in range(0, n_components, PANEL):
            hi = min(lo + PANEL, n_components)
            rows = m - n_components + hi  # those below are zero
            np.matmul(K[:, :rows], self.weights[:rows, lo:hi], out=out[:, lo:hi])
        return out


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
    host = KernelMap(kernel, float(gamma), degree, origin, near, squares, Z.dtype)
    W = _weights(host, Z, on_host(dtype))
    anchor, double = X.data if is_sparse(X) else X, namespace(X).float64
    names = ("origin", "landmarks", "squares")
    moved = {name: like(getattr(host, name), anchor, double) for name in names}
    weights = like(W, anchor, dtype)
    return NystromMap(replace(host, dtype=weights.dtype, **moved), weights)


def _weights(host, Z, dtype):
    """Inverse of the transposed Cholesky factor of K(Z, Z) + jitter."""
    m = len(Z)
    K = host.apply(Z)
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
