"""Designs of every storage, centred and scaled, behave as the matrix they mean."""

import tracemalloc
from itertools import product

import array_api_strict
import numpy as np
import pytest
from _cases import DENSE, SPARSE, half_empty, store
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from threadpoolctl import threadpool_limits

from promise_learn import kernels
from promise_learn._arrays import as_numpy, is_sparse
from promise_learn.design import (
    Design,
    compiled,
    faster_storage,
    nonempty_columns,
    tiled_gram,
    wide_gram,
)
from promise_learn.design.rows import Rows
from promise_learn.kernels import _threads
from promise_learn.kernels.blocks import LONG
from promise_learn.losses import Logistic, Multinomial, SquaredError
from promise_learn.testing import check_design, design_matrix

N, P = 300, 7
RNG = np.random.default_rng(0)
SHIFT, SCALE = RNG.standard_normal(P), RNG.uniform(0.5, 20, P)
# float32 data enter vector passes exactly; products of a block round as BLAS does
RTOL = {"float64": 1e-12, "float32": 2e-5}

STORAGES = pytest.mark.parametrize("storage", [*DENSE, *SPARSE])
DTYPES = pytest.mark.parametrize("dtype", ["float64", "float32"])
OPTIONS = pytest.mark.parametrize(
    "options",
    [
        {},
        {"intercept": True},
        {"scale": SCALE},
        {"shift": SHIFT, "intercept": True},
        {"shift": SHIFT, "scale": SCALE},
        {"shift": SHIFT, "scale": SCALE, "intercept": True},
    ],
    ids=lambda options: "+".join(options) or "plain",
)


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def bits(X):
    """Bytes of X, to see whether it changed."""
    return [part.copy() for part in ((X.data, X.indices) if is_sparse(X) else (X,))]


# ------------------------------------------------------------------ the contract


@OPTIONS
@DTYPES
@STORAGES
def test_contract(storage, dtype, options, tmp_path):
    X = store(half_empty(N, P, dtype=dtype), storage, tmp_path)
    before = bits(X)
    check_design(Design(X, **options), design_matrix(X, **options), RTOL[dtype])
    for now, then in zip(bits(X), before, strict=True):
        assert_array_equal(now, then)


@pytest.mark.parametrize("shape", [(1, 3), (3, 1), (1, 1), (5, 40)])
@pytest.mark.parametrize("storage", ["C", "F", "csr_array"])
def test_contract_on_thin_shapes(storage, shape):
    X = store(half_empty(*shape), storage)
    check_design(Design(X, intercept=True), design_matrix(X, intercept=True))


@DTYPES
@pytest.mark.parametrize("n", [1, 4, 11])
def test_margins_of_long_rows(n, dtype, rng):
    """Four rows at a time, and the last ones alone."""
    X, w = half_empty(n, LONG, dtype=dtype), rng.standard_normal(LONG)
    design, Z = Design(X, intercept=True), X.astype(float)
    d = rng.random(n)
    assert_allclose(design.dot(np.append(w, 0.5)), Z @ w + 0.5, 1e-12, 1e-11)
    curved = design.curved(d, np.append(w, 0.0))
    assert_allclose(curved[:-1], Z.T @ (d * (Z @ w)), 1e-12, 1e-10)


@OPTIONS
def test_contract_of_the_generic_text(options):
    X = half_empty(N, P)
    design = Design(Rows(X), **options)
    check_design(design, design_matrix(X, **options))


@pytest.mark.parametrize("options", [{}, {"intercept": True}, {"scale": SCALE}])
def test_contract_of_the_generic_text_on_csr(options):
    X = store(half_empty(N, P), "csr_array")
    check_design(Design(Rows(X), **options), design_matrix(X, **options))


def test_contract_finds_a_wrong_verb():
    class Uncentred(Design):
        def squares(self, d):
            return Design(self.rows, intercept=self.intercept).squares(d)

    X = half_empty(N, P)
    design = Uncentred(X, SHIFT, intercept=True)
    with pytest.raises(AssertionError, match="squares"):
        check_design(design, design_matrix(X, SHIFT, intercept=True))


def test_strict_namespace_gives_the_same_numbers(rng):
    xp, X = array_api_strict, half_empty(N, P)
    options = {"shift": SHIFT, "scale": SCALE}
    plain = Design(X, **options, intercept=True)
    strict = {name: xp.asarray(value) for name, value in options.items()}
    strict = Design(xp.asarray(X), **strict, intercept=True)
    d = rng.random(N)
    for columns in ((), (3,)):
        w, r = (
            rng.standard_normal((P + 1, *columns)),
            rng.standard_normal((N, *columns)),
        )
        for verb, args in [("dot", (w,)), ("adjoint", (r,)), ("curved", (d, w))]:
            result = getattr(strict, verb)(*(xp.asarray(a) for a in args))
            assert_allclose(as_numpy(result), getattr(plain, verb)(*args), 1e-11, 1e-11)
    for verb in ("squares", "gram"):
        result = getattr(strict, verb)(xp.asarray(d))
        assert_allclose(as_numpy(result), getattr(plain, verb)(d), 1e-11, 1e-10)
    root = strict.root(np.array([4, 2, 9]), xp.asarray(d[:3]))
    assert_allclose(as_numpy(root), plain.root(np.array([4, 2, 9]), d[:3]), 1e-12)


# ------------------------------------------------------------------ precision


@pytest.mark.parametrize("storage", ["C", "F", "csr_array"])
def test_float32_data_lose_nothing_in_vector_passes(storage, rng):
    """Vectors are float64, so the sums are as exact as for float64 data."""
    X = store(half_empty(N, P, dtype="float32"), storage)
    design, Z = Design(X, SHIFT), design_matrix(X, SHIFT)
    w, r, d = rng.standard_normal(P), rng.standard_normal(N), rng.random(N)
    assert_allclose(design.dot(w), Z @ w, 1e-12, 1e-11)
    assert_allclose(design.adjoint(r), Z.T @ r, 1e-12, 1e-11)
    assert_allclose(design.curved(d, w), Z.T @ (d * (Z @ w)), 1e-12, 1e-9)
    assert_allclose(design.gram(d), Z.T @ (d[:, None] * Z), 1e-11, 1e-8)


def test_coefficients_of_any_dtype_and_memory_order_are_taken(rng):
    X = half_empty(N, P)
    w = rng.standard_normal((P, 6))
    for each in (w[:, ::2], np.asfortranarray(w), w.astype(np.float32)):
        assert_allclose(Design(X).dot(each), X @ each.astype(float), 1e-6, 1e-6)
        assert_allclose(Design(X).dot(each[:, 1]), X @ each[:, 1], 1e-6, 1e-6)
        d = np.ones(N)
        expected = X.T @ (X @ each[:, 1])
        assert_allclose(Design(X).curved(d, each[:, 1]), expected, 1e-5, 1e-4)


def test_repeated_entries_of_a_row_count_as_their_sum():
    """CSR before ``sum_duplicates``: squares need the sum, not the parts."""
    indices, indptr = np.array([1, 0, 1, 2, 2]), np.array([0, 3, 5])
    values = np.array([1.0, 2.0, 3.0, -1.0, 4.0])
    X = sparse.csr_array((values, indices, indptr), shape=(2, 3))
    Z = np.array([[2.0, 4.0, 0.0], [0.0, 0.0, 3.0]])
    check_design(Design(X), Z)
    assert_array_equal(X.indices, indices, err_msg="the caller's matrix was changed")
    assert X.nnz == 5


def test_stored_zeros_and_empty_rows_change_nothing():
    X = sparse.csr_array(half_empty(N, P))
    X.data[::3] = 0.0
    check_design(Design(X, intercept=True), design_matrix(X, intercept=True))
    empty = sparse.csr_array((4, 3))
    check_design(Design(empty, intercept=True), design_matrix(empty, intercept=True))


def test_centring_keeps_its_accuracy_where_the_mean_is_large(rng):
    """Mean 1e5 beside a deviation of 1: entries are centred before they are squared."""
    X = rng.standard_normal((N, P)) + 1e5
    shift = X.mean(axis=0)
    Z, d = X - shift, rng.random(N)
    design = Design(X, shift, intercept=True)
    assert_allclose(design.gram(d)[:P, :P], Z.T @ (d[:, None] * Z), 0, 1e-9 * N)
    assert_allclose(design.squares(d)[:P], (Z * Z).T @ d, 1e-9)


@pytest.mark.parametrize(
    "rows", [compiled.DenseRows, Rows], ids=["compiled", "generic"]
)
@pytest.mark.parametrize("level", [2.5, 1e6, 0.1])
def test_constant_column_is_zero_once_it_is_centred(level, rows):
    """Not 4e-16 of its level, which equilibration would blow up to noise."""
    X, d = half_empty(N, 3), np.random.default_rng(0).random(N)
    X[:, 1] = level
    design = Design(
        rows(X), X.mean(axis=0) * (1 + 1e-16 * np.arange(3)), intercept=True
    )
    design.shift[1] = np.nextafter(level, 0)
    assert_array_equal(design.squares(d)[1], 0)
    assert_array_equal(design.gram(d)[1], 0)
    assert_array_equal(design.gram(d)[:, 1], 0)
    assert_array_equal(design.root(np.arange(N), d)[:, 1], 0)
    others = [0, 2, 3]
    Z = np.delete(design_matrix(X, design.shift, intercept=True), 1, axis=1)
    gram = Z.T @ (d[:, None] * Z)
    assert_allclose(design.gram(d)[np.ix_(others, others)], gram, 1e-11, 1e-9)


@pytest.fixture(params=["sums", "bands", "BLAS", "threads of BLAS"])
def form(request, monkeypatch):
    """How the Gram matrix of dense rows is formed."""
    tiles = request.param in ("sums", "bands")
    monkeypatch.setattr(compiled, "is_tiled", lambda order: tiles)
    if tiles:
        monkeypatch.setattr(_threads, "WORK_PER_PART", 5000)  # several, of any shape
    if request.param == "bands":
        monkeypatch.setattr(tiled_gram, "SUM_BYTES", 0)
    if request.param == "threads of BLAS":
        monkeypatch.setattr(wide_gram, "PRIVATE_BYTES", 1)
    monkeypatch.setattr(wide_gram, "GRAM_BLOCK_BYTES", 1)
    return request.param


@pytest.mark.parametrize("storage", ["C", "F"])
def test_gram_is_summed_over_blocks_of_rows(storage, form):
    n, p = 5 * wide_gram.LEAST_ROWS + 10, 140
    X, d = store(half_empty(n, p), storage), RNG.random(n)
    shift = RNG.standard_normal(p)
    Z = design_matrix(X, shift, intercept=True)
    expected, design = Z.T @ (d[:, None] * Z), Design(X, shift, intercept=True)
    gram, top = design.gram(d), np.abs(expected).max()
    assert_allclose(gram, expected, 0, 1e-13 * top)
    assert_array_equal(gram, gram.T)
    with threadpool_limits(1):
        alone = design.gram(d)
    if form != "threads of BLAS":
        assert_array_equal(alone, gram)
    unit = np.sqrt(np.diagonal(expected))
    scaled = expected / np.outer(unit, unit)
    assert_allclose(design.gram(d, unit), scaled, 0, 1e-5)


@pytest.mark.parametrize(
    ("storage", "level"),
    [*product("CF", [0.0, 1.0, 1e6]), ("csr_array", 0.0)],
    ids="{}".format,
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("shape", [(40, 900), (150, 2600)], ids=str)
def test_row_gram_keeps_the_digits_of_columns_far_from_zero(
    shape, storage, dtype, level, form
):
    """At the last level the products of X itself lose twelve."""
    X = (half_empty(*shape) + level).astype(dtype)
    shift = X.astype(float).mean(axis=0)
    Z = X.astype(float) - shift
    expected = Z @ Z.T
    K = Design(store(X, storage), shift, intercept=True).row_gram()
    assert K.dtype == float
    assert_allclose(K, expected, 0, 1e-13 * np.abs(expected).max())
    assert_array_equal(K, K.T)


@pytest.mark.parametrize("p", [1, 63, 64, 127, 140])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("storage", ["C", "F", "csr_array"])
def test_gram_of_any_width(storage, dtype, p, form):
    """With units in float32."""
    X, rng = half_empty(301, p, dtype=dtype), np.random.default_rng(0)
    shift = np.zeros(p) if storage == "csr_array" else rng.standard_normal(p)
    Z = np.column_stack([X.astype(float) - shift, np.ones(301)])
    d, unit = rng.random(301), rng.uniform(1e-3, 1e3, p + 1)
    expected = Z.T @ (d[:, None] * Z)
    design = Design(store(X, storage), shift, intercept=True)
    top = np.abs(expected).max()
    assert_allclose(design.gram(d), expected, 0, 1e-13 * top)
    single = design.gram(d, unit)
    assert single.dtype == np.float32
    scaled = expected / np.outer(unit, unit)
    size = np.sqrt(np.diag(scaled))
    # sums of 301 terms in float32, each relative to the sizes of its two columns
    assert_allclose(
        single / np.outer(size, size), scaled / np.outer(size, size), 0, 5e-6
    )


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)], ids=str)
@pytest.mark.parametrize("intercept", [True, False])
def test_gram_of_nothing(shape, intercept):
    rows = compiled.DenseRows(np.zeros(shape))
    G = rows.gram(np.zeros(shape[0]), np.zeros(shape[1]), intercept)
    assert_array_equal(G, np.zeros((shape[1] + intercept,) * 2))


@pytest.mark.parametrize("n", [300, 3000])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_gram_matrix_keeps_to_its_room(n, dtype):
    """Of one matrix and a half in its dtype, beside vectors."""
    X, p = np.ones((n, 300)), 300
    size = np.dtype(dtype).itemsize * (p + 1) ** 2
    rows = compiled.DenseRows(X, room=1.5 * size)
    factor = np.ones(p + 1) if dtype == "float32" else None
    arguments = np.ones(n), np.zeros(p), True, factor
    rows.gram(*arguments)
    tracemalloc.start()
    rows.gram(*arguments)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size <= peak <= 1.5 * size + 64 * n


@pytest.mark.parametrize("p", [300, 3000])
@pytest.mark.parametrize("room", [1.5, 4.0])
def test_products_of_rows_keep_to_their_room(p, room):
    size = 8 * 300**2
    rows = compiled.DenseRows(np.ones((300, p)), room=room * size)
    rows.row_gram(np.zeros(p))
    tracemalloc.start()
    rows.row_gram(np.zeros(p))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    buffers = 3 * 8 * np.getbufsize()  # of a NumPy loop, whatever the room
    assert size <= peak <= room * size + 64 * p + buffers


@pytest.mark.parametrize("order", [1, 400, 401, 4000])
@pytest.mark.parametrize("longer", [False, True])
@pytest.mark.parametrize("blas", ["Haswell", "SkylakeX", None])
def test_large_gram_matrices_are_left_to_a_blas_that_is_as_fast(
    order, longer, blas, monkeypatch
):
    class Library:
        architecture = blas

    monkeypatch.setattr(kernels.tiles, "LONG_VECTORS", longer)
    monkeypatch.setattr(_threads, "_libraries", lambda: [Library])
    uncached = _threads.blas_has_short_vectors.__wrapped__
    monkeypatch.setattr(_threads, "blas_has_short_vectors", uncached)
    expected = order <= 400 or (longer and blas == "Haswell")
    assert tiled_gram.is_tiled(order) == expected


@STORAGES
def test_curved_block_is_a_column_at_a_time(storage, tmp_path, rng):
    design = Design(store(half_empty(N, P), storage, tmp_path), SHIFT, intercept=True)
    d, V = rng.random(N), rng.standard_normal((P + 1, 3))
    columns = [design.curved(d, V[:, k]) for k in range(3)]
    assert_allclose(design.curved(d, V), np.column_stack(columns), 1e-12, 1e-12)


def test_row_squares():
    X, v = half_empty(N, P), RNG.random(P)
    for storage in ("C", "csr_array"):
        rows = Design(store(X, storage)).rows
        assert_allclose(rows.row_squares(v), X**2 @ v, 1e-13)


def test_root_of_centred_sparse_rows_says_what_to_do():
    design = Design(sparse.csr_array(half_empty(N, P)), SHIFT, intercept=True)
    with pytest.raises(ValueError, match="shift=None"):
        design.root(np.arange(3), np.ones(3))


# ------------------------------------------------------------------ memory


def peak(task):
    """Bytes that a call allocates beyond what there was, once it is compiled."""
    task()
    tracemalloc.start()
    task()
    top = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return top


@pytest.fixture(scope="module", params=["C", "F", "csr_array", "float32"])
def large(request):
    """60 MB of X (30 MB of CSR) and what a pass needs, centred if dense."""
    n, p = 25_000, 300
    X = np.zeros((n, p))
    X[:, ::2] = np.random.default_rng(0).standard_normal((n, p // 2))
    if request.param == "float32":
        X = X.astype(np.float32)
    elif request.param == "csr_array":
        X = sparse.csr_array(X[:, : 2 * p // 3])
    else:
        X = store(X, request.param)
    shift = None if is_sparse(X) else np.ones(X.shape[1])
    return Design(X, shift, intercept=True), np.where(np.arange(n) % 3, 1.0, -1.0)


def test_passes_copy_no_part_of_x(large):
    """What they may hold: four n-vectors and an accumulator for each part."""
    design, y = large
    n, dim = design.shape
    s, w, d = np.full(n, 1 / n), np.zeros(dim), np.ones(n)
    allowed = 0.1 * design.rows.nbytes
    assert peak(lambda: design.expand(Logistic(), w, y, s)) < allowed
    assert peak(lambda: design.curved(d, w)) < allowed
    assert peak(lambda: design.squares(d)) < allowed
    assert peak(lambda: design.adjoint(d)) < allowed


def test_passes_over_blocks_copy_no_part_of_x(large):
    design, y = large
    n, dim = design.shape
    s, W, d = np.full(n, 1 / n), np.zeros((dim, 2)), np.ones(n)
    Y = np.stack([y, y], axis=1)
    allowed = 0.2 * design.rows.nbytes
    assert peak(lambda: design.expand(SquaredError(), W, Y, s)) < allowed
    assert peak(lambda: design.expand(Multinomial(), W, (y + 1) / 2, s)) < allowed
    assert peak(lambda: design.curved(d, W)) < allowed


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("case", ["uneven", "even", "empty at first", "zero"])
def test_gram_of_wide_sparse_rows_goes_by_bands(case, index, dtype, rng, monkeypatch):
    """Columns of falling frequency, all alike, or in late rows only."""
    monkeypatch.setattr(_threads, "WORK_PER_PART", 1000)
    monkeypatch.setattr(_threads, "cores", lambda: 2)
    monkeypatch.setattr(compiled, "BAND_ROWS", 20)
    monkeypatch.setattr(compiled, "BAND_BYTES", 2 * 200**2)
    n, p, bands = 300, 200, []
    kept = np.full(p, 0.15)
    if case == "uneven":
        kept = np.minimum(1, 4 / (1 + np.arange(p)))
    X = rng.standard_normal((n, p)) * (rng.random((n, p)) < kept)
    if case == "empty at first":
        X[: n // 2] = 0
    X = sparse.csr_array(0 * X if case == "zero" else X).astype(dtype)
    X.indices, X.indptr = X.indices.astype(index), X.indptr.astype(index)
    original = kernels.grams.sparse_gram

    def counted(X, lo, hi, first, last, *rest):
        bands.append((first, last))
        return original(X, lo, hi, first, last, *rest)

    monkeypatch.setattr(kernels.grams, "sparse_gram", counted)
    d, found = rng.random(n), []
    for limit in (1, 2):
        with threadpool_limits(limit):
            bands.clear()
            found.append(Design(X, intercept=True).gram(d))
    assert len(bands) >= (1 if case == "zero" else 3)
    Z = np.hstack([X.toarray().astype(float), np.ones((n, 1))])
    expected = Z.T @ (d[:, None] * Z)
    assert_allclose(found[0], expected, 0, 1e-13 * np.abs(expected).max())
    assert_array_equal(*found)


@pytest.mark.parametrize(
    ("entries", "size", "banded"), [(40, 1, True), (4, 1, False), (40, 8, False)]
)
def test_gram_goes_by_bands_where_it_is_large_and_rows_are_long(
    entries, size, banded, rng, monkeypatch
):
    """A band of G is worth finding in a row that has many pairs of entries."""
    monkeypatch.setattr(_threads, "WORK_PER_PART", 1000)
    monkeypatch.setattr(compiled, "BAND_BYTES", size * 100**2)
    n, p, parts = 20_000, 100, []
    X = sparse.random_array((n, p), density=entries / p, rng=rng, format="csr")
    original = kernels.grams.sparse_gram

    def seen(X, lo, hi, first, last, *rest):
        parts.append((lo, hi) == (0, n) and (first, last) != (0, p))
        return original(X, lo, hi, first, last, *rest)

    monkeypatch.setattr(kernels.grams, "sparse_gram", seen)
    Design(X).gram(np.ones(n))
    assert len(parts) > 1
    assert set(parts) == {banded}


def test_sparse_gram_and_root_never_hold_a_dense_x(rng):
    X = rng.standard_normal((20_000, 400)) * (rng.random((20_000, 400)) < 0.01)
    X = sparse.csr_array(X)
    design, d = Design(X, scale=np.ones(400), intercept=True), np.ones(20_000)
    dense_bytes = 8 * 20_000 * 400
    assert peak(lambda: design.gram(d)) < 0.2 * dense_bytes
    rows = np.arange(0, 20_000, 2)
    assert peak(lambda: design.root(rows, d[rows])) < 0.1 * dense_bytes
    assert is_sparse(design.root(rows, d[rows]))
    assert is_sparse(design.subset(rows).rows.X)


def test_small_csr_data_of_few_zeros_become_dense_rows(monkeypatch, rng):
    X = rng.standard_normal((50, 4))
    X[:25] *= rng.random((25, 4)) < 0.5
    for dtype in ("float64", "float32"):
        full = sparse.csr_array(X.astype(dtype))
        found = faster_storage(full)
        assert isinstance(found, np.ndarray)
        assert found.dtype == dtype
        assert_array_equal(found, full.toarray())
    scarce = sparse.csr_array(X * (rng.random(X.shape) < 0.3))
    assert faster_storage(scarce) is scarce
    assert faster_storage(X) is X
    monkeypatch.setattr(kernels.rows, "COPY", X.nbytes - 1)
    large = sparse.csr_array(X)
    assert faster_storage(large) is large


@DTYPES
@pytest.mark.parametrize("storage", SPARSE)
def test_empty_columns_are_left_out_where_they_are_many(
    storage, dtype, rng, monkeypatch
):
    monkeypatch.setattr("promise_learn.design.storage.CHUNK", 100)
    X = np.zeros((30, 400), dtype)
    used = np.sort(rng.choice(400, 25, replace=False))
    X[:, used] = half_empty(30, 25, dtype=dtype)
    A = store(X, storage)
    before = A.indices.copy()
    found, kept = nonempty_columns(A)
    assert_array_equal(kept, used)
    assert type(found) is type(A)
    assert found.dtype == dtype
    assert_array_equal(found.toarray(), X[:, used])
    assert np.shares_memory(found.data, A.data)
    assert_array_equal(A.indices, before)
    few = sparse.csr_array(X[:, used[:-1]])
    for same in (X, few, sparse.csr_array((30, 400)), sparse.csr_array(X[:0])):
        assert nonempty_columns(same) == (same, None)


@DTYPES
@pytest.mark.parametrize("order", ["C", "F", "strided"])
@pytest.mark.parametrize("rows", [3, 70_000])
def test_rows_are_copied_in_threads_as_indexing_copies_them(rows, order, dtype, rng):
    X = rng.standard_normal((80_000, 32)).astype(dtype)
    X = {"C": X, "F": np.asfortranarray(X), "strided": X[::-1, 1:]}[order]
    chosen = rng.integers(0, len(X), rows)
    block = compiled.DenseRows(X).block(chosen)
    assert_array_equal(block, X[chosen])
    assert block.dtype == X.dtype
    assert block.flags.c_contiguous
    for wrong in (-1, len(X)):
        with pytest.raises(IndexError, match="from 0 to 79999"):
            compiled.DenseRows(X).block(np.array([0, wrong]))
