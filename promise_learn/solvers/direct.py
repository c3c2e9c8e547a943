"""Ridge regression by one Cholesky factor, of the smaller side."""

import math
from dataclasses import dataclass

from .._arrays import inner
from . import row_space
from ._dual import STALLED, Dual
from .base import Step
from .newton_cholesky import NewtonCholesky
from .theory import Theory

REFINED = 3  # steps in the row space after the dual; rounding ends what they gain


@dataclass(repr=False, eq=False)
class Direct(NewtonCholesky):
    """Normal equations by Cholesky, of the smaller side; refined on the true residual.

    For the squared error one factor gives the solution, and where its rounding errors
    might matter every later step is iterative refinement with the gradient that X
    itself gives, not the Gram matrix. With fewer rows than columns that is done in the
    dual, and where rounding ends it, in the row space. Where products of the rows round
    small columns away, or the factor has lost directions in rounding, conjugate
    gradients in all unknowns follow.

    Parameters
    ----------
    memory_limit : float, default=4e9
        Bytes that the Gram matrix and its factors, one for every different penalty, may
        take.

    Raises
    ------
    ValueError
        If the loss is not the squared error, or the Gram matrix needs more memory.

    References
    ----------
    Golub and Van Loan, Matrix Computations, section 5.3; for the dual Saunders,
    Gammerman and Vovk, Ridge regression learning algorithm in dual variables (1998).
    """

    name = "direct"
    theory = Theory(
        "full",
        "full",
        True,
        "exact",
        "Golub and Van Loan, section 5.3",
    )
    default_max_iter = 20
    draws = False

    def check(self, f):
        """Accept the squared error only."""
        if not f.quadratic:
            raise ValueError(
                "solver='direct' solves squared-error problems only: use "
                "'newton-cholesky' or 'auto'."
            )
        super().check(f)

    def iterate(self, f, w, rng):
        """Yield a `Step` for the solution, and each that refines it."""
        passes, poor = 0.0, False
        if row_space.applies(f) and Dual.exists(f):
            for step in self._by_rows(f):
                passes, poor = step.passes, True
                yield step
        rest = (
            self._in_row_space(f, w, rng, REFINED)
            if poor
            else super().iterate(f, w, rng)
        )
        for step in rest:
            step.passes += passes
            step.reliable &= not poor  # its gap is then measured by the true gradient
            yield step

    def _by_rows(self, f):
        """Yield a `Step` for the solution of the dual, and each that refines it.

        They end where rounding in A'x leaves the residual.
        """
        dual, passes = Dual(f), f.design.rows.row_gram_cost
        inverse, x, r, least = dual.inverse(), 0.0, dual.target, math.inf
        while True:
            x, passes = x + inverse(r), passes + 1
            w, value, r = dual.solution(x)
            gap = 0.5 * inner(r, r)
            yield Step(w, value, None, gap, True, passes, 1.0, 1)
            if not gap < STALLED * least:
                return
            least = gap
