"""Curvature of the stochastic solvers: their settings, P, and the smoothness in P."""

import math
from collections import namedtuple

import numpy as np

from .._arrays import (
    cast,
    column_squares,
    dense,
    entry_squares,
    is_numpy,
    like,
    namespace,
)
from ..kernels.rows import factor_view
from ..linalg.power import largest_eigenvalue
from ..preconditioners import Nystrom, SubsampledNewton, resolve_preconditioner

PAPER_BATCH, PAPER_RANK, PAPER_RHO = 256, 10, 1e-3
SMALL_RANK = 512  # rows or columns up to which the subsampled Hessian is kept whole
GATHER = 6  # entries of a dense product in the time of one of a sparse row
MANY_COLUMNS = 2000
SMALL_PROBLEM = 20_000  # rows times columns
LEVERAGE_ROWS = 32
SAFETY = 1.05  # the power method stops a few per cent below
DAMPINGS = tuple(10.0**-k for k in range(7))
DAMPING_PRICE = 3.0  # largest rise of the smoothness that less damping may cost

Settings = namedtuple(
    "Settings", "preconditioner batch_size hessian_batch rho refresh paper"
)


def named(value, default):
    """Value of a hyper-parameter, the default where it is "auto"."""
    return default if isinstance(value, str) and value == "auto" else value


def settings(solver, f):
    """Hyper-parameters of a solver with every "auto" resolved for the objective f.

    Returns
    -------
    Settings
    """
    n, paper = f.n_rows, solver.preset == "paper"
    batch = PAPER_BATCH if paper else _batch_size(f)
    batch = min(n, int(named(solver.batch_size, batch)))
    sample = math.isqrt(n) if paper else _sample_size(f)
    sample = max(1, min(n, int(named(solver.hessian_batch, sample))))
    return Settings(
        _preconditioner(solver, f, sample, batch),
        batch,
        sample,
        named(solver.rho, PAPER_RHO if paper else "auto"),
        named(solver.refresh, 1 if paper else "auto"),
        paper,
    )


def _batch_size(f):
    """Small enough for many steps an epoch, large enough to outweigh vector work.

    Sparse rows are cheap beside a dense factor of order dim, which every step applies:
    their batch grows to its cost, up to 64 steps an epoch.
    """
    n, rows = f.n_rows, f.design.rows
    if not is_numpy(rows.X):
        return int(min(max(n / 64, 64), 4096))
    batch = 2 ** math.ceil(math.log2(max(n / 256, 1)))
    entries = max(rows.nnz / n, 1.0)
    least = min(5 * f.dim / entries, n / 20)
    if rows.sparse and f.dim <= MANY_COLUMNS:
        least = max(least, min(f.dim**2 / (GATHER * entries), n / 64))
    return int(max(min(max(batch, 16), 256), least))


def _sample_size(f):
    """10 sqrt(n) rows, fewer where their Hessian would cost more than a pass.

    All rows of a small problem, whose every step is one call.
    """
    n, root = f.n_rows, math.isqrt(f.n_rows)
    if n * f.dim <= SMALL_PROBLEM:
        return n
    if f.dim > MANY_COLUMNS:
        return root
    return max(root, min(10 * root, int(n / max(f.design.rows.gram_cost, 1e-9))))


def _preconditioner(solver, f, sample, batch):
    """Preconditioner specification for a sample of the given size.

    Each step applies it once, so dense rows are kept only where a batch has more.
    """
    spec, paper = solver.preconditioner, solver.preset == "paper"
    if not isinstance(spec, str):
        return resolve_preconditioner(spec)
    if spec == "auto":
        whole = min(sample, f.dim) <= min(SMALL_RANK, 2 * batch)
        if f.design.rows.sparse or (whole and not paper):
            return SubsampledNewton()
        spec = Nystrom(max(1, min(50, sample // 2, f.dim)))
    spec = resolve_preconditioner(spec)
    if paper and "rank" in spec.get_params():
        spec.set_params(rank=PAPER_RANK)
    return spec


class Curvature:
    r"""Preconditioner and smoothness at the current point, refreshed lazily.

    The smoothness is that of a batch gradient in the norm of P (the expected smoothness
    of b-nice sampling, Gazagnadou, Gower and Salmon, 2019),

    .. math:: L = \frac{n (b-1)}{b (n-1)} \lambda_1(P^{-1} H)
              + \frac{n - b}{b (n-1)} \ell,

    with :math:`\ell` the mean curvature of a single row, :math:`\mathrm{tr}(P^{-1} H)`.
    Both are measured on rows independent of those that made P; where single rows
    dominate that sample, :math:`\lambda_1` is measured on all rows. With ``rho="auto"``
    the damping is the smallest power of ten, from 1 down to 1e-6, that raises L by no
    more than `DAMPING_PRICE`: less damping conditions better, until P is small in
    directions that the sample does not know. The preset "paper" has its own rho and
    :math:`L = \lambda_1`.

    Attributes
    ----------
    factors : Factors
        P^-1 as an epoch takes it.
    smoothness : float
        L.
    convexity : float
        Penalty relative to the mean curvature of a single row, tr(H).
    builds, passes : int, float
        Preconditioners built, and passes over X that they cost.
    """

    def __init__(self, solver, f, rng):
        self.settings, self.f, self.rng = settings(solver, f), f, rng
        penalty = f.penalty
        self.ridge = penalty if penalty.ndim == 1 else f.xp.max(penalty, axis=1)
        self.builds, self._next, self.passes = 0, 0, 0.0

    def update(self, point, epoch, anew=False):
        """Rebuild at the point if that is due, or asked for."""
        if anew or epoch >= self._next:
            self._build(point)
            self._next = epoch + self._interval()

    def expire(self):
        """Rebuild before the next epoch, unless one build is all there is."""
        if math.isfinite(self._next):
            self._next = 0

    def gap(self, point):
        """Lower estimate 1/2 g' P^-1 g of F(w) - F*."""
        g = point.gradient
        return 0.5 * float(self.f.xp.sum(g * self.inverse.apply(g)))

    def _interval(self):
        if self.f.quadratic or self.settings.refresh is None:
            return math.inf
        if self.settings.refresh == "auto":
            return 1 if self.builds < 3 else 2 ** (self.builds - 3)
        return self.settings.refresh

    def _sample(self, point):
        """Hessian root of random rows."""
        n, size = self.f.n_rows, self.settings.hessian_batch
        self.passes += size / n
        rows = self.rng.choice(n, size, replace=False, shuffle=False)
        return point.root(np.sort(rows))

    def _build(self, point):
        s, xp = self.settings, self.f.xp
        A, check = self._sample(point), self._sample(point)
        penalised = cast(self.ridge > 0, xp.float64)
        trace = float(xp.sum(penalised * cast(column_squares(A), xp.float64)))
        self.convexity = float(xp.max(self.ridge)) / trace if trace > 0 else 1.0
        diagonal = None if s.paper else self._diagonal(point, A)
        limit = math.inf
        for rho in DAMPINGS if s.rho == "auto" else (s.rho,):
            inverse = s.preconditioner.build(A, rho, self.rng, diagonal)
            largest, single = self._largest(_sampled(check), inverse), 0.0
            if not s.paper:
                single = _row_curvature(check, inverse)
            smoothness = self._expected(largest, single)
            if smoothness > limit:
                break
            limit = min(limit, DAMPING_PRICE * smoothness)
            self.inverse, kept = inverse, (largest, single)
            if inverse.rank == 0:
                break
        largest, single = kept
        if (
            single > 0.25 * largest * check.shape[0]
        ):  # the sample shows single rows only
            largest = self._largest(self._whole(point), self.inverse, max_iter=10)
        self.smoothness = self._expected(largest, single)
        self.factors = _factors(self.inverse)
        self.builds += 1

    def _diagonal(self, point, A):
        """Diagonal that P must reach: of the Hessian, or of a row's share of a batch.

        A row with an entry in a rare column moves its coefficient n/b times as far as
        the mean does, so P needs 1/b of the curvature of such a row. Three quarters of
        the exact diagonal leave the sampling noise of common columns alone: filling it
        up would damp the directions of small curvature.
        """
        xp, n, b = self.f.xp, self.f.n_rows, self.settings.batch_size
        self.passes += 1
        h = point.diagonal()
        squares = cast(column_squares(A), h.dtype)
        fourth = cast(column_squares(entry_squares(A)), h.dtype)
        seen = squares > 0
        single = A.shape[0] * fourth / xp.where(seen, squares, xp.ones_like(squares))
        share = xp.where(seen, single, n * h) * ((n - b) / (n * b))
        return xp.maximum(0.75 * (h + self.ridge), share)

    def _whole(self, point):
        """Product with the Hessian of all rows, a pass each."""

        def product(v):
            self.passes += 1
            return point.loss_product(v)

        return product

    def _largest(self, product, inverse, max_iter=20):
        """Largest eigenvalue of P^-1 (H + penalty)."""

        def damped(v):
            return product(v) + self.ridge * v

        return largest_eigenvalue(
            damped, self.f.dim, self.rng, self.f.design.rows.zeros((1,)),
            inverse.apply, max_iter=max_iter,
        )  # fmt: skip

    def _expected(self, largest, single):
        """Smoothness of a batch gradient, L."""
        n, b = self.f.n_rows, self.settings.batch_size
        if self.settings.paper or n == 1:
            return largest
        return (n * (b - 1) * SAFETY * largest + (n - b) * single) / (b * (n - 1))


def _sampled(A):
    """Product with A'A."""
    return lambda v: cast(A.T @ (A @ cast(v, A.dtype)), v.dtype)


def _row_curvature(A, inverse):
    """Mean curvature of a single row in the norm of P, from the Hessian root A."""
    rows = min(LEVERAGE_ROWS, A.shape[0])
    some = dense(A[:rows, :]).T
    total = namespace(some).sum(some * inverse.apply(some))
    return A.shape[0] * float(total) / rows


def _factors(inverse):
    """Inverse of a preconditioner as an epoch takes it."""
    Y = inverse.Y
    if inverse.square or inverse.rank == 0:
        Y = like(np.zeros((0, inverse.t.shape[0])), inverse.t)
    return factor_view(inverse.t, Y, inverse.M)
