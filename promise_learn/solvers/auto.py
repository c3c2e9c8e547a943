"""Which solver "auto" stands for."""

from .newton_cg import NewtonCG
from .newton_cholesky import Direct, NewtonCholesky
from .nystrom_pcg import NystromPCG

DIRECT_SIZE = 5000
NEWTON_SIZE = 2500


def choose(f):
    """Solver for an objective, by the size of the dense factor that it would need.

    Parameters
    ----------
    f : Objective

    Returns
    -------
    Solver
    """
    size = min(f.dim, f.n_rows + 1)
    if f.quadratic:
        return Direct() if size <= DIRECT_SIZE else NystromPCG()
    if f.coupled:
        size *= f.n_columns
    return NewtonCholesky() if size <= NEWTON_SIZE else NewtonCG()


def choose_preconditioned(f):
    """Solver for an objective whose user named a preconditioner but no solver."""
    return NystromPCG() if f.quadratic else NewtonCG()
