"""What a method's paper says of it: the comparison table is made of these records."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Theory:
    r"""Sample sizes and rates of a method, as its source states them.

    In the strings n is the number of rows, d the effective dimension of the Hessian,
    kappa its condition number and epsilon the accuracy of a Hessian estimate; ``O~``
    hides logarithms.

    Attributes
    ----------
    gradient_batch : str
        Rows that a gradient is taken over.
    hessian_batch : str
        Rows that a Hessian estimate is taken over; "none" for methods without one.
    lazy_updates : bool
        Whether one Hessian estimate serves many steps.
    local_convergence : str
        Rate near the minimum. "fast linear" does not depend on the conditioning.
    source : str
        Authors, year, and the number of the algorithm where the paper has one.
    """

    gradient_batch: str
    hessian_batch: str
    lazy_updates: bool
    local_convergence: str
    source: str
