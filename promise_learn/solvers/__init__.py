"""Solvers by name, and the loop that drives them.

To add a solver: write its file, and add its class to ``_CLASSES``.
"""

from sklearn.base import clone

from .auto import choose, choose_preconditioned
from .base import Result, Solver, Status, Step, minimize
from .lbfgs import LBFGS
from .newton_cg import NewtonCG
from .newton_cholesky import Direct, NewtonCholesky
from .newton_sketch import NewtonSketch
from .osgm import OSGM
from .pcg import PCG, NystromPCG
from .progressive_lbfgs import ProgressiveLBFGS
from .r_ssn import RSSN
from .sketchy_katyusha import SketchyKatyusha
from .sketchy_saga import SketchySAGA
from .sketchy_sgd import SketchySGD
from .sketchy_svrg import SketchySVRG
from .slbfgs import SLBFGS
from .subsampled_newton import SubsampledNewtonMethod
from .subspace_newton import SubspaceNewton
from .svrn import SVRN

_CLASSES = (
    Direct,
    PCG,
    NystromPCG,
    NewtonCholesky,
    NewtonCG,
    SketchySGD,
    SketchySVRG,
    SketchySAGA,
    SketchyKatyusha,
    LBFGS,
    SubsampledNewtonMethod,
    RSSN,
    NewtonSketch,
    SVRN,
    SLBFGS,
    ProgressiveLBFGS,
    SubspaceNewton,
    OSGM,
)

SOLVERS = {solver.name: solver for solver in _CLASSES}
"""Every solver by name; "auto" chooses among them."""

__all__ = [
    "LBFGS",
    "OSGM",
    "PCG",
    "RSSN",
    "SLBFGS",
    "SOLVERS",
    "SVRN",
    "Direct",
    "NewtonCG",
    "NewtonCholesky",
    "NewtonSketch",
    "NystromPCG",
    "ProgressiveLBFGS",
    "Result",
    "SketchyKatyusha",
    "SketchySAGA",
    "SketchySGD",
    "SketchySVRG",
    "Solver",
    "Status",
    "Step",
    "SubsampledNewtonMethod",
    "SubspaceNewton",
    "minimize",
    "resolve_solver",
]


def resolve_solver(solver, preconditioner, f):
    """Solver object that an estimator's parameters ask for.

    Parameters
    ----------
    solver : str or Solver
        "auto", a name, or an object (used as it is).
    preconditioner : str, Preconditioner or None
        "auto" leaves the choice to the solver.
    f : Objective

    Returns
    -------
    Solver

    Raises
    ------
    ValueError
        If the name is unknown, or the solver takes no preconditioner but one is given.
    """
    given = not (isinstance(preconditioner, str) and preconditioner == "auto")
    if isinstance(solver, str):
        if solver == "auto":
            found = choose_preconditioned(f) if given else choose(f)
        elif solver in SOLVERS:
            found = SOLVERS[solver]()
        else:
            names = ", ".join(repr(name) for name in ["auto", *SOLVERS])
            raise ValueError(
                f"solver={solver!r} is not known: use one of {names}, or a solver "
                "object of promise_learn.solvers."
            )
    elif given:
        raise ValueError(
            "preconditioner was given beside a solver object: set it on the object, "
            f"as in {type(solver).__name__}(preconditioner=...)."
        )
    else:
        return solver
    if given and not found.uses_preconditioner:
        users = ", ".join(repr(n) for n, s in SOLVERS.items() if s.uses_preconditioner)
        raise ValueError(
            f"solver={found.name!r} uses no preconditioner: leave "
            f"preconditioner='auto' or choose one of {users}."
        )
    return clone(found).set_params(preconditioner=preconditioner) if given else found
