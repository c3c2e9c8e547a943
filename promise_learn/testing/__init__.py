"""Contract checks: what every loss, design, preconditioner and solver must do.

They run on our own objects in the tests, and on yours. Each raises AssertionError with
a sentence that says what failed. `DenseProblem` is the reference: the same mathematics
in a few lines of dense NumPy, independent of the package.
"""

from ._designs import check_design
from ._losses import check_loss
from ._preconditioners import check_preconditioner, row_block
from ._reference import DenseProblem, design_matrix
from ._solvers import SOLVER_CASES, check_solver, solver_case

__all__ = [
    "SOLVER_CASES",
    "DenseProblem",
    "check_design",
    "check_loss",
    "check_preconditioner",
    "check_solver",
    "design_matrix",
    "row_block",
    "solver_case",
]
