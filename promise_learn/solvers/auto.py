"""Which solver "auto" stands for: the cheapest by a cost model in passes over X."""

import math

from ..design.rows import LARGEST_FACTOR
from ._costs import (
    HESSIANS,
    PAIRED,
    PIVOTED,
    bare_iterations,
    factor_cost,
    factor_is_dear,
    like_text,
    patience,
    products_of_factors,
    rows_alike,
    sample_size,
    spread,
)
from ._dual import Dual
from .direct import Direct
from .dual_cg import EARLY, DualCG
from .growing import grows
from .newton_cg import NewtonCG
from .newton_cholesky import NewtonCholesky
from .pcg import PCG

LARGEST_COUPLED = 2000
DOUBLE = 2  # a factor in double precision has twice the bytes, and copies
CHEAP = 8.0
CAUTION = 0.6  # rows of high leverage make a sample worse than its estimate
CERTAIN = 0.8  # all rows are what they are; but a factor in double precision is exact
GROWN = 1.25  # Hessians of all rows that a fit takes after those of samples
NEWTON = 2.0  # times the cost of one system that Newton-CG takes (1.4 to 3.4 measured)
PRODUCTS = 100
SKETCHED = 200  # products that take as long as the sketch of a dense X, or longer
BARE = 40  # iterations of the dual of a square X: as many as others take in all
FEW = 5  # products that factors cost, below which no way around them is looked for
SHARE = 0.5  # of the time of a factor, that CG without a preconditioner is worth
CACHE, SHARE_IN_CACHE = 30e6, 1.75  # bytes of X whose passes are faster than assumed
OVERRUN = 1.5  # times the iterations that were foreseen, before the rate is looked at
LOOKED_AT, LONGEST = 200_000, 16.0  # entries, and squared length over that of the mean
BROAD = 2  # rows a column, below which other losses are tried without
EVEN = 1.25  # variance of eigenvalues, over their squared mean, of few rows
WIDE = 8  # columns a row, of which the dual is tried for any sparse X
SECONDS_AN_ENTRY = 5e-9
SECONDS_A_WORD = 2e-8


def choose(f):
    """Solver for an objective.

    A dense factor of order min(dim, n + 1), of every class at once if multinomial,
    costs a Hessian each time; conjugate gradients cost a preconditioner and products.
    For the squared error on a sparse X, or on fewer rows than columns, CG has half of
    the time of the factor to converge (`PCG.patience`) where that is more than a few
    products. Normalised text needs no preconditioner: its dual is tried first, also for
    the time of half of a cheap factor of few rows. So is the dual of any sparse X with
    many more columns than rows, whose vectors are short, instead of the primal. On a
    dense X CG does without a preconditioner where some rows promise an even spectrum.

    Parameters
    ----------
    f : Objective

    Returns
    -------
    Solver
    """
    found = _choose(f)
    if not f.design.rows.sparse:
        return _bare(f, found)
    if not (f.quadratic and Dual.exists(f)):
        return found
    if not like_text(f):
        factored_later = isinstance(found, PCG) and math.isfinite(found.patience)
        if WIDE * f.n_rows >= f.dim or not factored_later:
            return found
        limit = patience(f, dual=True)
        return DualCG(limit, Direct(), early=limit / 2)
    limit = BARE * (1 + f.dim / f.n_rows)
    factored = isinstance(found, Direct)
    if factored or math.isfinite(found.patience):
        limit = min(limit, patience(f, dual=True))
    if factored and (f.n_rows >= f.dim or limit < EARLY):
        return found
    return DualCG(limit, found)


def _choose(f):
    if f.quadratic:
        iterative, dense = PCG(), Direct()
    else:
        iterative, dense = NewtonCG(), NewtonCholesky()
    largest = LARGEST_COUPLED if f.coupled else LARGEST_FACTOR
    if not f.design.rows.stored:
        largest = min(largest, f.design.rows.largest_factor // DOUBLE)
    if dense.order(f) > largest or dense.needed(f) > dense.memory_limit:
        return iterative
    if factor_is_dear(f):
        return _then_factored(f) if f.quadratic else iterative
    if f.n_rows < f.dim:
        if not f.quadratic:
            return dense if _row_space_pays(f) else iterative
        if not f.design.rows.sparse and products_of_factors(f) >= SKETCHED:
            return _then_factored(f)
    rows = f.design.rows
    hessian = rows.gram_cost * (f.n_columns**2 if f.coupled else 1)
    iteration = rows.pass_seconds + rows.call_seconds
    if hessian * rows.pass_seconds < CHEAP * iteration:
        return dense
    hessian += 2 * factor_cost(f)
    size, sampled = sample_size(f)
    if f.quadratic:
        share = CERTAIN if size == f.n_rows else CAUTION
    else:
        share = (GROWN if grows(f) else HESSIANS) / NEWTON
    return iterative if sampled < share * hessian else dense


def _then_factored(f):
    """CG for half of the time of a factor, or a quarter where it is far from done."""
    limit = patience(f)
    return PCG(patience=limit, early=limit / 2)


def _bare(f, found):
    """CG without a preconditioner where some rows of dense X promise it, else found.

    Losses other than the squared error must be smooth and rows few: then it takes
    less than half of the time of factors.
    """
    rows, loss = f.design.rows, f.loss
    unsteady = loss.piecewise or math.isinf(loss.max_curvature)
    if unsteady or f.coupled or not rows.stored:
        return found
    products = products_of_factors(f)
    if f.quadratic and products >= FEW:
        foreseen = bare_iterations(f)
        share = SHARE_IN_CACHE if rows.nbytes <= CACHE else SHARE
        if foreseen <= share * products and _lengths_are_even(f):
            early = OVERRUN * foreseen
            return PCG(None, max(share * products, early), found, early)
        return found
    dear = products >= PRODUCTS and f.n_rows < BROAD * f.dim
    if dear and min(spread(f)[0]) < EVEN and _lengths_are_even(f):
        return NewtonCG(preconditioner=None)
    return found


def _lengths_are_even(f):
    """Whether rows are about as long as each other, common factors allowed for."""
    return rows_alike(f, max(PAIRED, LOOKED_AT // f.dim), LONGEST)


def _row_space_pays(f):
    """Whether n x n factors cost less than the products that CG is likely to take."""
    factors = HESSIANS * f.n_rows**3 / PIVOTED
    entries, unknowns = f.design.rows.nnz, f.dim * f.n_columns
    return factors < PRODUCTS * (SECONDS_AN_ENTRY * entries + SECONDS_A_WORD * unknowns)


def choose_preconditioned(f):
    """Solver for an objective whose user named a preconditioner but no solver."""
    return PCG() if f.quadratic else NewtonCG()
