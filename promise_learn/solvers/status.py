"""How a run ended, and what the user can do."""

import enum


class Status(enum.Enum):
    """How a run ended; ``advice`` is the sentence that the warning prints."""

    CONVERGED = "converged"
    MAX_ITER = "reached max_iter"
    STAGNATED = "stopped making progress"
    DIVERGED = "diverged"

    @property
    def advice(self):
        """What the user can do."""
        return _ADVICE[self]


_ADVICE = {
    Status.CONVERGED: "",
    Status.MAX_ITER: "Increase max_iter, or use solver='auto'.",
    Status.STAGNATED: (
        "The rounding error of the data type leaves no further decrease: increase tol, "
        "use float64 data, or a stronger penalty (larger alpha, smaller C)."
    ),
    Status.DIVERGED: (
        "The last finite iterate is kept. Use solver='auto' or the solver's default "
        "step size."
    ),
}
