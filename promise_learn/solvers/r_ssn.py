"""R-SSN: regularised stochastic Newton with growing batches."""

from dataclasses import dataclass

from .._arrays import inner
from ._subsampled import random_batch, subsampled_system
from .base import Solver, Step
from .line_search import advance
from .theory import Theory


@dataclass(repr=False, eq=False)
class RSSN(Solver):
    r"""Regularised subsampled Newton: gradient and Hessian both of random rows.

    .. math:: w \leftarrow w - t \, (H_S + \tau I)^{-1} \nabla F_B(w), \qquad
        \tau = \mathrm{damping} \; \frac{\mathrm{tr}(X_B^T D_B X_B)}{dim} \;
        \min \Big( 1, \frac{\| \nabla F_B(w) \|}{\| \nabla F_{B_0}(w_0) \|} \Big),

    with independent samples B and S that grow geometrically, and t by a line search on
    :math:`F_B`. The damping is that of Levenberg; that it falls with the gradient makes
    the local rate quadratic once the batches are all rows.

    Parameters
    ----------
    batch_size : int, default=256
        Rows of the first gradient. PROMISE's batch size.
    hessian_batch : int, default=1024
        Rows of the first Hessian estimate: four times as many, as a Hessian of fewer
        rows than unknowns is of little use (our choice).
    growth : float, default=1.5
        Factor by which both grow with every step. The source wants geometric growth
        where the model does not interpolate.
    damping : float, default=1e-3
        Of the first step, relative to the mean of the Hessian diagonal (our choice; the
        source tunes it).

    References
    ----------
    Meng, Vaswani, Laradji, Schmidt and Lacoste-Julien, "Fast and furious convergence:
    stochastic second-order methods under interpolation", AISTATS 2020.
    """

    batch_size: int = 256
    hessian_batch: int = 1024
    growth: float = 1.5
    damping: float = 1e-3

    name = "r-ssn"
    default_max_iter = 500
    visits_rows = True
    theory = Theory(
        "exponentially increasing",
        "exponentially increasing",
        False,
        "quadratic",
        "Meng et al. (2020), R-SSN",
    )

    def iterate(self, f, w, rng):
        """Yield a `Step` before every step on all rows, and after a pass on fewer."""
        xp, size, sample = f.xp, self.batch_size, self.hessian_batch
        batch, point, largest = None, None, 0.0
        passes, read, t, refreshes = 0.0, 0, 1.0, 0
        while True:
            if batch is not f:
                batch = random_batch(f, size, rng)
                point = batch.expand(w)
                passes += batch.n_rows / f.n_rows
            g = point.gradient
            norm = float(xp.linalg.vector_norm(g))
            largest = largest or norm
            curvature = random_batch(f, sample, rng)
            at = point if curvature is batch else curvature.expand(w)
            decay = min(1.0, norm / largest) if largest else 1.0
            tau = self.damping * float(xp.mean(at.diagonal())) * decay
            system = subsampled_system(at, curvature.n_rows, rng, tau)
            d = -system.solve(g)
            passes += (1 + system.passes) * curvature.n_rows / f.n_rows
            refreshes, read = refreshes + 1, read + batch.n_rows + curvature.n_rows
            if batch is f:
                gap = -0.5 * inner(g, d)
                yield Step(w, point.value, g, gap, False, passes, t, refreshes)
            elif read >= f.n_rows:
                read = 0
                yield Step(w, passes=passes, step_size=t, refreshes=refreshes)
            moved, t = advance(batch, point, d)
            passes += batch.n_rows / f.n_rows
            if moved is None and batch is curvature:
                return
            point = point if moved is None else moved
            w, size, sample = point.w, self.growth * size, self.growth * sample
