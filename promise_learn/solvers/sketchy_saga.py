"""SketchySAGA: preconditioned SAGA with batches."""

from dataclasses import dataclass

from ..kernels.rows import adjoint, apply, dot, slope
from ._stochastic import StochasticRun, StochasticSolver
from .theory import Theory


def saga_epoch(
    X, y, weights, loss, order, starts, batch, penalty, P, step, w, mean, table
):
    """One sweep of b-nice SAGA; updates w, mean = X' table / n and table in place."""
    n = order.shape[0]
    for lo in starts:
        rows = order[lo : lo + batch]
        hi = lo + rows.shape[0]
        kept = table[lo:hi, ...]
        slopes = weights[lo:hi, ...] * slope(loss, dot(X, rows, w), y[lo:hi, ...])
        change = slopes - kept
        correction = adjoint(X, rows, change)
        w -= step * apply(P, mean + correction / rows.shape[0] + penalty * w)
        mean += correction / n
        kept += change


@dataclass(repr=False, eq=False)
class SketchySAGA(StochasticSolver):
    r"""Preconditioned b-nice SAGA.

    A table holds one slope a row and class, u is the mean of slope times row:

    .. math::
        d_i = \ell'(z_i \cdot w, y_i) - T_i, \quad i \in B, \qquad
        w \leftarrow w - \eta P^{-1} \big( u + \tfrac{1}{b} \sum_B d_i z_i
        + \mu w \big), \qquad u \leftarrow u + \tfrac{1}{n} \sum_B d_i z_i, \quad
        T_i \leftarrow T_i + d_i .

    Batches are drawn with replacement from a new partition of the rows in every epoch;
    drawn each once they would be biased, because rows that were visited already keep no
    stale slope. The objective is evaluated once an epoch, which makes two passes.

    Parameters
    ----------
    preconditioner : str, Preconditioner or None, default="auto"
        Small model of the Hessian; None for plain SAGA.
    batch_size, hessian_batch : int or "auto", default="auto"
        Rows of a gradient and of a Hessian estimate.
    rho : float or "auto", default="auto"
        Damping of the preconditioner.
    refresh : int, None or "auto", default="auto"
        Epochs between two preconditioners; None for a single one.
    preset : {"auto", "paper"}, default="auto"
        What "auto" stands for; see `StochasticSolver`. "paper" also starts from an
        empty table, not from the slopes at the starting point.

    References
    ----------
    Frangella, Rathore, Zhao and Udell, "PROMISE", JMLR 25, 2024, SketchySAGA;
    Gazagnadou, Gower and Salmon, "Optimal mini-batch and step sizes for SAGA", 2019.
    """

    name = "sketchy-saga"
    stochastic = True
    theory = Theory(
        "tau*",
        "O~(d)",
        True,
        "fast linear",
        "PROMISE (Frangella et al., 2024), SketchySAGA",
    )

    def iterate(self, f, w, rng):
        """Yield a `Step` after every epoch."""
        run = StochasticRun(self, f, w, rng)
        table, mean = run.slopes()
        if self.preset == "paper":
            table, mean = 0 * table, 0 * mean
        while run.refresh():
            step, w = run.step_size(), run.start()
            table = run.sweep(saga_epoch, step, w, mean, table=table, resample=True)
            if not run.accept(w):
                table, mean = run.slopes()
            yield run.report(step)
