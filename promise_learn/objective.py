r"""The objective: the one object that knows both the data and the loss.

.. math:: F(w) = \sum_i s_i \, \ell(x_i \cdot w, y_i)
          + \tfrac12 \sum_j \mathrm{penalty}_j \, w_j^2, \qquad \sum_i s_i = 1

`Objective.expand` returns everything second order that one read of X yields at a
point; a solver works on such an `Expansion`.
"""

import math
from functools import cached_property

import numpy as np

from . import multinomial
from ._arrays import (
    add_diagonal,
    as_numpy,
    cast,
    column,
    column_squares,
    inner,
    scale_columns,
    take,
)
from .linalg.cholesky import inverse_trace

PILOT_DIM, PILOT_ROWS = 2000, 1000
NO_PENALTY = 1e-16  # of the largest curvature: one that rounding hides
ROUNDING = 1e-6  # relative, to which two traces differ
CROSSING = 1e-10
CHUNK = 1 << 14  # rows at a time, where vectors of all would be many


class Objective:
    """Regularised empirical risk of a linear model, on the mean-loss scale.

    Parameters
    ----------
    design : Design
        X with its intercept column, (n, dim).
    y : array (n,) or (n, K)
        Targets; -1/+1 for two classes, class codes for the multinomial loss.
    loss : Loss
    weights : array (n,)
        Non-negative, summing to one (for relative counts: to their mean).
    penalty : array broadcastable to w
        Curvature of the ridge term on the mean-loss scale: alpha / S or 1 / (C S) on
        coefficients, 0 on the intercept. One column a target where targets differ.
    shape : tuple
        Shape of w: (dim,) or (dim, K).
    """

    def __init__(self, design, y, loss, weights, penalty, shape):
        self.design, self.y, self.loss = design, y, loss
        if penalty.ndim > 1 and penalty.shape[1] == 1:
            penalty = penalty[:, 0]
        self.weights, self.penalty, self.shape = weights, penalty, tuple(shape)
        self.n_rows, self.dim = design.shape
        self.xp = design.xp

    @property
    def n_columns(self):
        """Targets or classes; 1 when w is a vector."""
        return self.shape[1] if len(self.shape) > 1 else 1

    @property
    def quadratic(self):
        """Whether the Hessian is the same everywhere."""
        return self.loss.code == 0

    @property
    def coupled(self):
        """Whether the columns of w share one Hessian that is not block diagonal."""
        return self.loss.code == 2

    @property
    def per_target(self):
        """Whether each target has a penalty of its own."""
        return self.penalty.ndim > 1

    def zeros(self):
        """Return the starting point w = 0."""
        return self.design.rows.zeros(self.shape)

    def centred(self, w):
        """Coefficients less their mean over coupled classes.

        That changes no probability and raises no penalty, and the mean is zero at the
        minimum: solvers leave it as it is.
        """
        return w - self.xp.mean(w, axis=1, keepdims=True) if self.coupled else w

    def ridge(self, w):
        """Penalty times w."""
        penalty = self.penalty
        return (column(penalty, w) if penalty.ndim == 1 else penalty) * w

    def expand(self, w, diagonal=False):
        """Value, gradient and curvature at w, from one read of X.

        With ``diagonal`` also that of the Hessian, where it takes no other read.
        """
        data, squares = (self.loss, w, self.y, self.weights), None
        if diagonal:
            value, eta, curvature, g, squares = self.design.expand_with_squares(*data)
        else:
            value, eta, curvature, g = self.design.expand(*data)
        ridge = self.ridge(w)
        value += 0.5 * inner(ridge, w)
        if "null_value" not in vars(self) and not bool(self.xp.any(w)):
            self.null_value = value  # most fits start there
        return Expansion(self, w, value, g + ridge, eta, curvature, squares)

    def value(self, w):
        """F(w)."""
        eta = self.design.dot(w)
        value = self.design.rows.loss_sum(self.loss, eta, self.y, self.weights)
        return value + 0.5 * inner(self.ridge(w), w)

    @cached_property
    def null_value(self):
        """F(0), without a read of X."""
        eta = self.design.rows.zeros((self.n_rows, *self.shape[1:]))
        return self.design.rows.loss_sum(self.loss, eta, self.y, self.weights)

    def gradient(self, w):
        """Gradient of F at w, the shape of w."""
        return self.expand(w).gradient

    def value_and_gradient(self, w):
        """F(w) and its gradient."""
        point = self.expand(w)
        return point.value, point.gradient

    def hessian_product(self, w):
        """Return the function v -> H(w) v."""
        return self.expand(w).product

    def hessian_root(self, w, rows):
        """Row block A with A'A an unbiased estimate of X' D X; see `Expansion.root`."""
        return self.expand(w).root(rows)

    def hessian_diagonal(self, w):
        """Diagonal of X' D X, shape (dim,)."""
        return self.expand(w).diagonal()

    def hessian(self, w):
        """Dense Hessian with the penalty; see `Expansion.hessian`."""
        return self.expand(w).hessian()

    @cached_property
    def effective_dimension(self):
        r"""Estimate of tr(H (H + penalty)^-1), with H the Hessian at its largest.

        What conjugate gradients and a row sample see of the unknowns: with a penalty,
        directions of little curvature do not count. A sample of m rows shows

        .. math:: d_m(\nu) = \mathrm{tr}(H_m (H_m + \nu \Lambda)^{-1})
                  \approx d(\kappa), \quad
                  \frac{1}{\kappa} = \frac{1 - d_m(\nu) / m}{\nu},

        for the penalty :math:`\Lambda`. From :math:`\nu = 1` and 2, which are at larger
        :math:`\kappa`, d(1) is extrapolated as a power of :math:`\kappa`. It is dim
        where that is small, or X sparse.

        References
        ----------
        Dobriban and Wager, High-dimensional asymptotics of prediction (2018), for the
        relation of the two penalties.
        """
        curvature, m = self.loss.max_curvature, PILOT_ROWS
        known = self.dim < PILOT_DIM or self.design.rows.sparse or self.per_target
        if known or self.n_rows < 4 * m or not math.isfinite(curvature):
            return self.dim
        traces = self._pilot_traces(m, curvature / m)
        if None in traces:
            return self.dim
        d = [m - nu * trace for nu, trace in zip((1, 2), traces, strict=True)]
        if d[1] < 1:
            return 1.0
        if traces[0] < (1 + ROUNDING) * traces[1]:
            return self.dim
        power = math.log(d[0] / d[1]) / math.log(traces[0] / traces[1])
        return min(self.dim, d[0] * (m / traces[0]) ** power)

    def _pilot_traces(self, m, curvature):
        """Trace of (G + nu I)^-1 for nu = 1 and 2, G of m rows in units of the penalty.

        None where rounding leaves no inverse.
        """
        xp, rows = self.xp, np.linspace(0, self.n_rows - 1, m).astype(int)
        A = self.design.root(rows, 0 * take(self.weights, rows) + curvature)
        penalty = xp.where(self.penalty > 0, self.penalty, xp.max(self.penalty))
        least = (
            NO_PENALTY * xp.max(column_squares(A)) + xp.finfo(A.dtype).smallest_normal
        )
        A = scale_columns(A, 1 / xp.sqrt(xp.where(penalty > least, penalty, least)))
        G = cast(A @ A.T, xp.float64)
        return [inverse_trace(G, nu) for nu in (1.0, 2.0)]

    def sample(self, size, rng):
        """Sorted numbers of at most ``size`` random rows, none of weight zero."""
        rows = np.flatnonzero(as_numpy(self.weights))
        if len(rows) <= size:
            return rows
        return np.sort(rng.choice(rows, size, replace=False, shuffle=False))

    def subset(self, rows, same_penalty=False):
        """Objective of the given rows, in the same coordinates.

        Weights are rescaled to sum to one. The total penalty is kept, so the penalty
        grows on the mean-loss scale as rows become fewer; with ``same_penalty`` the
        Hessian estimates that of all rows instead.
        """
        s = take(self.weights, rows)
        total = self.xp.sum(s)
        penalty = self.penalty if same_penalty else self.penalty / total
        part = (self.design.subset(rows), take(self.y, rows), self.loss)
        return Objective(*part, s / total, penalty, self.shape)


class Expansion:
    """Second-order expansion of an objective at w.

    Attributes
    ----------
    value : float
        F(w).
    gradient : array, shape of w
    eta : array (n,) or (n, K)
        Margins.
    """

    def __init__(self, objective, w, value, gradient, eta, curvature, diagonal=None):
        self.objective, self.w, self.value = objective, w, value
        self.gradient, self.eta, self._curvature = gradient, eta, curvature
        self._diagonal = diagonal

    @property
    def row_curvature(self):
        """Weighted curvature of every row, (n,); an upper bound if multinomial."""
        f = self.objective
        if f.coupled:
            return f.weights * f.loss.curvature_bound(self._curvature)
        return self._curvature

    def class_curvature(self, k):
        """Weighted curvature p_k (1 - p_k) of every row in the margin of class k."""
        P = self._curvature[:, k]
        return self.objective.weights * P * (1 - P)

    def product(self, v):
        """H v, for v the shape of w or, for scalar losses, a block (dim, k)."""
        f = self.objective
        if not f.coupled:
            return f.design.curved(self._curvature, v) + f.ridge(v)

        def act(t, rows):
            t = f.loss.curvature_product(self._curvature[rows, ...], t)
            return column(f.weights[rows], t) * t

        return f.design.through(act, v) + f.ridge(v)

    def loss_product(self, V):
        """X' D X V for a block V (dim, k); the curvature bound if multinomial."""
        return self.objective.design.curved(self.row_curvature, V)

    def sketched(self, V):
        """`loss_product` of the test vectors of a sketch, which features may keep."""
        return self.objective.design.sketched(self.row_curvature, V)

    def diagonal(self):
        """Diagonal of X' D X over all rows, shape (dim,)."""
        if self._diagonal is None:
            return self.objective.design.squares(self.row_curvature)
        return self._diagonal

    @property
    def diagonal_cost(self):
        """Passes over X that `diagonal` takes."""
        return 1.0 if self._diagonal is None else 0.0

    def root(self, rows):
        """Row block A (b, dim) from the given rows, with E A'A = X' D X.

        For the multinomial loss D is the scalar bound of each row's curvature, so that
        one block serves all classes.
        """
        f = self.objective
        d = take(self.row_curvature, rows) * (f.n_rows / len(rows))
        return f.design.root(rows, d)

    def sample(self, rows, factor):
        """Curvature of the given rows, multiplied by factors: the Hessian of a sample.

        Value and gradient are those of no objective, and left out.
        """
        f, curvature = self.objective, take(self._curvature, rows)
        if not f.coupled:
            curvature = curvature * factor
        weights = take(f.weights, rows) * factor
        part = (f.design.subset(rows), take(f.y, rows), f.loss, weights, f.penalty)
        return Expansion(Objective(*part, f.shape), self.w, None, None, None, curvature)

    def damped(self, extra):
        """Curvature alone of the same rows, with ``extra`` added to the penalty."""
        f = self.objective
        part = (f.design, f.y, f.loss, f.weights, f.penalty + extra)
        g = Objective(*part, f.shape)
        return Expansion(g, self.w, None, None, None, self._curvature)

    def hessian(self):
        """Dense Hessian with the penalty, float64.

        Shape (dim, dim), or (K dim, K dim) in class-major order if multinomial; there
        every flat direction (all classes of an unpenalised coefficient moved together)
        gets unit curvature. Targets with penalties of their own share no Hessian.
        """
        f = self.objective
        if f.per_target:
            raise ValueError("each target has a Hessian of its own: use product")
        if not f.coupled:
            return add_diagonal(f.design.gram(self._curvature), f.penalty)
        return multinomial.hessian(f, self._curvature)

    def curvature_kept(self, d):
        r"""Share of the curvature along d that stays where rows lose it towards w + d.

        With the change t_i of a row's margins along d and its curvature C_i here, C_i+
        at w + d,

        .. math:: \frac{\sum_i s_i \min(t_i^T C_i t_i, t_i^T C_i^+ t_i)
                  + d^T \Lambda d}{\sum_i s_i t_i^T C_i t_i + d^T \Lambda d} .

        The decrement underestimates a gap by about this share: rows of little curvature
        and large t lose most of it, in nearly separable data, while their gradients
        have far to go. Of a piecewise loss it is one where no row leaves a piece with
        curvature for one without, and zero otherwise: the slopes of the quadratic model
        at its minimum w + d are then feasible in the dual, and its value is a lower
        bound of F. Margins at a jump may cross it by a rounding error.
        """
        f, xp = self.objective, self.objective.xp
        if f.quadratic:
            return 1.0
        change = f.design.dot(d)
        if f.loss.piecewise:
            least = CROSSING * (1 + xp.abs(self.eta))
            crossing = change - xp.clip(change, -least, least)
            before = f.loss.curvature(self.eta, f.y)
            after = f.loss.curvature(self.eta + crossing, f.y)
            return float(xp.all(after >= before))
        kept = whole = inner(f.ridge(d), d)
        for lo in range(0, f.n_rows, CHUNK):
            rows = slice(lo, min(lo + CHUNK, f.n_rows))
            here, there = self._forms(change[rows, ...], rows)
            whole = whole + xp.sum(here)  # on the device, which need not wait
            kept = kept + xp.sum(xp.where(there < here, there, here))
        return float(kept / whole) if whole > 0 else 1.0

    def _forms(self, change, rows):
        """Weighted quadratic forms of a change of margins, here and at its end."""
        f, here = self.objective, self._curvature[rows, ...]
        weights = f.weights[rows]
        after = f.loss.curvature(self.eta[rows, ...] + change, f.y[rows, ...])
        if not f.coupled:
            return here * change**2, weights * after * change**2
        forms = (f.loss.curvature_product(C, change) * change for C in (here, after))
        return [weights * f.xp.sum(form, axis=1) for form in forms]

    def slope_towards(self, other):
        """Return t -> d/dt F(w + t d) with d = other.w - w, O(n) a call."""
        f = self.objective
        change, d = other.eta - self.eta, other.w - self.w
        ridge = f.ridge(d)
        linear, quadratic = inner(ridge, self.w), inner(ridge, d)

        def derivative(t):
            loss = f.design.rows.slope_sum(f.loss, self.eta, change, t, f.y, f.weights)
            return loss + linear + t * quadratic

        return derivative
