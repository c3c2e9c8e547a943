"""Compiled passes: same bits for any number of threads."""

import numba
import numpy as np
import pytest
from _cases import half_empty, store
from joblib import Parallel, delayed
from numpy.testing import assert_allclose, assert_array_equal
from threadpoolctl import threadpool_limits

from promise_learn import kernels
from promise_learn.design import Design
from promise_learn.design.compiled import DenseRows
from promise_learn.kernels import _threads
from promise_learn.kernels.rows import apply, compiled, factor_view
from promise_learn.losses import Huber, Logistic, Poisson, SquaredError, SquaredHinge

N, P = 40_000, 20  # eight parts a pass
STORAGES = pytest.mark.parametrize("storage", ["C", "F", "csr_array"])


@pytest.fixture(scope="module")
def X():
    return half_empty(N, P)


def passes(design):
    """Every result that a vector pass, or a block pass over CSR, sums over rows."""
    rng, (n, dim) = np.random.default_rng(1), design.shape
    w, v, d = rng.standard_normal(dim) / 100, rng.standard_normal(dim), rng.random(n)
    y, s = np.where(d > 0.5, 1.0, -1.0), np.full(n, 1 / n)
    eta = design.dot(w)
    rows = design.rows
    results = [
        eta,
        *design.expand(Logistic(), w, y, s),
        *design.expand(SquaredError(), w, d, s),
        design.adjoint(d),
        design.curved(d, v),
        rows.loss_sum(Logistic(), eta, y, s),
        rows.slope_sum(Logistic(), eta, design.dot(v), 0.3, y, s),
    ]
    if rows.sparse:
        W = rng.standard_normal((dim, 3))
        results += [design.curved(d, W), design.dot(W), design.gram(d)]
    if rows.sparse or rows.X.flags.c_contiguous:
        results.append(design.squares(d))
    return results


def assert_same(one, other):
    for a, b in zip(one, other, strict=True):
        assert_array_equal(a, b)


# ------------------------------------------------------------------ threads


@STORAGES
def test_sums_do_not_depend_on_the_number_of_threads(X, storage, monkeypatch):
    design = Design(store(X, storage), intercept=True)
    reference = None
    for limit in (1, 2, 3, 16):
        monkeypatch.setattr(_threads, "thread_limit", lambda limit=limit: limit)
        results = passes(design)
        assert_same(results, reference or results)
        reference = results


@STORAGES
def test_sums_do_not_depend_on_the_limits_of_numba_and_blas(X, storage):
    design = Design(store(X, storage), intercept=True)
    results = []
    before = numba.get_num_threads()
    for limit in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
        numba.set_num_threads(limit)
        with threadpool_limits(limit, user_api="blas"):
            results.append(passes(design))
    numba.set_num_threads(before)
    assert_same(*results)


def test_limits_of_numba_and_blas_are_both_kept():
    assert _threads.thread_limit() >= 1
    with threadpool_limits(1, user_api="blas"):
        assert _threads.thread_limit() == 1
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    assert _threads.thread_limit() == 1
    numba.set_num_threads(before)


def test_concurrent_fits_in_threads_give_the_same_bits(X):
    design = Design(X, intercept=True)
    reference = passes(design)
    for results in Parallel(4, "threading")(delayed(passes)(design) for _ in range(8)):
        assert_same(results, reference)


def test_an_error_in_a_thread_reaches_the_caller(monkeypatch):
    monkeypatch.setattr(_threads, "thread_limit", lambda: 2)

    def fail(k, lo, hi):
        if k == 1:
            raise ArithmeticError("part 1")
        return k

    with pytest.raises(ArithmeticError, match="part 1"):
        _threads.run(fail, [(0, 1), (1, 2), (2, 3)])
    assert _threads.run(lambda k, lo, hi: k, [(0, 1), (1, 2)]) == [0, 1]


# ------------------------------------------------------------------ partitions


@pytest.mark.parametrize("work", [0, 10**5, 10**6, 3 * 10**6, 10**7, 10**9])
@pytest.mark.parametrize("width", [0, 1, 1000, 10**6])
def test_partition_covers_all_rows_once(work, width):
    def edges(parts):
        return np.linspace(0, 1000, parts + 1).astype(int).tolist()

    ranges = _threads.partition(edges, work, width)
    assert [lo for lo, _ in ranges[1:]] == [hi for _, hi in ranges[:-1]]
    assert (ranges[0][0], ranges[-1][1]) == (0, 1000)
    assert len(ranges) <= _threads.MAX_PARTS
    assert len(ranges) in (1, 2, 4, 8, 16), "three parts take as long as four"
    private = len(ranges) * width
    assert len(ranges) == 1 or private <= work / 4, "costly accumulators"


def test_sparse_parts_hold_equal_numbers_of_entries():
    X = half_empty(N, P)
    X[: N // 2] *= np.arange(N // 2)[:, None] % 8 == 0
    design = Design(store(X, "csr_array"))
    edges = design.rows._boundaries(8)
    assert edges[0] == 0
    assert edges[-1] == N
    entries = np.diff(design.rows.X.indptr[edges])
    assert_allclose(entries, entries.mean(), rtol=0.01)


def test_sparse_parts_of_a_matrix_without_entries():
    from scipy import sparse

    design = Design(sparse.csr_array((N, P)))
    edges = design.rows._boundaries(4)
    assert (edges[0], edges[-1]) == (0, N)
    assert_array_equal(design.adjoint(np.ones(N)), 0)


# ------------------------------------------------------------------ single kernels


@pytest.mark.parametrize(
    "loss",
    [SquaredError(), Logistic(), SquaredHinge(), Huber(0.5), Poisson()],
    ids=lambda loss: type(loss).__name__,
)
@pytest.mark.parametrize("t", [0.0, 0.3, 1.0, 4.0])
def test_slope_along_a_line_is_the_derivative(loss, t):
    rng, n = np.random.default_rng(0), 700
    rows = Design(half_empty(n, 3)).rows
    eta, change, s = rng.standard_normal(n), rng.standard_normal(n), rng.random(n)
    y, h = rng.choice([-1.0, 1.0], n), 1e-5
    y = np.abs(y) if isinstance(loss, Poisson) else y
    ahead = rows.loss_sum(loss, eta + (t + h) * change, y, s)
    behind = rows.loss_sum(loss, eta + (t - h) * change, y, s)
    slope = rows.slope_sum(loss, eta, change, t, y, s)
    assert slope == pytest.approx((ahead - behind) / (2 * h), rel=1e-7, abs=1e-7)


def test_exponential_is_exact_to_the_rounding_of_its_argument():
    from promise_learn.kernels.pointwise import exp_minus

    a = np.concatenate([np.linspace(0, 1, 1000), np.linspace(1, 700, 1000)])
    e = np.empty_like(a)
    exp_minus(a, e, np.empty_like(a), len(a))
    error = e / np.exp(-a) - 1
    assert (np.abs(error) <= np.finfo(float).eps * (2 + a)).all()
    a = np.array([800.0, np.inf, np.nan])
    exp_minus(a, e, np.empty(3), 3)
    assert (e[:2] < 4e-308).all()
    assert np.isnan(e[2])


def test_logistic_loss_of_extreme_margins():
    rows = Design(half_empty(6, 3)).rows
    eta = np.array([0.0, 800.0, -800.0, np.inf, -3.0, 1e-9])
    for margins, expected in ((eta, np.logaddexp(0, -eta)), (-eta, np.inf)):
        value = rows.loss_sum(Logistic(), margins, np.ones(6), np.ones(6))
        assert value == pytest.approx(np.sum(expected), rel=1e-15)
    eta[0] = np.nan
    assert np.isnan(rows.loss_sum(Logistic(), eta, np.ones(6), np.ones(6)))


def test_logarithm_is_exact_to_rounding():
    from promise_learn.kernels.pointwise import log1p_small

    e = np.concatenate([np.geomspace(1e-300, 1, 1000), np.linspace(0, 1, 1000)])
    assert_allclose([log1p_small(x) for x in e], np.log1p(e), rtol=6e-16)


def product(P, g):
    return apply(P, g)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("order", range(10))
def test_inverse_from_half_of_a_symmetric_matrix(order, dtype):
    rng = np.random.default_rng(order)
    M = rng.standard_normal((order, order)).astype(dtype)
    M += M.T
    t, g = rng.random(order).astype(dtype), rng.standard_normal(order)
    P = factor_view(t, np.zeros((0, order), dtype), M)
    assert_allclose(compiled(product)(P, g), t * g - M @ g, 1e-12, 1e-12)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("length", [1, 5, 64, 100])
def test_tiles_of_a_gram_matrix(length, dtype):
    """By bands of rows; what is above the diagonal does not count."""
    grams, rng = kernels.grams, np.random.default_rng(0)
    order = 40 * kernels.tiles.SIDE  # more than one strip
    T = np.zeros((order, length + grams.APART), dtype)
    T[:, :length] = rng.integers(-8, 8, (order, length))  # sums without rounding
    G = np.ones((order, order), dtype)
    for first, last in [(0, 2), (2, 25), (25, 40)]:
        first, last = first * kernels.tiles.SIDE, last * kernels.tiles.SIDE
        grams.tile_products(T, length, first, last, G)
    assert_array_equal(np.tril(G), np.tril(1 + T @ T.T))


@pytest.mark.parametrize("target", ["float64", "float32"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("storage", ["C", "F", "strided"])
@pytest.mark.parametrize("shape", [(3, 2), (19, 7), (19, 8), (29, 21)], ids=str)
@pytest.mark.parametrize("at", [0, 5])
@pytest.mark.parametrize("numbers", ["float64", "float32", "int64", "strided"])
def test_transposed_rows(shape, storage, dtype, target, at, numbers):
    """With the numbers that centre and scale them of any type, in any order."""
    grams, rng = kernels.grams, np.random.default_rng(0)
    (n, p), X = shape, store(half_empty(*shape, dtype=dtype), storage)
    shift, factor, root = (rng.integers(1, 9, 2 * k)[::2] for k in (p, p + 1, n))
    if numbers != "strided":
        shift, factor, root = (v.astype(numbers) for v in (shift, factor, root))
    T = np.full((p + 1, n + 9), np.nan, target)
    grams.transpose(DenseRows(X).kernel_view, 1, n, shift, factor, root, T, at)
    Z = np.column_stack([X.astype(float) - shift, np.ones(n)])
    Z *= factor.astype(float) * root[:, None]
    # numbers of float32 alone are multiplied in float32
    precision = 4 * np.finfo(target if numbers != "float32" else "float32").eps
    assert_allclose(T[:, at : at + n - 1], Z[1:].T, precision, precision)
    outside = np.delete(T, np.s_[at : at + n - 1], axis=1)
    assert np.isnan(outside).all()
