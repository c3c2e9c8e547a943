"""Solvers by name, and the loop that drives them.

To add a solver: write its file, and add its class to ``_HOME``. A solver's file is
imported when it is first asked for.
"""

from collections.abc import Mapping

from sklearn.base import clone

from .._lazy import getter
from .auto import choose, choose_preconditioned
from .base import Result, Solver, Status, Step, minimize

_HOME = {
    "direct": ("direct", "Direct"),
    "pcg": ("pcg", "PCG"),
    "nystrom-pcg": ("pcg", "NystromPCG"),
    "dual-cg": ("dual_cg", "DualCG"),
    "newton-cholesky": ("newton_cholesky", "NewtonCholesky"),
    "newton-cg": ("newton_cg", "NewtonCG"),
    "sketchy-sgd": ("sketchy_sgd", "SketchySGD"),
    "sketchy-svrg": ("sketchy_svrg", "SketchySVRG"),
    "sketchy-saga": ("sketchy_saga", "SketchySAGA"),
    "sketchy-katyusha": ("sketchy_katyusha", "SketchyKatyusha"),
    "lbfgs": ("lbfgs", "LBFGS"),
    "subsampled-newton": ("subsampled_newton", "SubsampledNewtonMethod"),
    "r-ssn": ("r_ssn", "RSSN"),
    "newton-sketch": ("newton_sketch", "NewtonSketch"),
    "svrn": ("svrn", "SVRN"),
    "slbfgs": ("slbfgs", "SLBFGS"),
    "progressive-lbfgs": ("progressive_lbfgs", "ProgressiveLBFGS"),
    "subspace-newton": ("subspace_newton", "SubspaceNewton"),
    "osgm": ("osgm", "OSGM"),
}


class _Solvers(Mapping):
    """Classes of `_HOME` by name."""

    def __getitem__(self, name):
        return __getattr__(_HOME[name][1])

    def __iter__(self):
        return iter(_HOME)

    def __len__(self):
        return len(_HOME)


SOLVERS = _Solvers()
"""Every solver by name; "auto" chooses among them."""

_CLASSES = {solver: module for module, solver in _HOME.values()}
__getattr__ = getter(__name__, _CLASSES)

__all__ = ["SOLVERS", "Result", "Solver", "Status", "Step", "minimize"]
__all__ += ["resolve_solver", *_CLASSES]


def __dir__():
    """List the public names, imported or not."""
    return sorted(__all__)


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
