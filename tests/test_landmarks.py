"""Nyström features: the approximation that their inner products are, on any storage."""

import pickle

import joblib
import numpy as np
import pytest
from _cases import SPARSE, store
from _features import kernel_matrix
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.kernel_approximation import Nystroem
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics.pairwise import rbf_kernel

from _reference import ridge_optimum
from promise_learn import (
    RandomFeatures,
    RandomFeaturesClassifier,
    RandomFeaturesRegressor,
)
from promise_learn._arrays import as_numpy
from promise_learn.design import FeatureRows, draw_landmarks
from promise_learn.design.memory import working_bytes

N, D, M = 200, 5, 40
KERNELS = {
    "rbf": {"kernel": "rbf", "gamma": 0.3},
    "laplacian": {"kernel": "laplacian", "gamma": 0.3},
    "step": {"kernel": "arccos", "degree": 0},
    "relu": {"kernel": "arccos", "degree": 1},
}
EVERY = pytest.mark.parametrize("name", KERNELS)
# of inner products, and of the kernel at landmarks: jitter, and rounding over its root
ATOL = {"float64": 1e-6, "float32": 2e-3}


def data(n=N, d=D, seed=0):
    """X with few zeros in a row, none of them empty."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)) * (rng.random((n, d)) < 0.8) + np.eye(n, d)


def nystrom(m=M, **settings):
    return RandomFeatures(m, approximation="nystrom", random_state=0, **settings)


def landmarks(model, X):
    """Numbers of the rows of X that are landmarks."""
    drawn = model.feature_map_.values
    Z = as_numpy(drawn.landmarks).T + as_numpy(drawn.origin)
    off = np.abs(Z[:, None, :] - X[None, :, :]).max(axis=2)
    assert (off.min(axis=1) < 1e-6 * np.abs(X).max()).all()
    return off.argmin(axis=1)


def approximation(K, chosen):
    """K_nm K_mm^+ K_mn in float64."""
    inverse = np.linalg.pinv(K[np.ix_(chosen, chosen)], rcond=1e-12, hermitian=True)
    return K[:, chosen] @ inverse @ K[chosen]


# ------------------------------------------------------------------ formulas


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("storage", ["C", "F", *SPARSE])
@EVERY
def test_inner_products_are_the_nystrom_approximation(name, storage, dtype):
    X = data().astype(dtype)
    model = nystrom(**KERNELS[name])
    Z = model.fit_transform(store(X, storage))
    assert Z.dtype == dtype
    assert Z.shape == (N, M)
    K, chosen = kernel_matrix(X.astype(float), **KERNELS[name]), landmarks(model, X)
    assert len(set(chosen)) == M
    found = Z.astype(float) @ Z.T
    assert_allclose(found, approximation(K, chosen), 0, ATOL[dtype])
    at = np.ix_(chosen, chosen)
    assert_allclose(found[at], K[at], 0, ATOL[dtype])


def test_the_kernel_of_scikit_learn():
    """Its Nystroem on the same landmarks: those of m = n are all rows."""
    X = data()
    expected = Nystroem(gamma=0.3, n_components=N).fit_transform(X)
    Z = nystrom(N, gamma=0.3).fit_transform(X)
    assert_allclose(Z @ Z.T, expected @ expected.T, 0, 1e-7)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@EVERY
def test_repeated_rows(name, dtype):
    X = np.repeat(data(10), 30, axis=0).astype(dtype)
    model = nystrom(100, **KERNELS[name])
    Z = model.fit_transform(X).astype(float)
    K = kernel_matrix(X.astype(float), **KERNELS[name])
    chosen = landmarks(model, X)
    assert len(set(chosen)) == 10
    assert_allclose(Z @ Z.T, K, 0, ATOL[dtype])


@pytest.mark.parametrize("name", ["rbf", "laplacian"])
@pytest.mark.parametrize("storage", ["C", "csr_array"])
def test_rows_far_from_the_origin(storage, name):
    """Distances of near rows must not drown in the squares of their norms."""
    X = data() + 2.0**20
    expected = nystrom(**KERNELS[name]).fit(X - 2.0**20).transform(X - 2.0**20)
    model = nystrom(**KERNELS[name]).fit(X)
    atol = 1e-10 if storage == "C" or name == "laplacian" else 0.1
    off = model.transform(store(X, storage)) - expected
    assert np.abs(off).max() < atol


@pytest.mark.parametrize("degree", [0, 1])
def test_zero_rows_have_zero_features_of_the_arc_cosine_kernel(degree):
    X = data()
    X[::3] = 0.0
    model = nystrom(kernel="arccos", degree=degree)
    for storage in (X, sparse.csr_array(X)):
        Z = model.fit_transform(storage)
        assert_array_equal(Z[::3], 0)
        assert np.isfinite(Z).all()
    assert_array_equal(model.fit_transform(np.zeros((N, 3))), 0)


def test_a_kernel_that_overflows_is_refused():
    with (
        np.errstate(over="ignore", invalid="ignore"),
        pytest.raises(ValueError, match="not a number: scale X"),
    ):
        nystrom(5).set_params(gamma=1.0).fit(1e200 * data())


# ------------------------------------------------------------------ the draw


def test_landmarks_are_drawn_alike_for_every_storage_and_type():
    X = data()
    chosen = landmarks(nystrom(gamma=0.3).fit(X), X)
    for other in (sparse.csr_array(X), X.astype(np.float32), np.asfortranarray(X)):
        assert_array_equal(landmarks(nystrom(gamma=0.3).fit(other), X), chosen)
    different = nystrom(gamma=0.3).set_params(random_state=1).fit(X)
    assert set(landmarks(different, X)) != set(chosen)


def test_every_row_may_be_a_landmark():
    X, counts = data(20), np.zeros(20)
    for seed in range(200):
        model = nystrom(5, gamma=0.3).set_params(random_state=seed).fit(X)
        counts[landmarks(model, X)] += 1
    # 50 each, with a standard deviation of 6
    assert (np.abs(counts - 50) < 30).all()


def test_parts_are_columns_and_pickles_are_the_same_map():
    X = data()
    model = nystrom(gamma=0.3).fit(X)
    drawn, Z = model.feature_map_, model.transform(X)
    assert drawn.part(3, 9).n_components == 6
    assert_allclose(drawn.part(3, 9).apply(X), Z[:, 3:9], 0, 1e-10)
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.transform(X), Z)
    assert joblib.hash(again.feature_map_) == joblib.hash(drawn)
    assert joblib.hash(nystrom(gamma=0.3).fit(X).feature_map_) == joblib.hash(drawn)
    assert list(model.get_feature_names_out()[:2]) == [
        "randomfeatures0",
        "randomfeatures1",
    ]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_product_with_weights_leaves_out_their_zeros_alone(dtype):
    X = data(700).astype(dtype)
    drawn = nystrom(600, gamma=0.3).fit(X).feature_map_
    K, W = drawn.values.apply(X), drawn.weights
    assert_array_equal(np.tril(W, -1), 0)
    expected, bound = K.astype(float) @ W, np.abs(K) @ np.abs(W)
    rounding = 600 * np.finfo(dtype).eps * bound
    assert (np.abs(drawn.apply(X) - expected) <= rounding).all()
    for lo, hi in ((0, 600), (100, 590), (512, 513)):
        part = drawn.part(lo, hi).apply(X)
        assert (np.abs(part - expected[:, lo:hi]) <= rounding[:, lo:hi]).all()


@pytest.mark.parametrize("shape", [(600,), (600, 3)])
def test_a_folded_map_has_the_same_products(shape, monkeypatch):
    monkeypatch.setattr("promise_learn.design.landmarks.FOLDED", 600 * 7)
    X = data(700)
    drawn = nystrom(600, gamma=0.3).fit(X).feature_map_
    u = np.random.default_rng(0).standard_normal(shape)
    values, folded = drawn.fold(u, X.dtype)
    found = FeatureRows(X, values).dot(folded)
    assert_allclose(found, FeatureRows(X, drawn).dot(u), 0, 1e-8)
    assert values.flops(D) < 0.1 * drawn.flops(D)


@pytest.mark.parametrize("targets", [1, 2])
def test_predictions_from_single_precision_are_those_of_the_features(targets):
    """Columns in their own units, where the product with W cancels heavily."""
    rng = np.random.default_rng(1)
    X = np.stack([1900 + 100 * rng.random(1500), 50 * rng.random(1500)], axis=1)
    y = np.sin(2 * X[:, 0]) + 0.02 * X[:, 1] ** 2
    y = (y - y.mean()) / y.std()
    y = y if targets == 1 else np.stack([y, -y], axis=1)
    X = X.astype(np.float32)
    settings = {"approximation": "nystrom", "kernel": "arccos", "alpha": 1e-3}
    model = RandomFeaturesRegressor(500, random_state=0, **settings).fit(X, y)
    Z = model.feature_map_.astype(np.float64).apply(X.astype(float))
    expected = Z @ model.coef_.T.astype(float) + model.intercept_
    for data_type in (np.float32, np.float64):
        found = model.predict(X.astype(data_type))
        assert_allclose(found, expected, 0, 1e-4)


def test_a_pass_costs_the_kernel_values_and_the_product_with_their_weights():
    """Half of the product where features are many; first ones need few landmarks."""
    X = data(d=50)
    drawn = draw_landmarks(X, M, "rbf", 0.1, 1, np.random.default_rng(0))
    assert drawn.flops(50) == 2 * 2 * 50 + 2 * M
    assert drawn.part(0, 3).flops(50) == 2 * 2 * 50 + 2 * 3
    assert drawn.part(M - 3, M).flops(50) == 2 * 2 * 50 * M / 3 + 2 * M
    X = data(5000, d=50)
    drawn = draw_landmarks(X, 5000, "rbf", 0.1, 1, np.random.default_rng(0))
    assert 5000 < drawn.flops(50) - 2 * 2 * 50 < 1.1 * 5000
    A = sparse.csr_array(X * (np.arange(50) % 5 == 0))
    sparser, denser = (FeatureRows(B, drawn).pass_cost for B in (A, X))
    assert sparser < denser
    drawn = draw_landmarks(X, M, "laplacian", 0.1, 1, np.random.default_rng(0))
    assert FeatureRows(A, drawn).pass_cost == FeatureRows(X, drawn).pass_cost


# ------------------------------------------------------------------ estimators


@pytest.mark.parametrize("generated", [False, True])
@pytest.mark.parametrize("storage", ["C", "csr_array"])
def test_all_rows_as_landmarks_are_kernel_ridge(storage, generated):
    X = data()
    y = np.sin(X @ np.arange(1.0, 6)) + X[:, 0]
    expected = KernelRidge(kernel="rbf", gamma=0.3, alpha=0.1).fit(X, y)
    settings = {"gamma": 0.3, "alpha": 0.1, "fit_intercept": False, "tol": 1e-12}
    if generated:
        settings["memory"] = 1e5 + working_bytes(X, N, "nystrom", 1)
    model = RandomFeaturesRegressor(N, approximation="nystrom", **settings)
    model.fit(store(X, storage), y)
    assert model.stored_ != generated
    fresh = data(seed=1)
    assert_allclose(model.predict(fresh), expected.predict(fresh), 0, 1e-3)


@pytest.mark.parametrize("generated", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_regressor_is_ridge_on_the_features(weighted, generated):
    X = data(1500)
    y = np.sin(X @ np.arange(1.0, 6)) + X[:, 0]
    s = np.random.default_rng(0).uniform(0.5, 2, len(y)) if weighted else None
    settings = {"approximation": "nystrom", "gamma": 0.3, "random_state": 0}
    least = working_bytes(X, M, "nystrom", 1) + 20 * M**2
    memory = least if generated else "auto"
    model = RandomFeaturesRegressor(M, tol=1e-12, memory=memory, **settings)
    model.fit(X, y, s)
    assert model.stored_ != generated
    Z = RandomFeatures(M, **settings).fit_transform(X.astype(np.float32)).astype(float)
    w, b = ridge_optimum(Z, y, 1.0, s)
    assert_allclose(model.predict(X), (Z @ w.T + b)[:, 0], 0, 1e-3)


@pytest.mark.parametrize("classes", [2, 3])
def test_classifier_stored_and_generated_agree(classes):
    X = data(1500)
    y = np.digitize(np.sin(X @ np.arange(1.0, 6)), [0.0, 0.5][: classes - 1])
    least = working_bytes(X, M, "nystrom", 3) + 20 * M**2
    settings = {"approximation": "nystrom", "gamma": 0.3, "random_state": 0}
    fits = [
        RandomFeaturesClassifier(M, tol=1e-9, memory=memory, **settings).fit(X, y)
        for memory in ("auto", least)
    ]
    assert [model.stored_ for model in fits] == [True, False]
    stored, generated = (model.predict_proba(X) for model in fits)
    assert_allclose(generated, stored, 0, 1e-3)


def test_a_warm_start_keeps_the_landmarks():
    X = data()
    model = RandomFeaturesRegressor(M, approximation="nystrom", warm_start=True)
    drawn = model.fit(X, X[:, 0]).feature_map_
    assert model.fit(X[:100], X[:100, 0]).feature_map_ is drawn
    model.set_params(approximation="random").fit(X, X[:, 0])
    assert model.feature_map_ is not drawn


def test_features_of_rows_come_closer_than_random_ones():
    """At equal m, where the spectrum of the kernel decays."""
    X = data()
    K = rbf_kernel(X, gamma=0.02)
    errors = [
        np.abs(Z @ Z.T - K).max()
        for Z in (
            model.fit_transform(X)
            for model in (
                nystrom(80, gamma=0.02),
                RandomFeatures(80, gamma=0.02, random_state=0),
            )
        )
    ]
    assert errors[0] < 0.1 * errors[1]
