"""SketchySVRG: preconditioned stochastic variance-reduced gradient."""

from dataclasses import dataclass

from ..kernels.rows import adjoint, apply, dot, slope
from ._stochastic import StochasticRun, StochasticSolver
from .theory import Theory


def svrg_epoch(
    X, y, weights, loss, order, starts, batch, penalty, P, step, w, mean, table
):
    """One sweep of SVRG; updates w in place.

    ``table`` holds the slopes at the snapshot and mean = X' table / n, so that a batch
    gradient of the snapshot costs no second product.
    """
    for lo in starts:
        rows = order[lo : lo + batch]
        hi = lo + rows.shape[0]
        slopes = weights[lo:hi, ...] * slope(loss, dot(X, rows, w), y[lo:hi, ...])
        correction = adjoint(X, rows, slopes - table[lo:hi, ...])
        w -= step * apply(P, mean + correction / rows.shape[0] + penalty * w)


@dataclass(repr=False, eq=False)
class SketchySVRG(StochasticSolver):
    r"""Preconditioned SVRG with a snapshot at the start of every epoch.

    .. math::
        w \leftarrow w - \eta P^{-1} \big( \nabla F_B(w) - \nabla F_B(\tilde w)
        + \nabla F(\tilde w) \big), \qquad \tilde w \leftarrow w
        \text{ after every epoch}.

    Value and gradient at the snapshot come for free; an epoch makes two passes.

    Parameters
    ----------
    preconditioner : str, Preconditioner or None, default="auto"
        Small model of the Hessian; None for plain SVRG.
    batch_size, hessian_batch : int or "auto", default="auto"
        Rows of a gradient and of a Hessian estimate.
    rho : float or "auto", default="auto"
        Damping of the preconditioner.
    refresh : int, None or "auto", default="auto"
        Epochs between two preconditioners; None for a single one.
    preset : {"auto", "paper"}, default="auto"
        What "auto" stands for; see `StochasticSolver`.

    References
    ----------
    Frangella, Rathore, Zhao and Udell, "PROMISE", JMLR 25, 2024, SketchySVRG; Johnson
    and Zhang, "Accelerating stochastic gradient descent using predictive variance
    reduction", 2013.
    """

    name = "sketchy-svrg"
    stochastic = True
    theory = Theory(
        "tau*",
        "O~(d)",
        True,
        "fast linear",
        "PROMISE (Frangella et al., 2024), SketchySVRG",
    )

    def iterate(self, f, w, rng):
        """Yield a `Step` after every epoch, at its last iterate."""
        run = StochasticRun(self, f, w, rng)
        while run.refresh():
            table, mean = run.slopes()
            step, w = run.step_size(), run.start()
            run.sweep(svrg_epoch, step, w, mean, table=table)
            run.accept(w)
            yield run.report(step)
