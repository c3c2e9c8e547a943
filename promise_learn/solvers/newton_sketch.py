"""Newton Sketch: the whole Hessian root, sketched afresh in every iteration."""

from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from .. import multinomial
from .._arrays import inner, take
from ..design import Design
from ..linalg import sparse_sign
from ..losses import SquaredError
from ..objective import Expansion, Objective
from ._refresh import named
from ._subsampled import NewtonSystem
from .base import Solver, Step
from .line_search import advance
from .theory import Theory

BLOCK_ENTRIES = 2**22


@dataclass(repr=False, eq=False)
class NewtonSketch(Solver):
    r"""Newton's method with a sketched Hessian root.

    With A a root of the Hessian of the loss, :math:`A^T A = X^T D X`, and S a fresh
    sparse sign matrix of s rows,

    .. math:: d = -\big( (S A)^T S A + \mathrm{diag}(penalty) \big)^{-1} \nabla F(w),
        \qquad w \leftarrow w + t d .

    The sketch doubles whenever a step fails to halve the decrement
    :math:`(g^T H_S^{-1} g)^{1/2}`, measured in the same sketch before and after. Once s
    reaches the number of rows, S is the identity and the method is Newton's.

    Parameters
    ----------
    sketch_size : int or "auto", default="auto"
        Rows of the first sketch. "auto" is 16, with which the adaptive method starts
        small, whatever the dimension.
    adaptive : bool, default=True
        Whether the sketch may double.
    nonzeros : int, default=8
        Rows of the sketch that each row of A goes into, as in PROMISE.
    ratio : float, default=0.5
        Largest share of the decrement that a step may leave (our choice).

    References
    ----------
    Pilanci and Wainwright, "Newton Sketch: a near linear-time optimization algorithm
    with linear-quadratic convergence", SIAM J. Optim. 27, 2017; Lacotte,
    Wang and Pilanci, "Adaptive Newton Sketch", ICML 2021, for sizes that grow to the
    effective dimension.
    """

    sketch_size: Any = "auto"
    adaptive: bool = True
    nonzeros: int = 8
    ratio: float = 0.5

    name = "newton-sketch"
    default_max_iter = 500
    theory = Theory(
        "full",
        "O~(d)",
        False,
        "fast linear",
        "Pilanci and Wainwright (2017)",
    )

    def iterate(self, f, w, rng):
        """Yield a `Step` before every step."""
        size = named(self.sketch_size, 16)
        point, passes, t, refreshes = f.expand(w), 1.0, 1.0, 0
        while point is not None:
            whole = size >= f.n_rows
            solve, cost = _newton(point) if whole else self._sketched(point, size, rng)
            d = -solve(point.gradient)
            decrement = -inner(point.gradient, d)
            passes, refreshes = passes + cost, refreshes + 1
            value, g = point.value, point.gradient
            gap = 0.5 * decrement
            yield Step(point.w, value, g, gap, False, passes, t, refreshes)
            point, t = advance(f, point, d)
            passes += 1
            if point is None and not whole and self.adaptive:
                point, size = f.expand(w), f.n_rows
            elif point is not None and self.adaptive:
                left = inner(point.gradient, solve(point.gradient))
                size *= 1 if left <= self.ratio**2 * decrement else 2
                w = point.w

    def _sketched(self, point, size, rng):
        """Return the function g -> H_S^-1 g, and the passes over X that it cost."""
        model = sketched_model(point, size, rng, self.nonzeros)
        system, f = NewtonSystem(model), point.objective
        work = self.nonzeros * (f.n_columns if f.coupled else 1)
        if not f.coupled:
            return system.solve, float(work)
        xp = f.xp

        def solve(g):
            flat = system.solve(xp.reshape(xp.matrix_transpose(g), (-1,)))
            return xp.matrix_transpose(xp.reshape(flat, (f.n_columns, f.dim)))

        return solve, float(work)


def _newton(point):
    """Return the function g -> H^-1 g of the true Hessian, and its cost."""
    system = NewtonSystem(point)
    return system.solve, system.passes


def sketched_model(point, size, rng, nonzeros=8):
    """Expansion of a quadratic function whose Hessian is the sketched one.

    Blocks of rows are sketched one by one, since S A is the sum of their sketches. The
    multinomial model is in one vector of length K dim, in class-major order; directions
    in which the loss is flat get unit curvature, as in `Expansion.hessian`.

    Parameters
    ----------
    point : Expansion
    size : int
        Rows of the sketch.
    rng : numpy.random.Generator
    nonzeros : int, default=8
    """
    f = point.objective
    K = f.n_columns if f.coupled else 1
    step, parts = max(1, BLOCK_ENTRIES // (f.dim * K**2)), []
    for lo in range(0, f.n_rows, step):
        rows = np.arange(lo, min(f.n_rows, lo + step))
        if f.coupled:
            A = multinomial.class_root(point, rows)
        else:
            A = f.design.root(rows, take(point.row_curvature, rows))
        parts.append(sparse_sign(A, size, rng, nonzeros))
    Y, penalty, shape = reduce(add, parts), f.penalty, f.shape
    if f.coupled:
        Y, shape = f.xp.concat([Y, multinomial.flat_rows(f)], axis=0), (K * f.dim,)
        penalty = f.xp.tile(penalty, (K,))
    ones = f.design.rows.zeros((Y.shape[0],)) + 1
    model = Objective(Design(Y), None, SquaredError(), ones, penalty, shape)
    return Expansion(model, None, None, None, None, ones)
