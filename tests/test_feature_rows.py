"""Generated features behave as stored ones, in any blocks, threads and storages."""

import array_api_strict
import numpy as np
import pytest
from _cases import DENSE, SPARSE, half_empty, store
from numpy.testing import assert_allclose, assert_array_equal
from threadpoolctl import threadpool_limits

from promise_learn._arrays import as_numpy
from promise_learn.design import (
    Design,
    FeatureRows,
    draw_landmarks,
    draw_map,
    features,
    wide_gram,
)
from promise_learn.design.compiled import DenseRows
from promise_learn.design.rows import Rows
from promise_learn.kernels import _threads
from promise_learn.losses import Logistic, Multinomial, SquaredError
from promise_learn.objective import Objective
from promise_learn.solvers import PCG, Status, minimize
from promise_learn.testing import check_design, design_matrix

N, D, M = 300, 7, 20
RNG = np.random.default_rng(0)
SHIFT, SCALE = RNG.standard_normal(M) / M, RNG.uniform(0.5, 20, M)
# blocks, and what multiplies them, are of the type of the map; sums are float64
RTOL = {"float64": 1e-12, "float32": 2e-5}

MAPS = pytest.mark.parametrize(
    "kind",
    [
        ("rbf", "gaussian"),
        ("rbf", "sorf"),
        ("laplacian", "gaussian"),
        ("arccos", "orthogonal"),
        ("rbf", "nystrom"),
        ("laplacian", "nystrom"),
    ],
    ids="-".join,
)
OPTIONS = pytest.mark.parametrize(
    "options",
    [
        {},
        {"scale": SCALE, "intercept": True},
        {"shift": SHIFT, "intercept": True},
        {"shift": SHIFT, "scale": SCALE},
    ],
    ids=lambda options: "+".join(options) or "plain",
)


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of 16 rows in 16 parts, Gram matrices in blocks of 32 and several sums."""
    monkeypatch.setattr(features, "LARGEST_BLOCK", 16)
    monkeypatch.setattr(wide_gram, "LEAST_ROWS", 32)
    monkeypatch.setattr(wide_gram, "GRAM_BLOCK_BYTES", 1)
    monkeypatch.setattr(wide_gram, "LEAST_WORK", 1)


def drawn(X, kind=("rbf", "gaussian"), m=M, dtype=None):
    kernel, projection = kind
    rng = np.random.default_rng(5)
    if projection == "nystrom":
        return draw_landmarks(X, m, kernel, 0.01, 1, rng, dtype)
    return draw_map(X, m, kernel, 0.01, 1, projection, "kernel", rng, dtype)


ROOM = 1e4  # for a Gram matrix, and for the features of a few rows


def rows_of(X, kind=("rbf", "gaussian"), budget=ROOM, dtype=None):
    return FeatureRows(X, drawn(X, kind, dtype=dtype), budget)


def dense(X, kind=("rbf", "gaussian")):
    """Features in float64, all at once, of the map that X of its type gets."""
    return drawn(X, kind).apply(np.ascontiguousarray(X)).astype(float)


# ------------------------------------------------------------------ the contract


@OPTIONS
@MAPS
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("storage", ["C", "csr_array"])
def test_contract(storage, dtype, kind, options, small_blocks):
    X = half_empty(N, D, dtype=dtype)
    rows = rows_of(store(X, storage), kind)
    assert len(rows._parts()) == 16
    Z = design_matrix(dense(X, kind), **options)
    check_design(Design(rows, **options), Z, RTOL[dtype])


@pytest.mark.parametrize("storage", [*DENSE, *SPARSE])
def test_contract_on_every_storage(storage, small_blocks, tmp_path):
    X = half_empty(N, D)
    rows = rows_of(store(X, storage, tmp_path))
    Z = design_matrix(dense(X), SHIFT, intercept=True)
    check_design(Design(rows, SHIFT, intercept=True), Z)


@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, 33])
def test_contract_on_few_rows(n, small_blocks):
    X = half_empty(n, D)
    Z = design_matrix(dense(X), SHIFT, intercept=True)
    check_design(Design(rows_of(X), SHIFT, intercept=True), Z)


def test_contract_of_a_subset_that_is_stored():
    """A row sample is stored where its features are a share of the budget."""
    X = half_empty(N, D)
    room = 8 * M * 150 / features.SHARE
    rows = rows_of(X, budget=room)
    assert rows.storable == 150
    assert isinstance(rows.subset(np.arange(150)), DenseRows)
    assert isinstance(rows.subset(np.arange(151)), FeatureRows)
    check_design(Design(rows, intercept=True), design_matrix(dense(X), intercept=True))


@pytest.mark.parametrize("storage", ["C", "csr_array"])
def test_a_subset_picks_rows_without_a_copy_of_X(storage, small_blocks):
    X = store(half_empty(N, D), storage)
    rows, chosen = rows_of(X, budget=ROOM), RNG.permutation(N)[:200]
    few = rows.subset(chosen)
    assert few.X is rows.X
    Z = design_matrix(dense(half_empty(N, D))[chosen], intercept=True)
    check_design(Design(few, intercept=True), Z)
    again = few.subset(np.arange(199, 99, -1))
    assert again.X is rows.X
    picked = chosen[199:99:-1]
    assert_allclose(again.features(), rows.features()[picked], 0, 1e-14)
    block = few.block(np.array([5, 3]))
    assert_allclose(block, rows.block(chosen[[5, 3]]), 0, 1e-14)


@pytest.mark.parametrize("single", [True, False])
def test_a_gram_matrix_larger_than_the_budget_is_refused(single):
    d, factor = np.ones(N), np.ones(M) if single else None
    need = (features.FACTOR_BYTES if single else features.DOUBLE_BYTES) * M**2
    rows_of(half_empty(N, D), budget=need).gram(d, np.zeros(M), False, factor)
    rows = rows_of(half_empty(N, D), budget=need - 100)
    with pytest.raises(ValueError, match=r"order 20, .* 1\.0e\+02 bytes too small"):
        rows.gram(d, np.zeros(M), False, factor)


@MAPS
def test_columns_are_generated_alone(kind, monkeypatch):
    """Not with all others, where the map has weights of each."""
    rows, widths = rows_of(half_empty(N, D), kind), []
    apply = type(rows.map).apply

    def watched(self, X, *buffers):
        widths.append(self.n_components)
        return apply(self, X, *buffers)

    Z = rows.features()
    monkeypatch.setattr(type(rows.map), "apply", watched)
    assert_allclose(rows.columns(3, 9), Z[:, 3:9], 0, 1e-14)
    assert set(widths) == {M if kind[1] == "sorf" else 6}


@MAPS
def test_other_verbs(kind, small_blocks):
    X, rng = half_empty(N, D), np.random.default_rng(1)
    rows, Z, v = rows_of(X, kind), dense(X, kind), rng.random(M)
    assert rows.shape == (N, M)
    assert not rows.stored
    assert_allclose(rows.features(), Z, 0, 1e-14)
    stored = rows.store()
    assert type(stored) is DenseRows
    assert_array_equal(stored.X, rows.features())
    assert_allclose(rows.row_squares(v), Z**2 @ v, 1e-12, 1e-13)
    assert_allclose(rows.columns(3, 9), Z[:, 3:9], 0, 1e-14)
    chosen = np.array([299, 0, 17, 17])
    assert_allclose(rows.block(chosen), Z[chosen], 0, 1e-14)
    s = rng.dirichlet(np.ones(N))
    assert_allclose(rows.means(s), s @ Z, 0, 1e-14)


def test_through_hands_out_consecutive_rows(small_blocks):
    """What the multinomial Hessian acts with, against all rows at once."""
    X, rng = half_empty(N, D), np.random.default_rng(1)
    Z, V, P = dense(X), rng.standard_normal((M, 3)), rng.dirichlet(np.ones(3), N)

    def act(t, rows):
        return Multinomial().curvature_product(P[rows], t)

    offset = np.array([0.1, -2.0, 0.3])
    t = np.einsum("ij,ij->ij", P, Z @ V + offset)
    t -= P * t.sum(axis=1, keepdims=True)
    g, total = rows_of(X).through(act, V, offset)
    assert_allclose(g, Z.T @ t, 0, 1e-12)
    assert_allclose(total, t.sum(axis=0), 0, 1e-12)


def test_features_of_one_type_for_data_of_another():
    """Float32 features of float64 data, as the estimators ask for."""
    X = half_empty(N, D)
    Z = rows_of(X, dtype=np.dtype("float32")).features()
    assert Z.dtype == np.float32
    assert_allclose(Z, dense(X), 0, 1e-5)


@MAPS
def test_diagonal_comes_with_an_expansion(kind, monkeypatch):
    """Bit by bit as from a pass of its own, which a fit does without."""
    alone = FeatureRows.squares

    def of_samples(self, d, shift):
        assert len(d) < N
        return alone(self, d, shift)

    X = half_empty(N, D)
    rows = rows_of(X, kind)
    design, s = Design(rows, SHIFT, intercept=True), RNG.dirichlet(np.ones(N))
    w = RNG.standard_normal(M + 1)
    *_, d, _, squares = design.expand_with_squares(Logistic(), w, np.ones(N), s)
    assert_array_equal(squares, design.squares(d))
    W, classes = RNG.standard_normal((M + 1, 3)), np.arange(N) % 3.0
    assert design.expand_with_squares(Multinomial(), W, classes, s)[-1] is None

    penalty = np.full(M + 1, 1e-2)
    f = Objective(design, RNG.standard_normal(N), SquaredError(), s, penalty, (M + 1,))
    monkeypatch.setattr(FeatureRows, "squares", of_samples)
    result = minimize(f, PCG(), tol=1e-8)
    assert result.status is Status.CONVERGED


# ------------------------------------------------------------------ kept features


def budget_for(share, itemsize=8):
    """Budget that has room for the features of a share of the rows."""
    room = share * N * M * itemsize + features.FACTOR_BYTES * M**2
    return room / features.KEPT


@MAPS
@pytest.mark.parametrize("storage", ["C", "csr_array"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("share", [0.5, 1.5])
def test_kept_features_give_the_same_sums(share, dtype, storage, kind, small_blocks):
    """Bit by bit, in the pass that fills them and in those that read them.

    A Gram matrix has less room for its sums, and other blocks.
    """
    X, itemsize = store(half_empty(N, D, dtype=dtype), storage), int(dtype[-2:]) // 8
    d, y = RNG.random(N), RNG.integers(0, 3, N).astype(float)
    rows = rows_of(X, kind, budget_for(share, itemsize))
    expected = list(verbs(rows, d, y))
    rows.keep()
    assert_allclose(rows.budget - rows.room, rows.nbytes * min(share, 1), 0.2)
    for _ in range(2):
        for ours, theirs in zip(verbs(rows, d, y), expected, strict=True):
            if np.shape(ours) == (M + 1, M + 1):
                single = ours.dtype == np.float32
                rtol = RTOL["float32" if single else dtype]
                assert_allclose(ours, theirs, 0, rtol * np.abs(theirs).max())
            else:
                assert_array_equal(ours, theirs)
    assert rows.room < rows.budget


@pytest.mark.parametrize("share", [0.05, 0.9, 2.0])
def test_as_many_features_are_kept_as_find_room(share, small_blocks, monkeypatch):
    rows, generated = rows_of(half_empty(N, D), budget=budget_for(share)), []
    apply = type(rows.map).apply

    def counted(self, X, *buffers):
        generated.append(X.shape[0])
        return apply(self, X, *buffers)

    monkeypatch.setattr(type(rows.map), "apply", counted)
    rows.keep()
    passes = []
    for _ in range(3):
        rows.dot(np.ones(M))
        passes.append(sum(generated))
        generated.clear()
    few = share < features.LEAST_KEPT
    assert passes[0] == N
    assert passes[1] == passes[2]
    # 16 ranges of at most 19 rows, whole blocks of 16: what is left over is made anew
    assert passes[1] == N if few else passes[1] < N
    assert (rows.room == rows.budget) == few
    if share == 2.0:
        assert passes[1] == 0


def test_kept_features_make_room_for_a_gram_matrix():
    d, X = RNG.random(N), half_empty(N, D)
    rows = rows_of(X, budget=features.DOUBLE_BYTES * M**2 + 100)
    expected = rows.gram(d, SHIFT, False)
    rows.budget = budget_for(0.5)
    rows.keep()
    kept = rows.budget - rows.room
    rows.budget = kept + features.DOUBLE_BYTES * M**2 - 100
    assert_array_equal(rows.gram(d, SHIFT, False), expected)
    assert rows.room == rows.budget
    rows.budget = features.DOUBLE_BYTES * M**2 - 100
    with pytest.raises(ValueError, match="bytes too small"):
        rows.gram(d, SHIFT, False)


# ------------------------------------------------------------------ blocks and threads


def verbs(rows, d, y):
    """Every pass over the rows, on vectors and on blocks."""
    rng, design = np.random.default_rng(2), Design(rows, SHIFT, intercept=True)
    n, dim = design.shape
    s, signs = np.full(n, 1 / n), 2 * (y % 2) - 1
    for columns in ((), (3,)):
        w = rng.standard_normal((dim, *columns))
        r = rng.standard_normal((n, *columns))
        yield design.dot(w)
        yield design.adjoint(r)
        yield design.curved(d, w)
        loss, targets = (Multinomial(), y % 3) if columns else (Logistic(), signs)
        yield from design.expand(loss, w, targets, s)
    yield from (design.squares(d), design.gram(d), rows.row_squares(d[:M]))
    yield design.gram(d, np.ones(dim))


@pytest.fixture
def two_cores(monkeypatch):
    """Two threads also on a machine of one core."""
    monkeypatch.setattr(_threads, "cores", lambda: 2)
    monkeypatch.setattr(_threads, "_numba_limit", lambda: 2)


@MAPS
@pytest.mark.parametrize("storage", ["C", "csr_array"])
def test_results_do_not_depend_on_the_number_of_threads(
    storage, kind, two_cores, small_blocks
):
    X = store(half_empty(5000, D, dtype="float32"), storage)
    rows, results = rows_of(X, kind), []
    d, y = RNG.random(5000), np.arange(5000.0)
    for limit in (1, 2):
        with threadpool_limits(limit):
            assert _threads.thread_limit() == limit
            results.append([rows.features(), *verbs(rows, d, y)])
    for alone, both in zip(*results, strict=True):
        assert_array_equal(alone, both)


@pytest.mark.parametrize("block", [1, 3, 100, 10_000])
def test_results_do_not_depend_on_the_blocks(block, monkeypatch):
    X, d, y = half_empty(N, D), RNG.random(N), np.arange(float(N))
    rows = rows_of(X)
    expected = list(verbs(DenseRows(dense(X)), d, y))
    monkeypatch.setattr(rows, "_block", block)
    for one, other in zip(verbs(rows, d, y), expected, strict=True):
        rtol = 1e-5 if getattr(one, "dtype", None) == np.float32 else 1e-12
        assert_allclose(one, other, 0, rtol * max(1, np.abs(other).max()))


@pytest.mark.parametrize("m", [1, 10, 10**4, 10**6])
def test_blocks_of_rows_fit_a_buffer(m):
    size = features.block_rows(m, 4)
    assert features.LEAST_BLOCK <= size <= features.LARGEST_BLOCK
    assert size == features.LEAST_BLOCK or 4 * m * size <= features.BUFFER_BYTES


def test_a_task_of_blas_has_blas_in_one_thread(two_cores):
    def threads():
        libraries = _threads._controller().select(user_api="blas").lib_controllers
        return [library.num_threads for library in libraries]

    with threadpool_limits(2, user_api="blas"):
        before = threads()
        for count in (1, 5):  # one range as well as many
            seen = _threads.run(
                lambda k, lo, hi: threads(), [(0, 1)] * count, blas=True
            )
            assert all(number == 1 for each in seen for number in each)
        assert threads() == before
        assert 2 in before


# ------------------------------------------------------------------ wide_gram


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("room", [2**26, 1], ids=["own threads", "threads of BLAS"])
@pytest.mark.parametrize("n", [1, 31, 64, 333])
def test_wide_gram(n, room, dtype, small_blocks, monkeypatch):
    """The lower triangle of Z'Z; every row is asked for once."""
    monkeypatch.setattr(wide_gram, "PRIVATE_BYTES", room)
    Z, asked = RNG.standard_normal((n, 9)).astype(dtype), np.zeros(n, int)

    def fill(lo, hi, out):
        out[:] = Z[lo:hi]
        asked[lo:hi] += 1

    G = wide_gram.wide_gram(n, 9, np.dtype(dtype), fill)
    assert G.shape == (9, 9)
    assert G.dtype == dtype
    expected = np.tril(Z.T.astype(float) @ Z)
    atol = 20 * np.finfo(dtype).eps * np.abs(expected).max()
    assert_allclose(np.tril(G), expected, 0, atol)
    assert_array_equal(asked, 1)


@pytest.mark.parametrize("shape", [(7000, 50), (1000, 180)], ids=str)
def test_a_small_gram_matrix_waits_for_no_threads_of_blas(shape, monkeypatch):
    """Of few columns, or of few rows: a sample of those of a fit."""
    monkeypatch.delattr(wide_gram, "_shared_gram")
    Z = RNG.standard_normal(shape)

    def fill(lo, hi, out):
        out[:] = Z[lo:hi]

    G = wide_gram.wide_gram(*shape, np.dtype(float), fill)
    assert_allclose(np.tril(G), np.tril(Z.T @ Z), 1e-12, 1e-9)
    with pytest.raises(NameError, match="_shared_gram"):
        wide_gram.wide_gram(7000, 80, np.dtype(float), fill, room=1)


# ------------------------------------------------------------------ array namespaces


@MAPS
def test_strict_namespace_gives_the_same_numbers(kind, small_blocks):
    xp, X, rng = array_api_strict, half_empty(N, D), np.random.default_rng(1)
    plain = Design(rows_of(X, kind), SHIFT, intercept=True)
    rows = rows_of(xp.asarray(X), kind)
    strict = Design(rows, xp.asarray(SHIFT), intercept=True)
    d, s = rng.random(N), np.full(N, 1 / N)
    for columns in ((), (3,)):
        w = rng.standard_normal((M + 1, *columns))
        r = rng.standard_normal((N, *columns))
        for verb, args in [("dot", (w,)), ("adjoint", (r,)), ("curved", (d, w))]:
            result = getattr(strict, verb)(*map(xp.asarray, args))
            assert_allclose(as_numpy(result), getattr(plain, verb)(*args), 0, 1e-11)
        one = strict.expand(SquaredError(), *map(xp.asarray, (w, r, s)))
        for a, b in zip(one, plain.expand(SquaredError(), w, r, s), strict=True):
            assert_allclose(as_numpy(a), b, 0, 1e-11)
    for verb in ("squares", "gram"):
        result = getattr(strict, verb)(xp.asarray(d))
        assert_allclose(as_numpy(result), getattr(plain, verb)(d), 0, 1e-10)
    columns = as_numpy(rows.columns(2, 5))
    assert_allclose(columns, plain.rows.columns(2, 5), 0, 1e-12)
    stored = rows.store()
    assert type(stored) is Rows
    assert_allclose(as_numpy(stored.X), plain.rows.features(), 0, 1e-12)
    for chosen in (np.array([4, 2]), np.arange(40, 0, -1)):  # stored, generated
        few = rows.subset(chosen)
        few = few.X if few.stored else few.features()
        assert_allclose(as_numpy(few), plain.rows.features()[chosen], 0, 1e-12)
