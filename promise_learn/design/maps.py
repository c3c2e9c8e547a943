r"""Random feature maps: a projection of the rows of X, then a function of every entry.

.. math:: \varphi(x) = c \, h(x W + b), \qquad
          \varphi(x) \cdot \varphi(x') \approx k(x, x')

A map is drawn once, on the host, so that the same seed gives the same features on every
storage and device; it generates features a block of rows at a time.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import kernels
from .._arrays import cast, dense, is_numpy, is_sparse, like, namespace, read_only

PROJECTIONS = ("gaussian", "orthogonal", "sorf")
DRAW_ENTRIES = 2**20
DRAW_COPIES = 7  # float64 arrays that drawing holds at once beside the map


class DrawnMap:
    """What every feature map knows of itself."""

    @property
    def itemsize(self):
        """Bytes of a feature."""
        return namespace(self.drawn).finfo(self.dtype).bits // 8

    def fold(self, u, dtype):
        """Map and coefficients with the products of u and features of a type."""
        return self.astype(dtype), u

    def buffers(self, n_rows):
        """Arrays that `apply` writes to, for host blocks of so many rows."""
        return (np.empty((n_rows, self.n_components), self.dtype),)


@dataclass(frozen=True, eq=False)
class FeatureMap(DrawnMap):
    """Feature map that has been drawn.

    Attributes
    ----------
    function : {"cosine", "relu", "step"}
        h; the cosine takes its argument in turns, as W and b are stored.
    n_components : int
        m.
    scale : float
        c.
    weights : array (d, m) or None
        W, None for structured projections.
    offset : array (m,) or None
        b, of the cosine alone.
    signs : array (blocks, 3, 2^k) or None
        Random signs of structured projections.
    norms : array (m,) or None
        Multiply the columns of structured projections.
    """

    function: str
    n_components: int
    scale: float
    weights: Any = None
    offset: Any = None
    signs: Any = None
    norms: Any = None

    @property
    def drawn(self):
        """Weights or signs."""
        return self.weights if self.signs is None else self.signs

    @property
    def dtype(self):
        """Type of the features."""
        return self.drawn.dtype

    @property
    def separable(self):
        """Whether some features can be generated without the others."""
        return self.signs is None

    def astype(self, dtype):
        """Return the same map for features of another type."""
        names = ("weights", "offset", "signs", "norms")
        kept = {name: getattr(self, name) for name in names}
        changed = {k: cast(v, dtype) for k, v in kept.items() if v is not None}
        return self if dtype == self.dtype else replace(self, **changed)

    def flops(self, entries):
        """Floating-point operations a feature of a row with so many entries."""
        if self.signs is None:
            return 2.0 * entries
        order = self.signs.shape[2]
        return 3.0 * (1 + math.log2(order))

    def part(self, lo, hi):
        """Return the map to features lo:hi alone."""
        names = ("weights", "offset", "norms")
        kept = {name: getattr(self, name) for name in names}
        kept = {k: v[..., lo:hi] for k, v in kept.items() if v is not None}
        return replace(self, n_components=hi - lo, **kept)

    def apply(self, X, out=None):
        """Features (b, m) of a row block X (b, d), of the type of the map.

        Parameters
        ----------
        X : row block
            Dense of the type of the map, or CSR.
        out : ndarray (b, m), optional
            Written to, where X lives on the host.
        """
        if not is_numpy(X):
            return self._apply_by_arrays(X)
        if out is None:
            out = np.empty((X.shape[0], self.n_components), self.dtype)
        self._project(X, out)
        scale = self.dtype.type(self.scale)
        if self.function == "cosine":
            series = kernels.features.cosine_series(self.dtype)
            kernels.features.cosine(out, read_only(self.offset), scale, series)
        else:
            kernels.features.positive(out, scale, self.function == "step")
        return out

    def _project(self, X, out):
        if self.signs is not None:
            X = read_only(np.ascontiguousarray(dense(X)))
            signs, norms = read_only(self.signs), read_only(self.norms)
            kernels.features.hadamard_projection(X, signs, norms, out)
        elif is_sparse(X):
            view = kernels.blocks.sparse_view(X)
            kernels.features.sparse_projection(
                view, 0, X.shape[0], read_only(self.weights), out
            )
        else:
            np.matmul(X, self.weights, out=out)

    def _apply_by_arrays(self, X):
        """As `apply`, in array operations."""
        xp = namespace(X)
        if self.signs is None:
            T = X @ self.weights
        else:
            T = self._hadamard_by_arrays(dense(X))
        if self.function == "cosine":
            turns = T + self.offset[None, :]
            return self.scale * xp.cos(2 * math.pi * (turns - xp.round(turns)))
        kept = xp.astype(T > 0, T.dtype)
        return self.scale * (kept if self.function == "step" else kept * T)

    def _hadamard_by_arrays(self, X):
        xp, order = namespace(X), self.signs.shape[2]
        pad = xp.zeros((X.shape[0], order - X.shape[1]), dtype=X.dtype)
        X = xp.concat([X, like(pad, X)], axis=1)
        T = xp.stack([X] * self.signs.shape[0], axis=1)
        for turn in range(3):
            T = _hadamard(xp, T * self.signs[None, :, turn, :])
        T = xp.reshape(T, (X.shape[0], -1))
        return self.norms[None, :] * T[:, : self.n_components]


def _hadamard(xp, T):
    """Hadamard transform, not normalised, along the last axis, of length 2^k."""
    shape, half = T.shape, 1
    while half < shape[-1]:
        pairs = xp.reshape(T, (*shape[:-1], shape[-1] // (2 * half), 2, half))
        a, b = pairs[..., 0, :], pairs[..., 1, :]
        T = xp.reshape(xp.stack([a + b, a - b], axis=-2), shape)
        half *= 2
    return T


def draw_map(
    X, n_components, kernel, gamma, degree, projection, scale, rng, dtype=None
):
    """Draw a feature map for data like X.

    Parameters
    ----------
    X : array or CSR matrix (n, d)
        Gives the number of columns, the namespace, the device and the type.
    n_components : int
        m.
    kernel : {"rbf", "laplacian", "arccos"}
    gamma : float
        Of exp(-gamma |x - x'|^2), and of exp(-gamma |x - x'|_1).
    degree : {0, 1}
        Of the arc-cosine kernel: steps or rectified linear features.
    projection : {"gaussian", "orthogonal", "sorf"}
        Laplacian features have independent Cauchy weights in any case.
    scale : {"kernel", "paper"}
    rng : numpy.random.Generator
    dtype : dtype, optional
        Of the features; that of X by default.

    Returns
    -------
    FeatureMap
    """
    d, m, paper = X.shape[1], n_components, scale == "paper"
    dtype = dtype or X.dtype
    function, width, size = "cosine", math.sqrt(2 * gamma), math.sqrt(2 / m)
    if kernel == "laplacian":
        width = gamma
    if kernel == "arccos":
        function, width = ("step", "relu")[degree], 1.0
        size = 1.0 if paper else size
    if paper:
        width /= math.sqrt(m)
    unit = 2 * math.pi if function == "cosine" else 1.0
    anchor = X.data if is_sparse(X) else X
    weights = signs = norms = offset = None
    factor = width / unit
    if projection == "sorf":
        order = padded(d)
        signs = rng.integers(0, 2, (math.ceil(m / order), 3, order)) * 2.0 - 1.0
        signs = like(signs, anchor, dtype)
        norms = factor * np.sqrt(rng.chisquare(order, m)) / order**1.5
        norms = like(norms, anchor, dtype)
    else:
        weights = _weights(d, m, kernel, projection, factor, on_host(dtype), rng)
        weights = like(weights, anchor, dtype)
    if function == "cosine":
        offset = like(rng.uniform(0, 1, m), anchor, dtype)
    return FeatureMap(function, m, size, weights, offset, signs, norms)


def _weights(d, m, kernel, projection, factor, dtype, rng):
    """Dense weights (d, m) times a factor, drawn in float64, a few rows at a time."""
    if projection == "orthogonal":
        return _orthogonal(d, m, factor, dtype, rng)
    draw = rng.standard_cauchy if kernel == "laplacian" else rng.standard_normal
    weights, step = np.empty((d, m), dtype), max(1, DRAW_ENTRIES // m)
    for lo in range(0, d, step):
        hi = min(d, lo + step)
        weights[lo:hi] = factor * draw((hi - lo, m))
    return weights


def _orthogonal(d, m, factor, dtype, rng):
    """Blocks of d orthogonal columns whose norms are those of Gaussian ones."""
    weights, norms = np.empty((d, m), dtype), factor * np.sqrt(rng.chisquare(d, m))
    for lo in range(0, m, d):
        hi = min(m, lo + d)
        Q, R = np.linalg.qr(rng.standard_normal((d, hi - lo)))
        weights[:, lo:hi] = Q * (np.sign(np.diagonal(R)) * norms[lo:hi])
    return weights


def on_host(dtype):
    """NumPy's type of the same width as the floating type of any namespace."""
    return np.float32 if "float32" in str(dtype) else np.float64


def padded(d):
    """Order of the Hadamard matrix that takes d columns."""
    return 2 ** max(0, math.ceil(math.log2(d)))


def map_bytes(d, m, projection, itemsize):
    """Bytes that a feature map takes while it is drawn."""
    if projection == "sorf":
        signs = 3 * padded(d) * math.ceil(m / padded(d))
        return (itemsize + 24) * signs + 2 * (itemsize + 8) * m
    entries = d * min(d, m) if projection == "orthogonal" else DRAW_ENTRIES
    drawn = min(d * m, max(m, entries))
    return itemsize * (d + 2) * m + 8 * DRAW_COPIES * drawn
