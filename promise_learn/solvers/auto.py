"""Which solver "auto" stands for: the cheapest by a cost model in passes over X."""

from .newton_cg import NewtonCG
from .newton_cholesky import Direct, NewtonCholesky
from .pcg import PCG
from .sketch import sample_size

LARGEST_FACTOR = 6000
LARGEST_COUPLED = 2000
HESSIANS = 3
CHEAP = 8.0
CAUTION = 0.25  # rows of high leverage make a sample worse than its estimate


def choose(f):
    """Solver for an objective.

    A dense factor of order min(dim, n + 1), of every class at once if multinomial,
    costs a Hessian each time; conjugate gradients cost a preconditioner and products.

    Parameters
    ----------
    f : Objective

    Returns
    -------
    Solver
    """
    size = min(f.dim, f.n_rows + 1)
    if f.coupled:
        size *= f.n_columns
    iterative, dense = NewtonCG(), NewtonCholesky()
    if f.quadratic:
        iterative, dense = PCG(), Direct()
    if size > LARGEST_FACTOR or (f.coupled and size > LARGEST_COUPLED):
        return iterative
    hessian = f.design.rows.gram_cost * (f.n_columns**2 if f.coupled else 1)
    if hessian < CHEAP:
        return dense
    _, sampled = sample_size(f)
    ratio = CAUTION if f.quadratic else HESSIANS / 2
    return iterative if sampled < ratio * hessian else dense


def choose_preconditioned(f):
    """Solver for an objective whose user named a preconditioner but no solver."""
    return PCG() if f.quadratic else NewtonCG()
