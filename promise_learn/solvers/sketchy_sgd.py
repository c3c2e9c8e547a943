"""SketchySGD: preconditioned stochastic gradient descent."""

from dataclasses import dataclass

from ..kernels.rows import adjoint, apply, dot, slope
from ._stochastic import StochasticRun, StochasticSolver
from .theory import Theory


def sgd_epoch(
    X, y, weights, loss, order, starts, batch, penalty, P, step, seen, w, average, table
):
    """One sweep of SGD; updates w, and the average of it and ``seen`` earlier iterates.

    ``table`` is not used; all epochs take one.
    """
    for lo in starts:
        rows = order[lo : lo + batch]
        hi = lo + rows.shape[0]
        slopes = weights[lo:hi, ...] * slope(loss, dot(X, rows, w), y[lo:hi, ...])
        w -= step * apply(P, adjoint(X, rows, slopes) / rows.shape[0] + penalty * w)
        seen += 1
        average += (w - average) / seen


@dataclass(repr=False, eq=False)
class SketchySGD(StochasticSolver):
    r"""Preconditioned SGD with falling steps and averaged iterates.

    .. math::
        w \leftarrow w - \eta P^{-1} \nabla F_B(w), \qquad
        \eta = \frac{1}{2 L (1 + \mathrm{epoch} / \mathrm{steady})} .

    The result is the average of all iterates since the last epoch that is a power of
    two, so it forgets the start and its noise falls with the number of epochs. Without
    variance reduction that is slow: moderate accuracy takes tens of epochs, and a tight
    ``tol`` ends at ``max_iter``.

    Parameters
    ----------
    preconditioner : str, Preconditioner or None, default="auto"
        Small model of the Hessian; None for plain SGD.
    batch_size, hessian_batch : int or "auto", default="auto"
        Rows of a gradient and of a Hessian estimate.
    rho : float or "auto", default="auto"
        Damping of the preconditioner.
    refresh : int, None or "auto", default="auto"
        Epochs between two preconditioners; None for a single one.
    preset : {"auto", "paper"}, default="auto"
        What "auto" stands for; see `StochasticSolver`.
    steady : float, default=10
        Epochs until the step has halved (our choice; the source keeps it).

    References
    ----------
    Frangella, Rathore, Zhao and Udell, "PROMISE", JMLR 25, 2024, SketchySGD, with a
    constant step and no average; Polyak and Juditsky, "Acceleration of stochastic
    approximation by averaging", 1992.
    """

    steady: float = 10

    name = "sketchy-sgd"
    stochastic = True
    theory = Theory(
        "tau*",
        "O~(d)",
        True,
        "none",
        "SketchySGD (Frangella et al., 2024)",
    )

    def iterate(self, f, w, rng):
        """Yield a `Step` after every epoch, at the average."""
        run = StochasticRun(self, f, w, rng)
        w, average, seen, epoch = run.start(), run.start(), 0, 0
        batches = -(-f.n_rows // run.batch_size)
        while run.refresh():
            if epoch & (epoch - 1) == 0:  # a power of two, or 0
                average, seen = 1 * w, 0
            step = 1 / (2 * run.smoothness * (1 + epoch / self.steady))
            run.sweep(sgd_epoch, step, seen, w, average)
            seen, epoch = seen + batches, epoch + 1
            if not run.accept(average, noisy=True):
                w, average = run.start(), run.start()
            yield run.report(step)
