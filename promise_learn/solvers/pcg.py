"""Preconditioned conjugate gradients for ridge regression."""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

from .._arrays import inner
from ..linalg.cg import pcg
from ._dual import RESTART, lossy
from .base import Solver, Step
from .direct import Direct
from .sketch import (
    curvature_inverse,
    may_be_poor,
    smallest_at_least,
    smallest_at_most,
)
from .theory import Theory


@dataclass(repr=False, eq=False)
class PCG(Solver):
    """Conjugate gradients on the normal equations, all targets in one product.

    Every target has step lengths of its own, and one that has converged stops moving.
    When the error has fallen by ten orders CG starts again from the gradient that X
    itself gives, which removes the rounding of the recursion.

    Parameters
    ----------
    preconditioner : str, Preconditioner or None, default="auto"
        "auto" is the Cholesky factor of the Hessian of all rows or a sample, in single
        precision, where that is small enough; else, for sparse X, the rows of large
        leverage and the diagonal of the others; for dense X "nystrom". None is plain
        conjugate gradients. With None and "diagonal" the penalty bounds the gap, which
        needs no caution then.
    patience : float, default=inf
        Iterations after which `Direct` takes over. ``solver="auto"`` allows those that
        take half of the time of a factor, where X is sparse or rows are few: how many
        are needed depends on the penalty and shows only on the way.

    Raises
    ------
    ValueError
        If the loss is not the squared error, patience is not positive, or it is finite
        and the factor has no room.

    References
    ----------
    Golub and Van Loan, Matrix Computations, algorithm 11.5.1. The sampled factor is the
    square case of SSN in PROMISE (Frangella et al., 2024), section 3.
    """

    preconditioner: Any = "auto"
    patience: float = math.inf

    name = "pcg"
    theory = Theory(
        "full",
        "full",
        True,
        "linear",
        "Golub and Van Loan, algorithm 11.5.1",
    )
    default_max_iter = 20000
    uses_preconditioner = True

    def check(self, f):
        """Accept the squared error only."""
        if not f.quadratic:
            raise ValueError(
                f"solver={self.name!r} solves squared-error problems only: use "
                "'newton-cg' or 'auto'."
            )
        if not self.patience > 0:
            raise ValueError(f"patience={self.patience!r}: use a positive number")
        if math.isfinite(self.patience):
            Direct().check(f)

    def iterate(self, f, w, rng):
        """Yield a `Step` every iteration of conjugate gradients."""
        point = f.expand(w, diagonal=self.preconditioner is not None)
        inverse, passes = curvature_inverse(self.preconditioner, point, rng)
        cautious = may_be_poor(self.preconditioner, f)
        least = smallest_at_least(self.preconditioner, f, inverse)
        passes += 1 + (f.design.intercept and least > 0)
        smallest, left = smallest_at_most(self.preconditioner), self.patience
        while True:
            first = None
            for it in pcg(
                point.product,
                -point.gradient,
                inverse,
                cautious=cautious,
                smallest=smallest,
                least=least,
            ):
                passes += 1
                first = first or it.decrease + it.gap
                w, value = point.w + it.x, point.value - it.decrease
                measured = partial(_measured, f, w, inverse, it.smallest)
                yield Step(
                    w,
                    value,
                    None,
                    it.gap,
                    True,
                    passes,
                    1.0,
                    1,
                    measured if lossy(f) else None,
                )
                left -= 1
                if it.gap <= RESTART * first or left <= 0:
                    break
            before, smallest = point.value, it.smallest
            point, passes = f.expand(point.w + it.x), passes + 1
            if left <= 0:
                for step in Direct().iterate(f, point.w, rng):
                    step.passes += passes
                    yield step
                return
            if not point.value < before:
                return


def _measured(f, w, inverse, smallest):
    """Estimate of the gap by the gradient that X itself gives at w."""
    g = f.expand(w).gradient
    return 0.5 * inner(g, inverse(g)) / smallest


@dataclass(repr=False, eq=False)
class NystromPCG(PCG):
    """Nystrom-preconditioned conjugate gradients for ridge regression.

    As `PCG`, with the randomised Nystrom approximation of the whole Hessian as its
    preconditioner; the rank doubles while that pays.

    Parameters
    ----------
    preconditioner : str, Preconditioner or None, default="nystrom"

    References
    ----------
    Frangella, Tropp and Udell, Randomized Nystrom preconditioning, SIAM J. Matrix Anal.
    Appl. 44 (2023), section 5.
    """

    preconditioner: Any = "nystrom"

    name = "nystrom-pcg"
    theory = Theory(
        "full",
        "full",
        True,
        "fast linear",
        "Frangella, Tropp and Udell (2023), Nystrom PCG",
    )
