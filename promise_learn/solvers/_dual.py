"""The dual of ridge regression, in one unknown a row."""

import math
from functools import cache, partial

from .._arrays import add_diagonal, column, inner
from ..linalg.cg import pcg
from ..linalg.spd import Factor
from .base import Step
from .newton import distinct
from .row_space import alike
from .sketch import unchanged

RESTART = 1e-10
EXACT = 1e-12  # rounding error of products, above which residuals are looked at anew
STALLED = 0.1  # of the gap that X itself gave at the last restart


class Dual:
    r"""Dual of ridge regression: (A A' + penalty I) x = b, and w = A' x.

    A is :math:`D^{1/2} X` and b :math:`D^{1/2} y`, with weights D; where there is an
    intercept, less their components along the roots of the weights. For the residual r
    of x the gradient of F at w is -A'r, and F(w) - F* is at most r'r / 2, which is the
    gap between F(w) and the dual objective, x'(b + r) penalty / 2.

    Parameters
    ----------
    f : Objective
        Of the squared error, with one penalty for all coefficients of a target.
    """

    @staticmethod
    def exists(f):
        """Whether targets have one positive penalty each, and none of the intercept."""
        penalty, p = f.penalty, f.design.rows.shape[1]
        positive = f.xp.all(penalty[0, ...] > 0) & f.xp.all(penalty[p:, ...] == 0)
        return alike(f) and bool(positive)

    def __init__(self, f):
        self._f, self._root = f, f.xp.sqrt(f.weights)
        self._total = float(f.xp.sum(f.weights))
        self._penalty = f.penalty[0, ...]
        self.target = self._rooted(f.y)

    def _centred(self, t):
        """Part across the roots of the weights, where there is an intercept."""
        if not self._f.design.intercept:
            return t
        u = column(self._root, t)
        # not BLAS: for long vectors it starts threads, which then keep ours from a core
        return t - u * (self._f.xp.sum(u * t, axis=0) / self._total)

    def _rooted(self, t):
        return self._centred(column(self._root, t) * t)

    def _lifted(self, x):
        """A'x, where x is centred."""
        return self._f.design.adjoint(column(self._root, x) * x)

    def product(self, x):
        """Return (A A' + penalty I) x."""
        return self._rooted(self._f.design.dot(self._lifted(x))) + self._penalty * x

    def start(self, w):
        """Multiple, of least dual objective, of what is x at the minimum; None at 0."""
        f = self._f
        if not bool(f.xp.any(w != 0)):
            return None
        x = self._rooted(f.y - f.design.dot(w))
        curvature = f.xp.sum(x * self.product(x), axis=0)
        positive = curvature > 0
        slope = f.xp.sum(x * self.target, axis=0)
        return x * f.xp.where(positive, slope / f.xp.where(positive, curvature, 1.0), 0)

    def primal(self, x):
        """Coefficients w = A'x, and the best intercept for them."""
        if not self._f.design.intercept:
            return self._lifted(x)
        return self.solution(x)[0]

    def solution(self, x):
        """Coefficients w = A'x with the best intercept, F(w), and the residual of x."""
        f, w = self._f, self._lifted(x)
        error = f.y - f.design.dot(w)
        if f.design.intercept:
            mean = f.xp.sum(column(f.weights, error) * error, axis=0) / self._total
            w = f.xp.concat([w[:-1, ...], w[-1:, ...] + mean], axis=0)
            error = error - mean
        value = 0.5 * (inner(column(f.weights, error) * error, error))
        value += 0.5 * inner(f.ridge(w), w)
        return w, value, self._rooted(error) - self._penalty * x

    def value(self, x, residual, gap):
        """F at the primal point of an x with this residual and gap."""
        dual = 0.5 * inner(self._penalty * x, self.target + residual)
        return dual + gap

    def step(self, it, gap, passes):
        """`Step` for an iterate of CG, confirmed by the residual that X itself gives.

        Where rows are many, or the penalty is small, w = A'x may cancel.
        """
        solution = cache(partial(self.solution, it.x))
        value = self.value(it.x, it.residual, gap)
        step = Step(lambda: solution()[0], value, None, gap, True, passes, 1.0)
        step.confirm = lambda: 0.5 * inner(solution()[2], solution()[2])
        return step

    def inverse(self):
        """Inverse of A A' + penalty I by Cholesky, as a function of blocks like x."""
        f, K = self._f, self._products()
        penalties, owned = [self._penalty], [[]]
        if f.per_target:
            penalties, owned = distinct(f.penalty[:1, :])
        alone, ones = len(penalties) == 1, f.xp.ones_like(self._root)
        factors = [Factor(add_diagonal(K, ones * c, alone), True) for c in penalties]
        if alone:
            return factors[0].solve

        def solve(r):
            pairs = zip(owned, factors, strict=True)
            solved = {c: F.solve(r[:, c]) for columns, F in pairs for c in columns}
            return f.xp.stack([solved[c] for c in range(r.shape[1])], axis=1)

        return solve

    def _products(self):
        """Make A A', the products of rows with each other."""
        f, K, root = self._f, self._f.design.row_gram(), self._root
        K *= root[:, None]
        K *= root[None, :]
        if f.design.intercept:
            u = root / math.sqrt(self._total)
            across = K @ u
            across = across - 0.5 * (u @ across) * u
            K -= u[:, None] * across[None, :]
            K -= across[:, None] * u[None, :]
        return K


def iterations(dual, x):
    """Yield iterates of CG, the gap of each, and the first since the last restart.

    CG starts again from what X itself gives when the error has fallen by ten orders, or
    has not in as many iterations as that took at first; and ends where the new start
    shows that it no longer falls.
    """
    before, longest = math.inf, math.inf
    while True:
        first = None
        for it in pcg(dual.product, dual.target, unchanged, x, least=1.0):
            gap = 0.5 * inner(it.residual, it.residual)
            first = first or gap
            yield it, gap, first
            if gap <= RESTART * first or it.iteration >= longest:
                break
        if not first < STALLED * before:
            return
        x, before, longest = it.x, first, min(longest, it.iteration)


def lossy(f):
    """Whether products in single precision may leave the residual of the recursion.

    One column at a time is summed in double precision, and features have no other X.
    """
    rows = f.design.rows
    return f.n_columns > 1 and rows.stored and rows.epsilon > EXACT
