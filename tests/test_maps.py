"""Random feature maps: the kernels they approximate, on any storage of X."""

import tracemalloc

import array_api_strict
import numpy as np
import pytest
from _cases import DENSE, SPARSE, half_empty, store
from _features import kernel_matrix
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.linalg import hadamard
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from promise_learn import (
    RandomFeatures,
    RandomFeaturesClassifier,
    RandomFeaturesRegressor,
)
from promise_learn._arrays import as_numpy
from promise_learn.design import draw_map, maps
from promise_learn.random_features import _shared

GAMMA = 0.05
MAPS = {
    "rbf": {"kernel": "rbf", "gamma": GAMMA, "projection": "gaussian"},
    "orthogonal": {"kernel": "rbf", "gamma": GAMMA, "projection": "orthogonal"},
    "sorf": {"kernel": "rbf", "gamma": GAMMA, "projection": "sorf"},
    "laplacian": {"kernel": "laplacian", "gamma": GAMMA},
    "step": {"kernel": "arccos", "degree": 0, "projection": "gaussian"},
    "relu": {"kernel": "arccos", "degree": 1, "projection": "gaussian"},
    "orthogonal relu": {"kernel": "arccos", "projection": "orthogonal"},
    "sorf step": {"kernel": "arccos", "degree": 0, "projection": "sorf"},
}
EVERY = pytest.mark.parametrize("name", MAPS)
CHOICES = [
    ("rbf", 12, "orthogonal"),
    ("arccos", 1000, "orthogonal"),
    ("rbf", 1001, "gaussian"),
    ("laplacian", 12, "gaussian"),
]


def data(n=10, d=12, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


def features(X, m, seed=0, **settings):
    return RandomFeatures(m, random_state=seed, **settings).fit_transform(X)


def error(m, seed, X, **settings):
    """Root mean square error of the inner products of different rows."""
    Z = features(X, m, seed, **settings)
    pairs = np.triu_indices(len(X), 1)
    return np.sqrt(np.mean((Z @ Z.T - kernel_matrix(X, **settings))[pairs] ** 2))


# ------------------------------------------------------------------ kernels


@EVERY
def test_inner_products_tend_to_the_kernel(name):
    """Within five standard errors, estimated from the features themselves."""
    X, m = data(), 2**15
    Z, settings = features(X, m, **MAPS[name]), MAPS[name]
    terms = m * Z[:, None, :] * Z[None, :, :]
    standard_error = terms.std(axis=2) / np.sqrt(m)
    off = np.abs(terms.mean(axis=2) - kernel_matrix(X, **settings))
    # three Hadamard blocks are not quite uniform: error O(1 / order), Yu et al. (2016)
    bias = 0.1 / 16 if "sorf" in name else 0.0
    assert (off <= 5 * standard_error + bias + 1e-12).all()


@EVERY
def test_error_falls_as_one_over_the_root_of_m(name):
    # where columns are orthogonal the error falls faster within the first block
    X, sizes, settings = data(), 2 ** np.arange(6, 12), MAPS[name]
    errors = [np.mean([error(m, s, X, **settings) for s in range(6)]) for m in sizes]
    slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    assert -0.6 < slope < -0.4


@pytest.mark.parametrize("m", [12, 48])
@pytest.mark.parametrize("projection", ["orthogonal", "sorf"])
def test_orthogonal_columns_err_less(projection, m):
    X, seeds = data(d=16), range(40)
    settings = {"kernel": "rbf", "gamma": 1 / 32, "projection": "gaussian"}
    plain = np.mean([error(m, s, X, **settings) ** 2 for s in seeds])
    settings["projection"] = projection
    assert np.mean([error(m, s, X, **settings) ** 2 for s in seeds]) < 0.9 * plain


# ------------------------------------------------------------------ formulas


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@EVERY
def test_features_are_the_function_of_the_projection(name, dtype):
    """By NumPy's own cosine, at arguments of many turns too."""
    X = (30 * data(25, 12)).astype(dtype)
    model = RandomFeatures(70, random_state=0, **MAPS[name]).fit(X)
    drawn = model.feature_map_
    if drawn.signs is None:
        W = drawn.weights.astype(float)
    else:
        H, padded = hadamard(16), np.eye(16)[:12]
        blocks = [
            padded @ np.diag(s[0]) @ H @ np.diag(s[1]) @ H @ np.diag(s[2]) @ H
            for s in drawn.signs.astype(float)
        ]
        W = np.hstack(blocks)[:, :70] * drawn.norms
    T = X.astype(float) @ W
    if "kernel" in MAPS[name] and MAPS[name]["kernel"] != "arccos":
        turns = 2 * np.pi * (T + drawn.offset)
        expected = np.sqrt(2 / 70) * np.cos(turns)
    elif MAPS[name].get("degree") == 0:
        expected = np.sqrt(2 / 70) * (T > 0)
    else:
        expected = np.sqrt(2 / 70) * np.maximum(T, 0)
    Z = model.transform(X)
    assert Z.dtype == X.dtype
    # the argument rounds relative to its own size
    atol = np.finfo(dtype).eps * max(1.0, np.abs(T).max()) * 20
    assert_allclose(Z, expected, 0, atol)


@pytest.mark.parametrize("projection", ["orthogonal", "sorf"])
def test_columns_of_a_block_are_orthogonal(projection):
    drawn = draw_map(
        np.zeros((1, 16)),
        40,
        "arccos",
        1.0,
        1,
        projection,
        "kernel",
        np.random.default_rng(0),
    )
    W = drawn.weights
    if projection == "sorf":
        W = np.empty((16, 40))
        drawn._project(np.eye(16), W)
    norms = np.linalg.norm(W, axis=0)
    assert 0.8 * 16 < np.mean(norms**2) < 1.2 * 16  # of chi-squared length
    assert norms.std() > 0.2
    for lo in (0, 16, 32):
        V = W[:, lo : lo + 16] / norms[lo : lo + 16]
        assert_allclose(V.T @ V, np.eye(V.shape[1]), 0, 1e-12)


@pytest.mark.parametrize(("kernel", "d", "expected"), CHOICES)
def test_automatic_projection(kernel, d, expected):
    """Orthogonal, unless the weights are Cauchy or QR factors take long."""
    X, seed = data(4, d), {"random_state": 0}
    chosen = RandomFeatures(30, kernel=kernel, **seed).fit_transform(X)
    for name in ("gaussian", "orthogonal"):
        if name == expected or kernel != "laplacian":
            named = features(X, 30, kernel=kernel, projection=name)
            assert np.array_equal(chosen, named) == (name == expected)


@pytest.mark.parametrize("m", [3, 40, 100])
def test_orthogonal_columns_where_they_are_fewer_than_rows(m):
    """Without a factor of order d: d = 40 has blocks of 40 columns, the last cut."""
    X = np.zeros((1, 40))
    args = ("arccos", 1.0, 1, "orthogonal", "kernel")
    W = draw_map(X, m, *args, np.random.default_rng(0)).weights
    for lo in range(0, m, 40):
        V = W[:, lo : lo + 40] / np.linalg.norm(W[:, lo : lo + 40], axis=0)
        assert_allclose(V.T @ V, np.eye(V.shape[1]), 0, 1e-12)
    tracemalloc.start()
    draw_map(np.zeros((1, 20_000)), 3, *args, np.random.default_rng(0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * 8 * 3 * 20_000


@pytest.mark.parametrize("d", [1, 2, 5])
@EVERY
def test_few_columns(name, d):
    Z = features(data(4, d), 3, **MAPS[name])
    assert Z.shape == (4, 3)
    assert np.isfinite(Z).all()


# ------------------------------------------------------------------ scales


def test_scale_of_promise():
    """W / sqrt(m), bandwidth 1, and max(W x, 0) as it stands."""
    X, m = data(), 50
    paper = RandomFeatures(m, scale="paper", random_state=0).fit(X)
    assert paper.gamma_ == 0.5
    plain = features(X, m, gamma=0.5 / m, projection="gaussian")
    assert_allclose(paper.transform(X), plain, 0, 1e-12)
    assert_allclose(
        features(X, m, gamma=3.0, scale="paper"),
        features(X, m, gamma=3.0 / m, projection="gaussian"),
        0,
        1e-12,
    )
    relu = RandomFeatures(m, kernel="arccos", scale="paper", random_state=0).fit(X)
    W = np.random.default_rng(0).standard_normal((12, m)) / np.sqrt(m)
    assert_allclose(relu.transform(X), np.maximum(X @ W, 0), 0, 1e-12)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("storage", ["C", "F", "csr_array"])
def test_gamma_scale(storage, dtype, monkeypatch):
    monkeypatch.setattr(_shared, "VARIANCE_ENTRIES", 40)
    X = half_empty(50, 6).astype(dtype)
    model = RandomFeatures(5).fit(store(X, storage))
    assert model.gamma_ == pytest.approx(1 / (6 * X.astype(float).var()), rel=1e-6)


@pytest.mark.parametrize("make", [RandomFeaturesRegressor, RandomFeaturesClassifier])
@pytest.mark.parametrize("storage", ["C", "csr_array"])
def test_gamma_scale_counts_rows_by_their_weights(make, storage, monkeypatch):
    monkeypatch.setattr(_shared, "VARIANCE_ENTRIES", 40)
    X, weights = half_empty(50, 6), np.arange(50) % 4
    y = np.arange(50) % 2
    model = make(5).fit(store(X, storage), y, weights)
    repeated = np.repeat(X, weights, axis=0)
    assert model.gamma_ == pytest.approx(1 / (6 * repeated.var()), rel=1e-12)


@pytest.mark.parametrize("storage", ["C", "csr_array"])
def test_a_variance_that_overflows_is_refused(storage):
    with (
        np.errstate(over="ignore", invalid="ignore"),
        pytest.raises(ValueError, match="gamma='scale', overflows: scale X"),
    ):
        RandomFeatures(5).fit(store(1e200 * half_empty(50, 6), storage))


def test_gamma_scale_where_the_mean_is_large_or_nothing_varies():
    X = data(500, 4) + 1e7
    model = RandomFeatures(5).fit(X)
    assert model.gamma_ == pytest.approx(1 / (4 * X.var()), rel=1e-6)
    for constant in (np.full((5, 3), 2.5), sparse.csr_array((5, 3))):
        assert RandomFeatures(5).fit(constant).gamma_ == 1.0


# ------------------------------------------------------------------ storages


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("storage", [*DENSE, *SPARSE])
@EVERY
def test_same_seed_same_features_on_any_storage(name, storage, dtype, tmp_path):
    # steps of half-empty rows may be those of a sum that is zero but for its rounding
    X = data(40, 9) if "step" in name else half_empty(40, 9) / 10
    expected = features(X, 600, 3, **MAPS[name])
    Z = features(store(X.astype(dtype), storage, tmp_path), 600, 3, **MAPS[name])
    assert isinstance(Z, np.ndarray)
    assert Z.dtype == dtype
    if "step" in name:  # a projection next to 0 may round to either side
        assert np.mean(np.abs(Z - expected) > 1e-4) < 1e-3
    else:
        assert_allclose(Z, expected, 0, 1e-13 if dtype == "float64" else 2e-5)


def test_weights_are_drawn_alike_in_pieces(monkeypatch):
    X = data()
    for kernel in ("rbf", "laplacian"):
        whole = features(X, 30, kernel=kernel, projection="gaussian")
        monkeypatch.setattr(maps, "DRAW_ENTRIES", 70)
        again = features(X, 30, kernel=kernel, projection="gaussian")
        assert_array_equal(again, whole)


@EVERY
def test_strict_namespace_gives_the_same_features(name):
    """In array operations, of the padded and of the full width."""
    for d in (9, 16):
        X, settings = data(20, d), {"gamma": 1.0, "degree": 1, "projection": "gaussian"}
        settings |= MAPS[name]
        order = ("kernel", "gamma", "degree", "projection")
        args = [settings[key] for key in order]
        plain = draw_map(X, 40, *args, "kernel", np.random.default_rng(0))
        on = array_api_strict.asarray(X)
        strict = draw_map(on, 40, *args, "kernel", np.random.default_rng(0))
        Z = strict.apply(on)
        assert type(Z) is type(on)
        assert_allclose(as_numpy(Z), plain.apply(X), 0, 1e-12)


# ------------------------------------------------------------------ the transformer


def test_names_and_pandas():
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame(data(6, 3), columns=["a", "b", "c"])
    model = RandomFeatures(4, random_state=0).set_output(transform="pandas")
    Z = model.fit_transform(X)
    names = [f"randomfeatures{k}" for k in range(4)]
    assert list(Z.columns) == list(model.get_feature_names_out()) == names
    assert_array_equal(Z.to_numpy(), features(X.to_numpy(), 4))
    with pytest.raises(ValueError, match="feature names should match"):
        model.transform(X[["b", "a", "c"]])


def test_transform_of_other_rows_and_types():
    X = data(30, 5)
    model = RandomFeatures(20, random_state=np.random.RandomState(3)).fit(X)
    Z = model.transform(X)
    assert_array_equal(
        clone(model).set_params(random_state=np.random.RandomState(3)).fit_transform(X),
        Z,
    )
    assert_allclose(model.transform(X[7:8]), Z[7:8], 0, 1e-14)
    single = model.transform(X.astype(np.float32))
    assert single.dtype == np.float32
    assert_allclose(single, Z, 0, 1e-5)
    assert model.feature_map_.dtype == np.float64
    integers = np.arange(10).reshape(2, 5)
    assert model.transform(integers).dtype == np.float64


@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
def test_wrong_data_meet_errors_of_scikit_learn(storage):
    X = data(8, 3)
    with pytest.raises(NotFittedError, match="not fitted"):
        RandomFeatures().transform(storage(X))
    model = RandomFeatures(5).fit(storage(X))
    with pytest.raises(ValueError, match="X has 2 features, but RandomFeatures is exp"):
        model.transform(storage(X[:, :2]))
    with pytest.raises(ValueError, match=r"Found array with 0 sample\(s\)"):
        model.transform(storage(np.zeros((0, 3))))
    X[2, 1] = np.nan
    for call in (model.transform, model.fit):
        with pytest.raises(ValueError, match="Input X contains NaN"):
            call(storage(X))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gamma": -1}, "'gamma' parameter of RandomFeatures must be a float"),
        ({"gamma": 0.0}, "'gamma' parameter"),
        ({"gamma": np.inf}, "'gamma' parameter"),
        ({"gamma": "auto"}, r"a str among \{'scale'\}. Got 'auto' instead"),
        ({"n_components": 0}, "'n_components' parameter .* an int in the range"),
        ({"n_components": 2.5}, "'n_components' parameter"),
        ({"kernel": "poly"}, "'kernel' parameter .* among {'arccos', 'laplacian'"),
        ({"kernel": "arccos", "degree": 2}, "'degree' parameter"),
        ({"projection": "x"}, "'projection' parameter"),
        ({"scale": "promise"}, "'scale' parameter"),
        ({"random_state": "seed"}, "'random_state' parameter"),
        ({"kernel": "arccos", "gamma": 0.5}, "kernel='arccos' has no gamma"),
        ({"kernel": "laplacian", "projection": "sorf"}, "takes projection='gaussian'"),
        ({"kernel": "laplacian", "scale": "paper"}, "takes scale='kernel' only"),
        ({"approximation": "exact"}, "'approximation' parameter .* among {'nystrom'"),
        ({"approximation": "nystrom"}, r"draws n_components=1,000 .*n_samples = 10\)"),
        ({"approximation": "nystrom", "scale": "paper"}, "takes scale='kernel' only"),
        (
            {"approximation": "nystrom", "projection": "gaussian"},
            "approximation='nystrom' takes projection='auto' only",
        ),
    ],
)
def test_wrong_parameters(settings, message):
    model = RandomFeatures(**settings)
    with pytest.raises(ValueError, match=message):
        model.fit(data())
    assert not hasattr(model, "feature_map_")
