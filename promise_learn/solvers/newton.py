"""What every Newton-type solver shares: factors, directions, and the decrement.

The Newton decrement 1/2 g'H^-1 g estimates F(w) - F*; it is what ``tol`` is compared
with, whichever solver runs.
"""

import math
from functools import partial

import numpy as np

from .._arrays import add_diagonal, as_numpy, inner, like, namespace, sum_rows
from ..linalg.cg import pcg
from ..linalg.spd import Factor, equilibrated, single_factor

DENSE_SIZE = 300
MAX_ITERATIONS = 300
FAST = 0.01  # of the decrement before


class HessianFactor:
    """Factor of a dense Hessian: one block, all classes at once, or one a target.

    Parameters
    ----------
    point : Expansion
    extra : array (dim,), default=0
        Added to the diagonal.
    unit : array (dim,), optional
        Units that make the diagonal of the Hessian about one. With them single
        precision serves, for `solve` alone, unless the matrix is too poor for it; and
        ``sees`` is True.
    classes : {"coupled", "apart", "shared"}, default="coupled"
        For the multinomial loss: its whole Hessian; the diagonal block of every class,
        with ``extra`` times the share of the curvature that the class has; or one
        block, of the mean curvature, times these shares. Where classes are not coupled
        the mean over them is taken off the solution: it is zero at the minimum.
    sees : bool, default=None
        As of `Factor`.
    """

    def __init__(self, point, extra=0.0, unit=None, classes="coupled", sees=None):
        f = self._objective = point.objective
        self._parts, self._shares = [], None
        self._centred = f.coupled and classes != "coupled"
        everything = list(range(f.n_columns))
        if f.coupled and classes == "coupled":
            self._parts.append((None, Factor(point.hessian(), True, sees)))
            return
        penalties, owned, d = [f.penalty], [everything], point.row_curvature
        if f.coupled:
            sums = f.xp.stack([f.xp.sum(point.class_curvature(k)) for k in everything])
            shares = f.xp.where(sums > 0, sums * f.n_columns / f.xp.sum(sums), 1.0)
            if classes == "apart":
                for k, share in enumerate(as_numpy(shares).tolist()):
                    d, ridges = point.class_curvature(k), [f.penalty + share * extra]
                    own = None if unit is None else unit * share**0.5
                    block = _factors(f.design, d, ridges, own, alike=False)
                    self._parts.append(([k], *block))
                return
            d = sum(point.class_curvature(k) for k in everything) / f.n_columns
            self._shares = shares
        elif f.per_target:
            penalties, owned = distinct(f.penalty)
        ridges = [mu + extra for mu in penalties]
        factors = _factors(f.design, d, ridges, unit, sees=sees)
        self._parts = list(zip(owned, factors, strict=True))

    def solve(self, g):
        """H^-1 g for g of the shape of w."""
        xp = namespace(g)
        columns, factor = self._parts[0]
        if columns is None:
            dim, K = g.shape
            flat = factor.solve(xp.reshape(xp.matrix_transpose(g), (K * dim,)))
            return xp.matrix_transpose(xp.reshape(flat, (K, dim)))
        if len(self._parts) == 1:
            x = factor.solve(g)
        else:
            solved = {c: F.solve(g[:, c]) for owned, F in self._parts for c in owned}
            x = xp.stack([solved[c] for c in range(g.shape[1])], axis=1)
        if self._shares is not None:
            x = x / self._shares[None, :]
        return x - xp.mean(x, axis=1, keepdims=True) if self._centred else x

    def decrement(self, g, x):
        """Newton decrement 1/2 g'H^-1 g, given x = H^-1 g."""
        xp, energy = namespace(g), 0.0
        for columns, factor in self._parts:
            if columns is None:
                flat = xp.reshape(xp.matrix_transpose(g), (-1,))
                energy += factor.missed(flat)
            elif len(self._parts) == 1:
                energy += factor.missed(g)
            else:
                energy += sum(factor.missed(g[:, c]) for c in columns)
        return energy + 0.5 * inner(g, x)

    def hides(self, g):
        """Whether g, the shape of w, has a part that is lost in rounding."""
        if len(self._parts) == 1:
            return self._parts[0][1].hides(g)
        return any(F.hides(g[:, c]) for own, F in self._parts for c in own)

    def rounding(self, d, energy):
        r"""Bounds of the errors that rounding leaves at the minimum of a quadratic.

        Sums over n rows err by :math:`\sqrt n \, \varepsilon` times the norms of their
        factors. With the columns scaled to norm one, and v the step in these units, no
        entry of the residual of the step errs by more than

        .. math:: \delta = \sqrt n \, \varepsilon \,
                  (\|v\|_1 + (1 + \max_j |m_j| / \sigma_j) \sqrt{2 F}) .

        X' r is one of the columns as they are, with means m_j that may be large in
        units of their deviations sigma_j.

        Parameters
        ----------
        d : array, the shape of w
            The step to the minimum.
        energy : float
            F where it begins, or at zero where that is more.

        Returns
        -------
        float
            Error of F at the minimum, as its value at the start less the decrement:
            :math:`\|v\|_1 \delta`.
        float
            Bound of the gap after the step: :math:`\delta^2` times the dimension over
            twice the smallest pivot. It is of second order.
        """
        f, xp, error, gap = self._objective, namespace(d), 0.0, 0.0
        relative = math.sqrt(f.n_rows) * f.design.rows.epsilon
        for columns, factor in self._parts:
            offset = 0.0
            if f.design.shift is not None:
                u, _ = f.design.inner(factor.scale)
                offset = float(xp.max(xp.abs(f.design.shift * u)))
            mine = d
            if len(self._parts) > 1:
                mine = xp.stack([d[:, c] for c in columns], axis=1)
            v = mine / (factor.scale if d.ndim == 1 else factor.scale[:, None])
            lengths = as_numpy(sum_rows(xp.abs(v)))
            delta = relative * (lengths + (1 + offset) * math.sqrt(2 * energy))
            error += float((lengths * delta).sum())
            gap += 0.5 * f.dim / factor.pivot * float((delta**2).sum())
        return error, gap


def distinct(penalty):
    """Different columns of the penalties, and the targets that each belongs to."""
    host = as_numpy(penalty)
    changes = (host[1:] != host[:-1]).any(axis=1)  # rows are mostly repeated
    rows = host[np.append(True, changes)]
    _, first, owners = np.unique(rows, axis=1, return_index=True, return_inverse=True)
    owners = owners.reshape(-1)
    owned = [np.flatnonzero(owners == k).tolist() for k in range(len(first))]
    return [like(host[:, k], penalty) for k in first], owned


def _factors(design, d, ridges, unit, alike=True, sees=None):
    """Factors of X' diag(d) X + diag(ridge), one for every ridge.

    Whether the units make the diagonal ``alike``, or it is still to be made so.
    """
    alone = len(ridges) == 1
    if unit is not None:
        G, factors = design.gram(d, unit), []
        for ridge in ridges:
            scaled = namespace(G).astype(ridge / unit**2, G.dtype)
            S, own = add_diagonal(G, scaled, alone), unit
            if not alike:
                S, own = equilibrated(S, unit)
            factors.append(single_factor(S, own))
        if None not in factors:
            return factors
    G = design.gram(d)
    sees = sees if unit is None else True
    return [Factor(add_diagonal(G, ridge, alone), True, sees) for ridge in ridges]


def jacobi(point):
    """Diagonal preconditioner: v -> v / diag(H)."""
    f = point.objective
    h = point.diagonal()
    ridge = f.penalty if f.penalty.ndim == 1 else f.xp.max(f.penalty, axis=1)
    scale = h + ridge
    top = f.xp.max(scale)
    scale = f.xp.where(scale > 0, scale, f.xp.where(top > 0, top, 1.0))
    return lambda v: v / (scale if v.ndim == 1 else scale[:, None])


def gain_along_columns(point):
    """Largest decrease of F by one coefficient alone, to second order.

    A lower bound of F(w) - F* that no scale of the columns spoils.
    """
    g = point.gradient
    return 0.5 * float(point.objective.xp.max(g * jacobi(point)(g)))


def suboptimality(point, target):
    """Newton decrement 1/2 g'H^-1 g at a point, an estimate of F(w) - F*.

    Exact by a dense factor for small problems, by preconditioned conjugate gradients
    otherwise. CG stops as soon as its lower bound exceeds ``target``, since then the
    answer is known to be "not yet", or when one tenth of accuracy is reached.

    Parameters
    ----------
    point : Expansion
    target : float
        Absolute gap that counts as converged.

    Returns
    -------
    float
        The decrement, `confirmed`, or a lower bound above ``target``.
    float
        Passes over X that it took.
    """
    f, g = point.objective, point.gradient
    if f.dim * (f.n_columns if f.coupled else 1) <= DENSE_SIZE:
        factor = HessianFactor(point)
        x = factor.solve(g)
        decrement, passes = factor.decrement(g, x), 1.0
    else:
        inverse = jacobi(point)
        options = {"coupled": f.coupled, "cautious": True, "smallest": 1.0}
        for it in pcg(point.product, -g, inverse, **options):
            enough = it.gap <= 0.1 * it.decrease or it.decrease > target
            if enough or it.iteration >= MAX_ITERATIONS:
                break
        x, decrement, passes = -it.x, it.decrease + it.gap, float(it.iteration)
    if decrement <= target:
        decrement = confirmed(point, -x, decrement)
    return decrement, passes


def confirmation(point, d, gap, previous, t):
    """Make `Step.confirm`, None where a gap by the decrement needs none.

    The decrement is exact to first order. Where a full step has left little of the one
    before, Newton's method converges quadratically: on some 3,000 random problems the
    gap was then at most twice the decrement.
    """
    fast = t == 1.0 and gap <= FAST * previous < math.inf
    smooth = not point.objective.loss.piecewise
    return None if fast and smooth else partial(confirmed, point, d, gap)


def confirmed(point, d, gap):
    """Gap that a decrement along d stands for where the curvature does not stay.

    At most F, since no loss is negative: a minimum at infinity has no curvature left.
    """
    kept = point.curvature_kept(d)
    return min(gap / kept, point.value) if kept > 0 else point.value
