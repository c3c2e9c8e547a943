"""Costs of factors, samples and products, in passes over X, by the measured rates."""

import math

import numpy as np

from .._arrays import as_numpy, row_squares, take

DECADES, EXACT, LEAST_RATIO = 7, 3, 1.1
PROMISE = 8.0
ALIKE, SOME_ROWS = 4.0, 1000
TALL = 4  # rows a column, of which so many are better preconditioned
PIVOTED = 2e10  # n^3 a second of the pivoted factor of the row space
WORD = 1e-8  # seconds an unknown, of the vectors of an iteration
CLEARED = 3e-9  # seconds a coefficient, of A'x in a product of the dual
MOVED = 1e-8  # seconds an entry of the products of rows, beside their sums
ALONE = 2_000_000  # entries of a CSR X whose products run in one thread
HESSIANS = 3  # that a fit of another loss than the squared error takes
MANY = 50  # products that factors may cost before CG is tried without
PATIENCE = 0.5  # share of their time that CG may take without
PAIRED = 32  # rows whose products show how far eigenvalues spread
NOTHING = 1e-10  # of the trace of K, that rounding may leave
RANGE = 1e100  # of the mean eigenvalue, either way
OUTLIERS = 3  # eigenvalues far above the others, that may be
POWERS = 10  # of K, that single its largest eigenvalue out where it is far from others
TINY = 1e-300  # that keeps logarithms finite
FLATTEST = 0.06  # variance of eigenvalues, below which so few rows do not tell it


def like_text(f):
    """Whether rows are not many, and the longest of some not much longer than the mean.

    That is normalised text, which needs no preconditioner.
    """
    return f.n_rows < TALL * f.dim and rows_alike(f, SOME_ROWS)


def rows_alike(f, size, most=ALIKE):
    """Whether the longest of so many rows is not much longer than the mean one."""
    chosen = np.arange(0, f.n_rows, max(1, f.n_rows // size))
    norms = row_squares(f.design.rows.block(chosen))
    return bool(f.xp.max(norms) <= most * f.xp.mean(norms))


def spread(f):
    r"""Estimate the variance of the eigenvalues of H, and their mean, from a few rows.

    Of the smaller of X' D X and D^1/2 X X' D^1/2, and in units of their mean. K holds
    the products of m rows with each other, d is the smaller of n and p:

    .. math:: 1 + v \approx d \left( \frac{\overline{K_{ii}^2}}{n} +
              \overline{K_{ij}^2}_{i \neq j} \right) / \overline{K_{ii}}^2 .

    Independent columns have v = p / n or n / p (Marchenko and Pastur, 1967). Then
    without the largest eigenvalue, the two, and the three largest, of which each costs
    CG one iteration. So few rows show their directions with an error: with u the unit
    vectors of K that are taken out it makes
    :math:`(\sum u_i u_j)^2 \, \overline{K_{ii}}^2` of the squares of pairs.

    Returns
    -------
    ndarray of shape (4,)
        v, infinite where nothing is left.
    float
        Mean eigenvalue of the d.
    """
    n, d = f.n_rows, min(f.design.rows.shape)
    v = np.full(1 + OUTLIERS, math.inf)
    K = _products_of_some_rows(f)
    total = float(np.trace(K))
    if not 0 < total < math.inf:
        return v, total
    K, out = K / total, np.zeros_like(K)
    for k in range(len(v)):
        own = np.diagonal(K)
        if not np.sum(own) > NOTHING:
            break
        squares = (np.mean(own**2) / n + _mean_pair(K)) / np.mean(own) ** 2
        v[k] = max(d * (squares - _mean_pair(out)) - 1, FLATTEST)
        u = K[np.argmax(own)]
        for _ in range(POWERS):  # LAPACK would start the threads of BLAS
            u = K @ u
        u /= math.sqrt(u @ u)
        K, out = K - (u @ K @ u) * np.outer(u, u), out + np.outer(u, u)
    return v, n / d * total / PAIRED


def _products_of_some_rows(f):
    """Weighted products of `PAIRED` rows with each other, columns centred."""
    rows = np.linspace(0, f.n_rows - 1, PAIRED).astype(int)
    root = np.sqrt(as_numpy(take(f.weights, rows)))
    return as_numpy(f.design.subset(rows).row_gram()) * np.outer(root, root)


def _mean_pair(K):
    """Mean square of the entries beside the diagonal."""
    return (np.sum(K**2) - np.sum(np.diagonal(K) ** 2)) / (K.size - len(K))


def bare_iterations(f):
    """CG iterations without a preconditioner; infinite where no v is less than one.

    The energy of the error falls by 1 / v an iteration, v less where the penalty is
    much of an eigenvalue; and its bound by the penalty (`PCG`) has to as many decades
    more as the mean eigenvalue is above that. Squares of numbers far from one leave
    their range.
    """
    penalty = f.penalty[: f.design.rows.shape[1], ...]
    least = float(f.xp.min(penalty))
    if not least > 0:
        return math.inf
    v, mean = spread(f)
    if not 1 / RANGE < mean < RANGE:
        return math.inf
    gained = DECADES * math.log(10) + math.log(1 + mean / least)
    v = v / (1 + least / mean) ** 2
    needed = [k - gained / math.log(each) for k, each in enumerate(v) if each < 1]
    return min(needed, default=math.inf)


def factor_is_dear(f):
    """Whether CG on a sparse X is likely to be done before a factor with room is."""
    rows, order = f.design.rows, min(f.dim, f.n_rows)
    possible = rows.sparse and order <= rows.largest_factor
    return possible and products_of_factors(f) >= MANY


def patience(f, dual=False):
    """CG iterations that a fit may spend before a factor is made."""
    return PATIENCE * products_of_factors(f, dual)


def products_of_factors(f, dual=False):
    """CG iterations in the time of the factors of a fit, of the smaller side.

    On the dual they take vectors of n, not dim, and no preconditioner.
    """
    rows, n, dim = f.design.rows, f.n_rows, f.dim
    factors = 1 if f.quadratic else HESSIANS
    if n < dim:  # the products of rows serve all factors
        rate = 1.5 * rows.factor_rate if f.quadratic else PIVOTED  # in double precision
        gram = rows.row_gram_cost * rows.pass_seconds + MOVED * n**2
        seconds = gram + factors * n**3 / rate
    else:
        seconds = factors * (rows.gram_cost + 2 * factor_cost(f)) * rows.pass_seconds
    columns = 1 if f.coupled else f.n_columns  # each class has a factor of its own
    passing = rows.pass_seconds
    if rows.sparse:
        passing *= (2 if rows.nnz < ALONE else 1) * (1 if dual else 2)  # heavy rows
    product = passing + (WORD * n + CLEARED * dim if dual else WORD * dim)
    return seconds / (product * columns + rows.call_seconds)


def sample_size(f, slowness=1.0, impatient=False):
    r"""Rows whose Hessian makes the best Cholesky preconditioner, and the cost in all.

    With the Hessian of m rows and an effective dimension d, CG gains about a factor
    1 + m / d an iteration (measured for m from d to 10 d); with all rows, in single
    precision, `EXACT` iterations suffice. The size minimises the cost of the sample's
    Hessian plus that of `DECADES` of iterations, in passes over X. A few rows of large
    leverage that the sample misses can cost several times the iterations, and the
    squared error does not show them: there stored rows are all taken, unless a sample
    promises an eighth of the cost; and where their Hessian takes little time, the
    effective dimension is not worth estimating.

    Parameters
    ----------
    f : Objective
    slowness : float, default=1.0
        Number of iterations over the one foreseen, where they have been measured.
    impatient : bool, default=False
        Whether CG has already failed to be done before a dear factor.

    Returns
    -------
    int or None
        None where a factor of order dim is out of question, or dear.
    float
        Estimated passes.
    """
    if f.dim > f.design.rows.largest_factor or 2 * f.n_rows < f.dim:
        return None, math.inf
    if factor_is_dear(f) and not impatient:
        return None, math.inf
    whole, rows = single_cost(f), f.design.rows
    if f.quadratic and rows.stored and whole * rows.pass_seconds < rows.small_seconds:
        return f.n_rows, whole + EXACT + factor_cost(f)
    d = f.effective_dimension
    sizes = np.geomspace(LEAST_RATIO * d, max(f.n_rows, LEAST_RATIO * d), 60)
    iterations = slowness * DECADES * math.log(10) / np.log1p(sizes / d)
    costs = whole * sizes / f.n_rows + iterations
    costs[-1] = whole + EXACT
    best = int(np.argmin(costs))
    if f.quadratic and rows.stored and PROMISE * costs[best] > costs[-1]:
        best = -1
    size = sizes[best]
    if not rows.stored:  # a change of the penalty alone finds the same sample
        size = 2.0 ** round(math.log2(size))
    return min(f.n_rows, int(size + 0.5)), float(costs[best]) + factor_cost(f)


def factor_cost(f):
    """Time of the Cholesky factor in single precision, in passes."""
    rows = f.design.rows
    return f.dim**3 / 3 / rows.factor_rate / rows.pass_seconds


def single_cost(f):
    """Cost of the Hessian of all rows in single precision, in passes."""
    rows = f.design.rows
    return rows.gram_cost * (1.0 if rows.sparse else 0.5)


class Forecast:
    """Iterations that CG takes in all, at the rate so far.

    That is the faster one of all iterations and of the last half: the first ones may
    spend themselves on a few large eigenvalues. Gaps need not fall at every iteration:
    the rate of the last half is that of a line through their logarithms.

    Parameters
    ----------
    first : float
        Gap at the start.
    """

    def __init__(self, first):
        self._first, self._logs = _log(first), []

    def add(self, gap):
        """Add the gap after another iteration."""
        self._logs.append(_log(gap))

    def total(self, enough):
        """Foresee at which one the gap is enough; infinite if it stays as it is."""
        done, last = len(self._logs), np.array(self._logs[len(self._logs) // 2 :])
        k = np.arange(len(last)) - 0.5 * (len(last) - 1)
        slope = -(k @ last) / max(k @ k, TINY)
        ends = np.array([last[-1], np.mean(last) - slope * k[-1]])
        rates = np.array([(self._first - last[-1]) / done, slope])
        left = np.maximum(ends - _log(enough), 0.0)
        better = np.maximum(rates, TINY)
        return done + float(np.min(np.where(rates > 0, left / better, math.inf)))


def _log(gap):
    return math.log(max(gap, TINY))
