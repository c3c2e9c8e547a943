"""Newton's method with dense Hessians and Cholesky factors."""

from dataclasses import dataclass

from . import row_space
from .base import Solver, Step
from .line_search import advance
from .newton import HessianFactor

REUSE = 10.0


@dataclass(repr=False, eq=False)
class NewtonCholesky(Solver):
    """Newton's method; a factor serves as long as the decrement falls tenfold a step.

    Where there are fewer rows than columns the same iteration runs in the row space, in
    n unknowns (Woodbury's identity in disguise).

    Parameters
    ----------
    memory_limit : float, default=4e9
        Bytes that the dense Hessian and its factor may take.

    Raises
    ------
    ValueError
        If the Hessian needs more memory than that.

    References
    ----------
    Boyd and Vandenberghe, Convex Optimization (2004), algorithm 9.5.
    """

    memory_limit: float = 4e9

    name = "newton-cholesky"
    default_max_iter = 200

    def check(self, f):
        """Refuse a Hessian that does not fit."""
        columns = f.n_columns if f.coupled else 1
        size = columns * min(f.dim, f.n_rows + 1)
        needed = 3 * 8 * size**2
        if needed > self.memory_limit:
            raise ValueError(
                f"solver={self.name!r} forms a {size:,} x {size:,} matrix, "
                f"{needed / 1e9:.1f} GB with its factor: use solver='auto' or raise "
                f"memory_limit (now {self.memory_limit / 1e9:.1f} GB)."
            )

    def iterate(self, f, w, rng):
        """Yield a `Step` before every Newton step."""
        if row_space.applies(f):
            small, lift, project = row_space.reduced(f)
            for step in self.iterate(small, project(w), rng):
                step.w = lift(step.w)
                yield step
            return
        xp, point, factor = f.xp, f.expand(w), None
        passes, t, refreshes, decrement = 1.0, 1.0, 0, float("inf")
        while point is not None:
            previous = decrement
            if factor is not None:
                d = -factor.solve(point.gradient)
                decrement = -0.5 * float(xp.sum(point.gradient * d))
            if factor is None or decrement > previous / REUSE:
                factor = HessianFactor(point)
                passes, refreshes = passes + 1, refreshes + 1
                d = -factor.solve(point.gradient)
                decrement = -0.5 * float(xp.sum(point.gradient * d))
            yield Step(
                point.w, point.value, point.gradient, decrement, True, passes, t, refreshes
            )
            point, t = advance(f, point, d)
            passes += 1


@dataclass(repr=False, eq=False)
class Direct(NewtonCholesky):
    """Normal equations by Cholesky, of the smaller side; refined on the true residual.

    For the squared error one factor gives the solution; every later step is iterative
    refinement with the gradient that X itself gives, not the Gram matrix.

    Parameters
    ----------
    memory_limit : float, default=4e9
        Bytes that the Gram matrix and its factor may take.

    Raises
    ------
    ValueError
        If the loss is not the squared error, or the Gram matrix needs more memory.

    References
    ----------
    Golub and Van Loan, Matrix Computations, section 5.3.
    """

    name = "direct"
    default_max_iter = 20

    def check(self, f):
        """Accept the squared error only."""
        if not f.quadratic:
            raise ValueError(
                "solver='direct' solves squared-error problems only: use "
                "'newton-cholesky' or 'auto'."
            )
        super().check(f)
