"""SLBFGS: stochastic L-BFGS with variance reduction."""

from dataclasses import dataclass
from typing import Any

from ..kernels.rows import adjoint, apply, dot, slope
from ._pairs import Pairs
from ._stochastic import StochasticRun, StochasticSolver
from ._subsampled import positive
from .base import Solver
from .theory import Theory


def slbfgs_epoch(
    X, y, weights, loss, order, starts, batch, penalty, P, step, w, mean, total, table
):
    """One sweep of SVRG along L-BFGS directions; updates w, adds iterates to total.

    ``table`` holds the slopes at the snapshot and mean = X' table / n.
    """
    for lo in starts:
        rows = order[lo : lo + batch]
        hi = lo + rows.shape[0]
        slopes = weights[lo:hi, ...] * slope(loss, dot(X, rows, w), y[lo:hi, ...])
        correction = adjoint(X, rows, slopes - table[lo:hi, ...])
        w -= step * apply(P, mean + correction / rows.shape[0] + penalty * w)
        total += w


class Memory:
    """The pairs as a preconditioner, whatever the rows."""

    def __init__(self, pairs, zero):
        self._pairs, self._zero = pairs, zero

    def build(self, A, rho, rng, diagonal=None):
        """Inverse that the pairs make."""
        return self._pairs.inverse(self._zero)


@dataclass(repr=False, eq=False)
class SLBFGS(Solver):
    r"""SVRG with a limited-memory BFGS inverse H in front of the gradient.

    .. math::
        w \leftarrow w - \eta H \big( \nabla F_B(w) - \nabla F_B(\tilde w)
        + \nabla F(\tilde w) \big), \qquad s = \bar u_r - \bar u_{r-1}, \quad
        y = (X_S^T D_S X_S + \mathrm{diag}(penalty)) s,

    with :math:`\bar u_r` the mean of the iterates of epoch r, :math:`\bar u_0 = w_0`, S
    fresh rows, and the snapshot at the start of every epoch. The source tunes the step;
    here it is that of SVRG, :math:`\max(1/(2 (n \mu + L)), 1/(3 L))` (PROMISE), with L
    the smoothness of a batch gradient in the norm of the BFGS matrix, measured on fresh
    rows. An epoch that raises F too much is undone with half the step, and a pair with
    :math:`s^T y \le 10^{-8} |s| |y|` is skipped. All columns of w share one matrix, for
    which each of them gives a pair; the multinomial curvature is its scalar bound.

    Parameters
    ----------
    memory : int, default=10
        Pairs kept, for each column of w. Ten in the source.
    batch_size : int or "auto", default="auto"
        Rows of a stochastic gradient; "auto" as in `StochasticSolver`.
    hessian_batch : int or "auto", default="auto"
        Rows of y; "auto" as in `StochasticSolver`, 10 sqrt(n) where that is cheap. The
        benchmarks of PROMISE take sqrt(n).

    References
    ----------
    Moritz, Nishihara and Jordan, "A linearly-convergent stochastic L-BFGS algorithm",
    AISTATS 2016, algorithm 1.
    """

    memory: int = 10
    batch_size: Any = "auto"
    hessian_batch: Any = "auto"

    name = "slbfgs"
    default_max_iter = 500
    visits_rows = True
    stochastic = True
    theory = Theory(
        "constant", "constant", False, "linear", "Moritz et al. (2016), algorithm 1"
    )

    def iterate(self, f, w, rng):
        """Yield a `Step` after every epoch, at its last iterate."""
        pairs = Pairs(self.memory * f.n_columns)
        memory = Memory(pairs, f.design.rows.zeros((f.dim,)))
        shared = StochasticSolver(memory, self.batch_size, self.hessian_batch, rho=1.0)
        run = StochasticRun(shared, f, w, rng)
        batches, average = -(-f.n_rows // run.batch_size), w
        while run.refresh(anew=True):
            table, mean = run.slopes()
            step, w, total = run.step_size(), run.start(), f.zeros()
            run.sweep(slbfgs_epoch, step, w, mean, total, table=table)
            if run.accept(w):
                previous, average = average, total / batches
                _add(pairs, run, average - previous)
            else:
                average = run.point.w
            yield run.report(step)


def _add(pairs, run, s):
    """Pairs of the columns of s with the Hessian of fresh rows at the current point."""
    f, size = run.f, run.curvature.settings.hessian_batch
    rows = f.sample(size, run.rng)
    sample = run.point.sample(rows, positive(f) / len(rows))
    ridge = run.curvature.ridge
    run.passes += len(rows) / f.n_rows
    for k in range(f.n_columns):
        column = s if s.ndim == 1 else s[:, k]
        pairs.add(column, sample.loss_product(column) + ridge * column)
