"""Solve with a symmetric positive semi-definite matrix."""

import math
import sys

from .._arrays import add_diagonal, cholesky_solve, column, diagonal, inner, namespace
from .cholesky import factor

MAX_EIGH = 2500
SINGLE_PIVOT = 4e-6
NOISE = 1e3  # units in the last place that rounding may leave a gradient


class Factor:
    """Factor of a symmetric positive (semi-)definite matrix, equilibrated first.

    Cholesky; a spectral factor where a pivot is lost in rounding, and then `solve`
    gives the minimum-norm solution of a consistent system in the scaled variables.
    Directions without curvature count as those of the identity, so that one can search
    along a gradient that lies there.

    Parameters
    ----------
    H : array (dim, dim)
    overwrite : bool, default=False
        Whether H may be used as work space.
    sees : bool, default=None
        Whether lost directions count as of the smallest eigenvalue that is not lost, as
        they must in a preconditioner. None: where a right side has a part in them, more
        than rounding leaves (`hides`).

    Attributes
    ----------
    pivot : float
        Smallest squared pivot after scaling: a lower bound, up to a factor of dim, of
        how far the scaled matrix is from a singular one.
    scale : array (dim,)
        Makes its diagonal one: H is factored as scale[:, None] * H * scale[None, :].
    """

    def __init__(self, H, overwrite=False, sees=None):
        xp, self._sees = namespace(H), sees
        H = H if overwrite else xp.asarray(H, copy=True)
        h = diagonal(H)
        ok, self._empty = h > 0, None
        if not bool(xp.all(ok)):
            self._empty = xp.astype(~ok, H.dtype)
            h = xp.where(ok, h, 1.0)
        self.scale = 1 / xp.sqrt(h)
        H *= self.scale[:, None]
        H *= self.scale[None, :]
        lost = H.shape[0] * sys.float_info.epsilon
        if self._empty is not None:
            H = add_diagonal(H, self._empty)
        self._lower = self._cholesky(H, lost)
        if self._lower is None:
            finite = bool(xp.all(xp.isfinite(H)))  # else solutions are no numbers
            values, self._vectors = xp.linalg.eigh(H) if finite else (h * math.nan, H)
            top = float(xp.max(xp.abs(values)))
            keep = values > lost * top
            self._dropped = xp.astype(~keep, H.dtype)
            floor = lost * top if top > 0 else 1.0
            self._seeing = 1 / xp.where(keep, values, floor)
            self._blind = 1 / xp.where(keep, values, 1.0)
            self.pivot = float(xp.min(xp.where(keep, values, top)))

    def _cholesky(self, S, lost):
        """Lower factor of S; None if too poor."""
        xp = namespace(S)
        lower = factor(S)
        if lower is None:
            return None
        pivot = float(xp.min(diagonal(lower))) ** 2
        if pivot <= lost and S.shape[0] <= MAX_EIGH:
            return None
        self.pivot = max(pivot, math.ulp(1.0))
        return lower

    def missed(self, g):
        """Energy 1/2 g'H^-1 g of the part of g that no solution accounts for.

        A gradient has none in exact arithmetic. But curvature may underflow where
        slopes do not, as with all margins far on the wrong side: then this is huge.
        """
        energy, tiny = 0.0, sys.float_info.epsilon
        if self._empty is not None:
            flat = column(self._empty, g) * g
            energy = inner(flat, flat) / tiny
        lost, whole = self._lost(g)
        if lost > 1e-12 * whole:
            energy += lost / (tiny * self._vectors.shape[0])
        return energy / 2

    def _lost(self, g):
        """Square of the part of the scaled g in directions that are lost; of all."""
        if self._lower is not None:
            return 0.0, 0.0
        scaled = column(self.scale, g) * g
        along = self._vectors.T @ scaled
        dropped = column(self._dropped, along) * along
        return inner(dropped, dropped), inner(scaled, scaled)

    def hides(self, g):
        """Whether lost directions have more of a gradient than rounding leaves.

        Those of columns that depend on each other have none.
        """
        noise = NOISE * self.scale.shape[0] * sys.float_info.epsilon
        lost, whole = self._lost(g)
        return lost > noise**2 * whole

    def solve(self, g):
        """H^-1 g for a vector (dim,) or a block (dim, K)."""
        scale = self.scale if g.ndim == 1 else self.scale[:, None]
        if self._lower is not None:
            return scale * cholesky_solve(self._lower, scale * g)
        sees = self.hides(g) if self._sees is None else self._sees
        inverse = self._seeing if sees else self._blind
        inverse = inverse if g.ndim == 1 else inverse[:, None]
        x = self._vectors @ (inverse * (self._vectors.T @ (scale * g)))
        return scale * x


class SingleFactor:
    """Cholesky factor in single precision, for a preconditioner.

    Parameters
    ----------
    lower : array (dim, dim), float32
        Of the matrix in the given units.
    unit : array (dim,), float64
        Divisors of its rows and columns.
    """

    def __init__(self, lower, unit):
        self._lower, self._scale = lower, 1 / unit

    def solve(self, g):
        """Solve for a vector (dim,) or a block (dim, K)."""
        xp, scale = namespace(g), column(self._scale, g)
        b = scale * g
        size = xp.max(xp.abs(b), axis=0)
        size = xp.where(size > 0, size, 1.0)  # any size of g fits into float32
        x = cholesky_solve(self._lower, xp.astype(b / size, self._lower.dtype))
        return scale * (xp.astype(x, g.dtype) * size)


def single_factor(S, unit):
    """`SingleFactor` of a float32 matrix in the given units, overwritten.

    None where a pivot is near the rounding error of sums in single precision.
    """
    xp = namespace(S)
    lower = factor(S, overwrite=True)
    if lower is None:
        return None
    pivot = float(xp.min(diagonal(lower))) ** 2
    return SingleFactor(lower, unit) if pivot > SINGLE_PIVOT else None


def equilibrated(S, unit):
    """S in units that make its diagonal ones, and the units; S is overwritten."""
    xp = namespace(S)
    h = diagonal(S)
    root = xp.sqrt(xp.where(h > 0, h, 1.0))
    S /= root[:, None]
    S /= root[None, :]
    return S, unit * xp.astype(root, unit.dtype)
