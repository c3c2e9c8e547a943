"""Preconditioners of a whole Hessian, for solvers built on conjugate gradients."""

import math

import numpy as np

from .._arrays import as_numpy, column_squares, like, take
from ..linalg.cg import pcg
from ..linalg.nystrom import Sketch
from ..preconditioners import resolve_preconditioner, woodbury
from ._costs import DECADES, like_text, sample_size, single_cost
from .newton import HessianFactor

LACKING = 0.5  # of the diagonal, that a sample may lack
MOST_GROWTH = 10.0
CLASS_BYTES, CLASS_SHARE = 256e6, 0.1
TINY = 1e-300
START_RANK = 16
MAX_RANK = 1000
SKETCH_BYTES = 5e8
SKETCH_COST = 0.25
FLOOR = 1e-12
HEAVY, EVEN = 0.5, 2.0
HEAVY_BYTES, HEAVY_SHARE = 64e6, 0.12  # of X, for the two matrices of heavy rows
LONG, BYTES_OF_ENTRY = 4, 12
MANY_ROWS = 300
FLAT = 1e-10  # of the penalty, that makes the unit of a column without curvature
INNER, INNER_LIMIT = 0.1, 30
DEVIATIONS = 4  # by which the rows of a sample may be more than their mean


def curvature_inverse(specification, point, rng, slowness=1.0, impatient=False):
    """Inverse of a preconditioner of the Hessian at a point, as a function of g.

    Parameters
    ----------
    specification : str, Preconditioner or None
        "auto" for a Cholesky factor of the Hessian of a row sample where that is small
        enough and not dear; else `heavy_rows` of a sparse X, and "nystrom" of a dense
        one: the Nystrom approximation of the whole Hessian, of adaptive rank. None is
        no preconditioner, and others are built from a sample of 10 sqrt(n) rows.
    point : Expansion
    rng : numpy.random.Generator
    slowness : float, default=1.0
    impatient : bool, default=False
        See `sample_size`.

    Returns
    -------
    callable
        v -> P^-1 v, for v the shape of w.
    float
        Passes over X that it cost.
    """
    if specification is None:
        return unchanged, 0.0
    if isinstance(specification, str) and specification == "auto":
        size, _ = sample_size(point.objective, slowness, impatient)
        if size is not None:
            return sampled_factor(point, size, rng)
        if point.objective.design.rows.sparse:
            return heavy_rows(point)
        specification = "nystrom"
    if isinstance(specification, str) and specification == "nystrom":
        return adaptive_nystrom(point, rng)
    return named_inverse(resolve_preconditioner(specification), point, rng)


def unchanged(v):
    """Inverse of no preconditioner."""
    return v


def may_be_poor(specification, f):
    """Whether the inverse may leave small eigenvalues that CG sees late."""
    if isinstance(specification, str) and specification == "auto":
        return f.design.rows.sparse and sample_size(f)[0] is None
    return not (isinstance(specification, str) and specification == "nystrom")


def starts_bare(specification, f):
    """Whether a solver of several steps should first try to do without.

    Normalised text is well conditioned as it is, and badly so with columns scaled: rare
    words then weigh as much as frequent ones. Rows of like norm tell it from counts.
    The heavy ones of few rows cost next to nothing.
    """
    auto = isinstance(specification, str) and specification == "auto"
    if not auto or f.quadratic or f.n_rows < MANY_ROWS:
        return False
    return may_be_poor(specification, f) and like_text(f)


def heavy_rows(point):
    r"""Inverse of the rows of large leverage, plus the diagonal of all others.

    Sparse counts and a good fit both leave a few rows most of the curvature: long rows,
    and rows near the boundary between classes. With h the Hessian diagonal, d the row
    curvature and T the rows of largest :math:`d_i \sum_j x_{ij}^2 / h_j`,

    .. math:: P = X_T^T D_T X_T + \mathrm{diag}(h - \mathrm{diag}(X_T^T D_T X_T)).

    T has no more rows than make its dense factor cost about a pass over X, or take more
    than a share of its memory where that is large, and none of less than twice the mean
    leverage: where all are alike P is the diagonal. Scaling a column of X scales that
    of P. Every class has a P of its own, of no more rows than leave its factors room,
    and the mean over classes is taken off, which is zero at the minimum.
    """
    f, classes = point.objective, range(point.objective.n_columns)
    room = max(HEAVY_BYTES, HEAVY_SHARE * f.design.rows.nbytes)
    size = int(min(HEAVY * f.design.rows.nnz**0.5, (room / 16) ** 0.5))
    if not f.coupled:
        return _heavy_rows(f, point.row_curvature, size).apply, 5.0
    size = min(size, _rows_with_room(f))
    inverses = [_heavy_rows(f, point.class_curvature(k), size) for k in classes]

    def apply(g):
        flat = f.xp.reshape(f.xp.matrix_transpose(g), (-1,))  # each class contiguous
        parts = (flat[k * f.dim : (k + 1) * f.dim] for k in classes)
        solved = [P.apply(part) for P, part in zip(inverses, parts, strict=True)]
        x = f.xp.stack(solved, axis=1)
        return x - f.xp.mean(x, axis=1, keepdims=True)

    return apply, 5.0


def _rows_with_room(f):
    """Largest T for which factors of order T and as many rows of every class have room.

    Heavy rows are longer than the mean one.
    """
    row = LONG * BYTES_OF_ENTRY * f.design.rows.nnz / f.n_rows
    room = _class_bytes(f) / f.n_columns  # = 8 T^2 + row T
    return int((math.sqrt(row**2 + 32 * room) - row) / 16)


def _heavy_rows(f, d, size):
    """Inverse of `heavy_rows` with so many rows, for the row curvature d."""
    xp, rows, ridge = f.xp, f.design.rows, _ridge(f)
    h = f.design.squares(d) + ridge
    h = h + _tiny(f, h)
    leverage = d * rows.row_squares(1 / h[: rows.shape[1]])
    leverage = as_numpy(leverage)
    heavy = np.flatnonzero(leverage > EVEN * leverage.mean())
    if len(heavy) > size:
        heavy = np.sort(np.argpartition(-leverage, size)[:size])
    A = f.design.root(heavy, take(d, heavy))
    rest = h - column_squares(A)
    return woodbury(A, xp.where(rest > ridge, rest, ridge + _tiny(f, h)))


def smallest_at_most(specification):
    """Bound the smallest eigenvalue of P^-1 H before CG has seen any.

    Without it the first iterations see large eigenvalues alone, those of rows that a
    sample missed, and take a small residual for a small error. It is one where some
    diagonal entry of P is no less than that of H, or less by chance, in a sample.
    """
    known = isinstance(specification, str) and specification in ("auto", "nystrom")
    return 1.0 if known else math.inf


def sampled_factor(point, size, rng):
    """Cholesky factor, in single precision, of the Hessian of a row sample at a point.

    Half of the rows are drawn in proportion to their curvature, half alike. The inverse
    of the Hessian of m rows is in the mean that of the whole one with a larger penalty,
    and fluctuates where curvature is small: the penalty is multiplied by
    1 / (1 - d / m), with which CG takes the fewest iterations. A rare column that the
    sample misses, of which it has less than half on the diagonal of the whole Hessian,
    keeps its curvature; added to all columns, what a sample lacks by chance would bury
    the small curvature of columns that are nearly copies of each other. Every class has
    a factor of its own where these are small, else all share one, of their mean
    curvature; where passes are dear, since rows are generated, it only preconditions
    `inner_solve` with the sample's whole Hessian, which couples the classes.
    """
    f, h = point.objective, point.diagonal()
    inner = f.coupled and not f.design.rows.stored
    if inner:
        most = f.design.rows.storable
        size = min(size, most / (1 + DEVIATIONS / math.sqrt(max(most, 1))))
    sample, share, missing = point, size / f.n_rows, 0.0
    if size < f.n_rows:
        d = as_numpy(_curvature_of_classes(point) if f.coupled else point.row_curvature)
        weighted = as_numpy(f.weights) > 0  # curvature may underflow in all rows
        alike = weighted / np.count_nonzero(weighted)
        chance = 0.5 * size * (d / (d.sum() or 1.0) + alike)
        chance = np.minimum(chance, 1.0)
        rows = np.flatnonzero(rng.random(f.n_rows) < chance)
        sample = point.sample(rows, like(1 / chance[rows], f.weights))
        growth = 1 / max(1 - f.effective_dimension / size, 1 / MOST_GROWTH)
        sample = sample.damped((growth - 1) * f.penalty)
        missing = h - sample.diagonal()
        missing = f.xp.where(missing > LACKING * h, missing, f.xp.zeros_like(missing))
    unit = f.xp.where(h > _tiny(f, h), h, FLAT * _ridge(f) + _tiny(f, h))
    classes = "apart" if f.coupled and factors_apart(f) else "shared"
    factor = HessianFactor(sample, missing, f.xp.sqrt(unit), classes)
    solve = inner_solve(sample, factor.solve) if inner else factor.solve
    return solve, point.diagonal_cost + share * (1.0 + single_cost(f))


def factors_apart(f):
    """Whether there is room for a factor of every class, in single precision."""
    return f.design.rows.stored and 4 * f.n_columns * f.dim**2 <= _class_bytes(f)


def _class_bytes(f):
    """Room for the factors of all classes together."""
    return max(CLASS_BYTES, CLASS_SHARE * f.design.rows.nbytes)


def _curvature_of_classes(point):
    """Curvature of every row, in shares of what each class has."""
    total = 0.0
    for k in range(point.objective.n_columns):
        d = point.class_curvature(k)
        total = total + d / (point.objective.xp.sum(d) + TINY)
    return total


def inner_solve(sample, precondition):
    """Inverse of a sample's Hessian by conjugate gradients, to `INNER` of the energy.

    That is no fixed inverse: the outer iteration must be flexible.
    """

    def solve(g):
        for it in pcg(sample.product, g, precondition, None, coupled=True):
            if it.gap <= INNER * it.decrease or it.iteration >= INNER_LIMIT:
                break
        return it.x

    return solve


def named_inverse(specification, point, rng):
    """Inverse of a given preconditioner, built from a sample of 10 sqrt(n) rows."""
    f = point.objective
    rank = getattr(specification, "rank", 0)
    size = min(f.n_rows, max(2 * rank, int(10 * f.n_rows**0.5)))
    rows = np.sort(rng.choice(f.n_rows, size, replace=False, shuffle=False))
    ridge = _ridge(f)
    h = point.diagonal() + ridge
    h = h + _tiny(f, h)
    rho = max(float(f.xp.max(ridge / h)), FLOOR)
    inverse = specification.build(point.root(rows), rho, rng, diagonal=h)
    return inverse.apply, point.diagonal_cost + size / f.n_rows


def _ridge(f):
    """One penalty vector for all columns: the geometric mean of the targets'."""
    penalty = f.penalty
    if penalty.ndim == 1:
        return penalty
    logs = f.xp.log(f.xp.where(penalty > 0, penalty, 1.0))
    return f.xp.where(penalty[:, 0] > 0, f.xp.exp(f.xp.mean(logs, axis=1)), 0.0)


def _tiny(f, h):
    return float(f.xp.max(h)) * 1e-14 + float(f.xp.finfo(h.dtype).smallest_normal)


def _largest_rank(f):
    """Rank up to which a sketch, seven blocks of rank columns at its peak, may grow.

    That is `SKETCH_BYTES`, or an eighth of X and 150 vectors where that is more.
    """
    rows = f.design.rows
    room = max(SKETCH_BYTES, rows.nbytes / 8 + 150 * 8 * f.dim)
    if not rows.stored:
        room = min(room, rows.room)
    return min(f.dim, MAX_RANK, max(START_RANK, int(room / (7 * 8 * f.dim))))


def adaptive_nystrom(point, rng):
    """Nystrom preconditioner of the whole Hessian; its rank doubles while that pays.

    Columns are equilibrated by the exact Hessian diagonal first. The rank grows until
    the last eigenvalue is ten times the penalty, the spectrum inside the sketch is flat
    (then sketching does not help), or doubling would cost more products than the
    iterations that remain.

    References
    ----------
    Frangella, Tropp and Udell, Randomized Nystrom preconditioning (2023), section 5.4.
    """
    f, xp = point.objective, point.objective.xp
    ridge, h = _ridge(f), point.diagonal()
    # where sketches are kept, a change of the penalty alone finds the same one
    size = h if f.design.rows.keeps else h + ridge
    scale = 1 / xp.sqrt(size + _tiny(f, h))
    penalties = ridge * scale**2
    mu = max(float(xp.min(xp.where(ridge > 0, penalties, 1.0))), FLOOR)
    column = scale[:, None]

    def product(V):
        return column * point.sketched(column * V)

    largest = _largest_rank(f)
    sketch, rank = Sketch.empty(f.dim, scale), min(START_RANK, f.dim)
    while True:
        sketch = sketch.grow(product, rank, rng)
        low = f.design.rows.low_rank(sketch)
        top, last = float(low.eigenvalues[0]), float(low.eigenvalues[-1])
        iterations = DECADES * max((last + mu) / mu, 1.0) ** 0.5
        full = rank >= largest
        costly = SKETCH_COST * rank * (1 + rank / 200) > iterations * f.n_columns
        if full or last <= 10 * mu or costly or (rank >= 64 and last > 0.5 * top):
            break
        rank = min(2 * rank, largest)
    inverse = woodbury(low.rows(), penalties + max(last, mu))

    def solve(g):
        s = scale if g.ndim == 1 else column
        return s * inverse.apply(s * g)

    return solve, point.diagonal_cost + sketch.rank
