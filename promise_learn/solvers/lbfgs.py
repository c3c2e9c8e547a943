"""L-BFGS-B of SciPy: the honest baseline."""

from dataclasses import dataclass

import numpy as np

from .._arrays import as_numpy, like
from ._handoff import generated
from .base import Solver, Step
from .theory import Theory

WINDOW = 5


@dataclass(repr=False, eq=False)
class LBFGS(Solver):
    """Limited-memory BFGS of SciPy, with our stopping rule instead of its own.

    What the last five iterations gained stands as a lower estimate of what is left; the
    Newton decrement is measured only when that estimate is small enough.

    Parameters
    ----------
    memory : int, default=10
        Correction pairs kept; SciPy's default.

    References
    ----------
    Byrd, Lu, Nocedal and Zhu, A limited memory algorithm for bound constrained
    optimization, SIAM J. Sci. Comput. 16 (1995).
    """

    memory: int = 10

    name = "lbfgs"
    theory = Theory(
        "full",
        "none",
        False,
        "linear",
        "Byrd et al. (1995)",
    )
    default_max_iter = 15000
    draws = False

    def iterate(self, f, w, rng):
        """Yield a `Step` every iteration."""
        from scipy.optimize import minimize

        calls, values = [], []

        def expand(x):
            calls.append(1)
            value, g = f.value_and_gradient(like(x.reshape(f.shape), w))
            return value, as_numpy(g).ravel().astype(np.float64)

        def routine(emit):
            minimize(
                expand,
                as_numpy(w).ravel().astype(np.float64),
                jac=True,
                method="L-BFGS-B",
                callback=lambda intermediate_result: emit(
                    (intermediate_result.x.copy(), float(intermediate_result.fun))
                ),
                options={
                    "maxcor": self.memory,
                    "ftol": 0.0,
                    "gtol": 0.0,
                    "maxls": 50,
                    "maxiter": 10**9,
                    "maxfun": 10**9,
                },
            )

        for x, value in generated(routine):
            values.append(value)
            gap = values[-1 - WINDOW] - value if len(values) > WINDOW else None
            yield Step(
                like(x.reshape(f.shape), w), value, gap=gap, passes=float(len(calls))
            )
