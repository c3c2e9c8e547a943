"""SketchyKatyusha: preconditioned loopless Katyusha."""

from dataclasses import dataclass
from math import sqrt

from ..kernels.rows import adjoint, apply, dot, slope
from ._stochastic import StochasticRun, StochasticSolver
from .theory import Theory


def katyusha_epoch(
    X, y, weights, loss, order, starts, batch, penalty, P,
    theta, eta, sigma, step, w, z, anchor, mean, table,
):  # fmt: skip
    """Make the steps between two snapshots; updates w, z and anchor in place.

    ``anchor`` is the snapshot, and the next one on return. ``table`` holds the slopes
    at the snapshot and mean = X' table / n.
    """
    for lo in starts:
        rows = order[lo : lo + batch]
        hi = lo + rows.shape[0]
        x = theta * z + 0.5 * anchor + (0.5 - theta) * w
        slopes = weights[lo:hi, ...] * slope(loss, dot(X, rows, x), y[lo:hi, ...])
        correction = adjoint(X, rows, slopes - table[lo:hi, ...])
        move = step * apply(P, mean + correction / rows.shape[0] + penalty * x)
        change = (eta * sigma * (x - z) - move) / (1 + eta * sigma)
        if lo == starts[-1]:
            anchor += w - anchor
        z += change
        w += x + theta * change - w


@dataclass(repr=False, eq=False)
class SketchyKatyusha(StochasticSolver):
    r"""Preconditioned loopless Katyusha: accelerated variance reduction.

    With snapshot y, :math:`L` the preconditioned smoothness, :math:`\sigma = \mu / L`,
    :math:`\theta_2 = 1/2`, :math:`\theta_1 = \min(\sqrt{2 n \sigma / 3}, 1/2)` and
    :math:`\eta = \theta_2 / ((1 + \theta_2) \theta_1)`, a step is

    .. math::
        x = \theta_1 z + \theta_2 y + (1 - \theta_1 - \theta_2) w, \qquad
        v = \nabla F_B(x) - \nabla F_B(y) + \nabla F(y), \\
        z^+ = \frac{z + \eta \sigma x - (\eta / L) P^{-1} v}{1 + \eta \sigma},
        \qquad w^+ = x + \theta_1 (z^+ - z).

    Two deviations from the paper: the snapshot moves to the last iterate but one at
    fixed intervals, not by a coin, which takes the chance out of the cost; and
    :math:`\mu` is the penalty relative to the mean curvature of a row, so that a
    common scale of the data changes nothing.

    Parameters
    ----------
    preconditioner : str, Preconditioner or None, default="auto"
        Small model of the Hessian; None for plain loopless Katyusha.
    batch_size, hessian_batch : int or "auto", default="auto"
        Rows of a gradient and of a Hessian estimate.
    rho : float or "auto", default="auto"
        Damping of the preconditioner.
    refresh : int, None or "auto", default="auto"
        Epochs between two preconditioners; None for a single one.
    preset : {"auto", "paper"}, default="auto"
        What "auto" stands for; see `StochasticSolver`.
    snapshots : int, default=2
        Snapshots an epoch, each of which makes a pass; one on average in the source.

    References
    ----------
    Frangella, Rathore, Zhao and Udell, "PROMISE", JMLR 25, 2024, SketchyKatyusha;
    Kovalev, Horvath and Richtarik, "Don't jump through hoops and remove those loops:
    SVRG and Katyusha are better without the outer loop", 2020, algorithm 2.
    """

    snapshots: int = 2

    name = "sketchy-katyusha"
    stochastic = True
    theory = Theory(
        "tau*",
        "O~(d)",
        True,
        "fast linear",
        "PROMISE (Frangella et al., 2024), SketchyKatyusha",
    )

    def iterate(self, f, w, rng):
        """Yield a `Step` after every epoch, at its last snapshot."""
        run = StochasticRun(self, f, w, rng)
        w, z = run.start(), run.start()
        while run.refresh():
            for _ in range(self.snapshots):
                (table, mean), anchor = run.slopes(), run.start()
                L, sigma = run.smoothness, run.curvature.convexity / run.smoothness
                theta = min(sqrt(2 * f.n_rows * sigma / 3), 0.5)
                eta = 1 / (3 * theta)
                run.sweep(
                    katyusha_epoch, theta, eta, sigma, eta / L, w, z, anchor, mean,
                    table=table, share=1 / self.snapshots,
                )  # fmt: skip
                if not run.accept(anchor):
                    w, z = run.start(), run.start()
            yield run.report(eta / L)
