"""Memory of fits on random features, and caches of their Gram matrices."""

import tracemalloc
import warnings
from functools import partial

import joblib
import numpy as np
import pytest
from _cases import store
from _features import MAP, MAPS, SAMPLING, data, room
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from promise_learn import (
    RandomFeatures,
    RandomFeaturesClassifier,
    RandomFeaturesRegressor,
)
from promise_learn.design import (
    FeatureRows,
    compiled,
    draw_landmarks,
    draw_map,
    features,
)
from promise_learn.design.landmarks import landmark_bytes, value_bytes
from promise_learn.design.maps import map_bytes
from promise_learn.design.memory import working_bytes
from promise_learn.design.rows import Rows
from promise_learn.kernels import _threads
from promise_learn.linalg import Sketch
from promise_learn.losses import SquaredError

# ------------------------------------------------------------------ memory


@pytest.mark.parametrize("storage", ["C", "csr_array"])
@pytest.mark.parametrize("make", [RandomFeaturesRegressor, RandomFeaturesClassifier])
def test_memory_too_small_for_any_fit(make, storage, monkeypatch):
    X, Y, _ = data()
    X, y = store(X, storage), Y[:, 0] > 0

    def generate(*_, **__):
        raise AssertionError("features were generated")

    model = make(**MAP, memory=1e4)
    with monkeypatch.context() as patched:
        patched.setattr(features.FeatureRows, "_generate", generate)
        with pytest.raises(ValueError, match=r"set memory to at least \d.*bytes") as e:
            model.fit(X, y)
    assert "lower n_components" in str(e.value)
    assert not hasattr(model, "coef_")
    assert not hasattr(model, "feature_map_")
    advised = float(str(e.value).split("at least ")[1].split()[0])
    model.set_params(memory=advised).fit(X, y)
    assert not model.stored_


@pytest.mark.parametrize(
    "choice",
    [
        {"projection": "gaussian"},
        {"projection": "orthogonal"},
        {"projection": "sorf"},
        {"approximation": "nystrom"},
    ],
    ids=str,
)
@pytest.mark.parametrize("make", [RandomFeaturesRegressor, RandomFeaturesClassifier])
def test_the_estimate_is_made_before_the_map_is_drawn(make, choice):
    """Weights alone would take a hundred times the memory that is allowed."""
    X, Y, _ = data(30)
    model = make(10**7, gamma=0.1, memory=1e7, **choice)
    tracemalloc.start()
    with pytest.raises(ValueError, match="lower n_components or set memory"):
        model.fit(X, Y[:, 0] > 0)
    top = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert top < 1e7


@pytest.mark.parametrize("projection", ["gaussian", "orthogonal", "sorf"])
@pytest.mark.parametrize(("d", "m"), [(10, 40_000), (3000, 300), (700, 2000)])
def test_the_estimate_bounds_the_draw(d, m, projection):
    X, rng = np.zeros((1, d), np.float32), np.random.default_rng(0)
    tracemalloc.start()
    draw_map(X, m, "rbf", 1.0, 1, projection, "kernel", rng)
    top = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    bound = map_bytes(d, m, projection, 4)
    assert 0.1 * bound < top < bound


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("kernel", ["rbf", "laplacian", "arccos"])
@pytest.mark.parametrize(("n", "d", "m"), [(1000, 10, 700), (400, 3000, 300)])
def test_the_estimate_bounds_the_draw_of_landmarks(n, d, m, kernel, dtype):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d)).astype(dtype)
    tracemalloc.start()
    draw_landmarks(X, m, kernel, 1 / d, 1, rng, np.dtype("float32"))
    top = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    bound = landmark_bytes(d, m, 4)
    assert 0.2 * bound < top < bound


@pytest.mark.parametrize("storage", ["C", "csr_array"])
@pytest.mark.parametrize("kernel", ["rbf", "laplacian", "arccos"])
@pytest.mark.parametrize(("d", "m"), [(10, 1500), (1000, 300)])
def test_the_estimate_bounds_a_block_of_nystrom_features(d, m, kernel, storage):
    X = np.random.default_rng(0).standard_normal((m, d))
    drawn = draw_landmarks(X, m, kernel, 1 / d, 1, np.random.default_rng(0))
    drawn, block = drawn.astype(np.dtype("float32")), features.block_rows(m, 4)
    X, out = store(X[:block], storage), np.empty((block, m), np.float32)
    tracemalloc.start()
    drawn.apply(X, out)
    top = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    bound = 4 * block * m + value_bytes(d, m)
    assert 0.2 * bound < top < bound


@pytest.mark.parametrize("name", ["direct", "newton-cholesky"])
def test_a_named_solver_whose_matrix_does_not_fit_is_refused(name):
    X, Y, _ = data(3000)
    settings = MAP | {"n_components": 500, "solver": name, "memory": room(X, 500) - 3e6}
    model = RandomFeaturesRegressor(**settings)
    with pytest.raises(ValueError, match="matrix of order 501") as error:
        model.fit(X, Y[:, 0])
    assert "solver='auto'" in str(error.value)
    assert not model.set_params(solver="auto").fit(X, Y[:, 0]).stored_
    short = float(str(error.value).split(" bytes too small")[0].split()[-1])
    settings["memory"] += 1.1 * short
    assert not RandomFeaturesRegressor(**settings).fit(X, Y[:, 0]).stored_


def test_a_hessian_of_all_classes_that_does_not_fit_is_refused():
    """Three classes of 501 coefficients: a matrix of 54 MB."""
    X, Y, _ = data(3000)
    settings = MAP | {"n_components": 500, "memory": room(X, 500, 3) - 3e6}
    model = RandomFeaturesClassifier(**settings, solver="newton-cholesky")
    with pytest.raises(ValueError, match="matrix of order 1,503"):
        model.fit(X, Y.argmax(axis=1))
    assert not hasattr(model, "coef_")


@pytest.mark.parametrize("name", SAMPLING)
@pytest.mark.parametrize("make", [RandomFeaturesRegressor, RandomFeaturesClassifier])
def test_solvers_that_sample_need_stored_features(make, name):
    X, Y, _ = data(400)
    y = Y[:, 0] if make is RandomFeaturesRegressor else Y[:, 0] > 0
    model = make(**MAP, solver=name, memory=room(X), tol=1e-2)
    with pytest.raises(ValueError, match="memory") as error:
        model.fit(X, y)
    assert len(str(error.value)) > 40
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.set_params(memory="auto").fit(X, y)
    assert model.stored_
    assert model.score(X, y) > 0.3


def problem(task, n):
    """X, y and the estimator of a task."""
    X, Y, _ = data(n)
    if task in ("ridge", "targets"):
        return X, Y if task == "targets" else Y[:, 0], RandomFeaturesRegressor
    y = Y[:, 0] > 0.2 if task == "binary" else Y.argmax(axis=1)
    return X, y, RandomFeaturesClassifier


@pytest.fixture
def grams(monkeypatch):
    """Rows of the Gram matrices that were formed."""
    formed = []

    def counting(original):
        def counted(self, *args):
            formed.append(self.shape[0])
            return original(self, *args)

        return counted

    for rows in (compiled.DenseRows, features.FeatureRows):
        monkeypatch.setattr(rows, "gram", counting(rows.gram))
    return formed


@pytest.mark.filterwarnings("ignore:Persisting input arguments")  # on a busy machine
@pytest.mark.parametrize("solver", ["auto", "direct", "pcg"])
@pytest.mark.parametrize("as_folder", [True, False])
@pytest.mark.parametrize("generated", [False, True])
@pytest.mark.parametrize("make", [RandomFeaturesRegressor, RandomFeaturesClassifier])
def test_a_cache_serves_every_penalty(
    make, generated, as_folder, solver, grams, tmp_path
):
    X, Y, s = data(4000)
    settings = MAP | {"n_components": 140, "solver": solver, "tol": 1e-10}
    y, name, values = Y[:, 0], "alpha", (1.0, 0.1, 10.0)
    if make is RandomFeaturesClassifier:
        y, name, settings = y > 0.2, "C", settings | {"loss": "squared_error"}
    settings["memory"] = room(X, 140) if generated else "auto"
    folder = str(tmp_path)
    cache = folder if as_folder else joblib.Memory(folder, verbose=0)
    for number, value in enumerate(values):
        model = make(**settings, cache=cache, **{name: value}).fit(X, y, s)
        assert model.stored_ != generated
        if number == 0:
            first = len(grams)
            assert first >= 1
    assert len(grams) == first
    alone = make(**settings, **{name: values[-1]}).fit(X, y, s)
    assert len(grams) == 2 * first
    # without a cache a sample may have another size; both are at the minimum
    atol = 1e-4 * np.abs(alone.coef_).max()
    assert_allclose(model.coef_, alone.coef_, 0, atol)
    for change in ({"gamma": 0.2}, {"random_state": 1}):
        before = len(grams)
        make(**settings | change, cache=cache).fit(X, y, s)
        assert len(grams) > before
    before = len(grams)
    make(**settings, cache=cache).fit(X[::-1], y, s)
    assert len(grams) > before


@pytest.mark.parametrize("generated", [False, True])
def test_a_cache_serves_penalties_that_ask_for_samples_of_other_sizes(
    generated, grams, tmp_path, monkeypatch
):
    """Without a cache, a row sample follows the effective dimension; stored rows are
    all taken for the squared error."""
    monkeypatch.setattr("promise_learn.objective.PILOT_DIM", 100)
    X, Y, _ = data(20_000)
    settings = MAP | {"n_components": 200, "gamma": 1.0, "solver": "pcg", "tol": 1e-10}
    settings["memory"] = room(X, 200) if generated else 1e9
    for alpha in (1e-2, 1.0, 1e2, 1e4):
        model = RandomFeaturesRegressor(**settings, alpha=alpha, cache=str(tmp_path))
        assert model.fit(X, Y[:, 0]).stored_ != generated
    assert len(grams) == 1
    grams.clear()
    for alpha in (1e-2, 1e4):
        RandomFeaturesRegressor(**settings, alpha=alpha).fit(X, Y[:, 0])
    assert (grams[0] != grams[1]) == generated


@pytest.fixture
def test_vectors(monkeypatch):
    """Numbers of test vectors of sketches whose products were formed."""
    formed, original = [], Rows.sketched

    def counted(self, d, V, offset):
        formed.append(V.shape[1])
        return original(self, d, V, offset)

    monkeypatch.setattr(Rows, "sketched", counted)
    return formed


@pytest.fixture
def spectra(monkeypatch):
    """Ranks of sketches whose eigenvectors were computed."""
    computed, original = [], Sketch.low_rank

    def counted(self):
        computed.append(self.rank)
        return original(self)

    monkeypatch.setattr(Sketch, "low_rank", counted)
    return computed


@pytest.mark.parametrize("solver", ["pcg", "nystrom-pcg", "newton-cg"])
@pytest.mark.parametrize("generated", [False, True])
@pytest.mark.parametrize("make", [RandomFeaturesRegressor, RandomFeaturesClassifier])
def test_a_cache_serves_sketches_to_every_penalty(
    make, generated, solver, test_vectors, spectra, tmp_path
):
    """A larger penalty needs no more test vectors, a smaller one only new ones.

    And no eigenvectors are computed twice.
    """
    X, Y, s = data(4000)
    settings = MAP | {"n_components": 140, "solver": solver, "tol": 1e-10}
    settings |= {"preconditioner": "nystrom"} if solver != "nystrom-pcg" else {}
    settings["memory"] = room(X, 140) if generated else "auto"
    y, name, values = Y[:, 0], "alpha", (1.0, 0.01, 10.0)
    if make is RandomFeaturesClassifier:
        y, name, values = y > 0.2, "C", (1.0, 100.0, 0.1)
        settings |= {"loss": "squared_error"}
    formed = []
    for value in values:
        model = make(**settings, cache=str(tmp_path), **{name: value}).fit(X, y, s)
        assert model.stored_ != generated
        formed.append(sum(test_vectors))
    assert 0 < formed[0] < formed[1] == formed[2] <= 140
    assert len(set(spectra)) == len(spectra)
    test_vectors.clear()
    first = make(**settings, cache=str(tmp_path / "new"), **{name: values[-1]})
    assert_array_equal(model.coef_, first.fit(X, y, s).coef_)
    assert sum(test_vectors) > 0
    alone = make(**settings, **{name: values[-1]}).fit(X, y, s)
    assert_allclose(model.coef_, alone.coef_, 0, 1e-4 * np.abs(alone.coef_).max())
    test_vectors.clear()
    make(**settings | {"random_state": 1}, cache=str(tmp_path)).fit(X, y, s)
    assert sum(test_vectors) > 0


@pytest.mark.parametrize("settings", MAPS, ids=str)
def test_blocks_of_a_pass_share_buffers(settings, monkeypatch):
    X, _, _ = data(4000)
    drawn = RandomFeatures(60, random_state=0, **settings).fit(X).feature_map_
    addresses, original = [], type(drawn).apply

    def seen(self, X, *buffers):
        addresses.append([b.ctypes.data for b in buffers if b is not None])
        return original(self, X, *buffers)

    monkeypatch.setattr(type(drawn), "apply", seen)
    monkeypatch.setattr(features, "LARGEST_BLOCK", 64)
    rows = FeatureRows(X, drawn, budget=1e9)
    u, d = np.ones(60), np.ones(4000)
    dot, curved = partial(rows.dot, u), partial(rows.curved, d, u, 0.0)
    expand = partial(rows.expand, SquaredError(), u, 0.0, X[:, 0], d)
    for verb in (dot, curved, expand):
        addresses.clear()
        verb()
        assert len(addresses) > 3 * features.PARTS
        assert all(addresses)
        assert len(set(map(tuple, addresses))) <= features.PARTS


# ------------------------------------------------------------------ threads


@pytest.mark.parametrize("generated", [False, True])
@pytest.mark.parametrize("task", ["ridge", "targets", "binary", "multinomial"])
def test_coefficients_do_not_depend_on_the_number_of_threads(
    task, generated, monkeypatch
):
    monkeypatch.setattr(_threads, "cores", lambda: 2)
    monkeypatch.setattr(_threads, "_numba_limit", lambda: 2)
    X, y, make = problem(task, 6000)
    settings = MAP | {"n_components": 150, "tol": 1e-4}
    model, coefs = make(**settings, memory=2e6 if generated else 1e9), []
    for limit in (1, 2):
        with threadpool_limits(limit):
            assert _threads.thread_limit() == limit
            model.fit(X, y)
            assert model.stored_ != generated
            coefs.append((model.coef_, model.intercept_, model.predict(X)))
    for alone, both in zip(*coefs, strict=True):
        if task in ("ridge", "binary"):
            assert_array_equal(alone, both)
        else:  # products of several columns are sums of BLAS, rounded to float32
            assert_allclose(alone, both, 0, 1e-4 * np.abs(both).max())


# ------------------------------------------------------------------ the peak


def peak(model, X, y):
    """Bytes that a fit allocates at once, after one that compiles the kernels."""
    model.fit(X[:1500], y[:1500])
    tracemalloc.start()
    model.fit(X, y)
    top = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return top


@pytest.mark.parametrize("storage", ["C", "csr_array"])
@pytest.mark.parametrize("task", ["ridge", "targets", "binary", "multinomial"])
@pytest.mark.parametrize("part", [5, 2, 1.5, 1.3])
def test_a_fit_takes_no_more_memory_than_it_may(part, task, storage):
    """Stored features would take five times that, or less, and some are kept."""
    n = 10_000 if task == "multinomial" else 20_000
    X, y, make = problem(task, n)
    memory = 4 * n * 1000 / part
    model = make(**MAP | {"n_components": 1000, "tol": 1e-3, "memory": memory})
    top = peak(model, store(X, storage), y)
    assert not model.stored_
    assert top < memory


@pytest.mark.parametrize("storage", ["C", "csr_array"])
@pytest.mark.parametrize("task", ["ridge", "multinomial"])
def test_a_fit_of_nystrom_features_takes_no_more_memory_than_it_may(task, storage):
    X, y, make = problem(task, 2500)
    X, memory = store(X, storage), 1.1 * working_bytes(X, 600, "nystrom", 3)
    settings = MAP | {"n_components": 600, "tol": 1e-3, "memory": memory}
    model = make(**settings, approximation="nystrom")
    top = peak(model, X, y)
    assert not model.stored_
    assert top < memory
