"""Regression and classification on random features, stored or generated."""

import numpy as np
import pytest
from _cases import SPARSE, store
from _features import BATCH, MAP, SINGLE, M, N, data, features_of, room
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from _reference import SQUARED_ERROR_ONLY, LogisticProblem, ridge_optimum
from promise_learn import (
    LogisticRegression,
    RandomFeatures,
    RandomFeaturesClassifier,
    RandomFeaturesRegressor,
    Ridge,
    RidgeClassifier,
)
from promise_learn.design.memory import working_bytes
from promise_learn.random_features import _shared

# ------------------------------------------------------------------ regression


@pytest.mark.parametrize("memory", ["auto", "generated"])
@pytest.mark.parametrize("storage", ["C", "csr_array"])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("alpha", [0.5, [0.1, 1.0, 10.0]], ids=["one", "each"])
def test_regressor_is_ridge_on_the_features(
    alpha, intercept, weighted, storage, memory
):
    X, Y, s = data()
    s = s if weighted else None
    y = Y if np.ndim(alpha) else Y[:, 0]
    # blocks of columns are multiplied in float32, which leaves a gap of 1e-11 or so
    tol = 1e-10 if np.ndim(alpha) else 1e-12
    options = {"alpha": alpha, "fit_intercept": intercept, "tol": tol}
    size = memory if memory == "auto" else room(X, columns=3)
    model = RandomFeaturesRegressor(**MAP, memory=size, **options)
    model.fit(store(X, storage), y, s)
    assert model.stored_ == (memory == "auto")
    reference = make_pipeline(RandomFeatures(**MAP), Ridge(**options))
    reference.fit(X, y, ridge__sample_weight=s)
    assert model.coef_.shape == reference[-1].coef_.shape
    assert np.shape(model.intercept_) == np.shape(reference[-1].intercept_)
    # a gap of 1e-10 is 1e-5 of the targets, and a few of it in the worst row
    atol = 1e-4 if np.ndim(alpha) else SINGLE
    assert_allclose(model.predict(store(X, storage)), reference.predict(X), 0, atol)
    W, b = ridge_optimum(features_of(X), y, alpha, s, intercept)
    expected = features_of(X) @ W.T + b
    assert_allclose(model.predict(X).reshape(N, -1), expected, 0, atol)


@pytest.mark.parametrize("name", BATCH)
@pytest.mark.parametrize("generated", [False, True])
def test_every_batch_solver(name, generated):
    X, Y, s = data()
    memory = room(X) if generated else "auto"
    tol = 1e-6 if name == "osgm" else 1e-10  # a first-order method
    model = RandomFeaturesRegressor(**MAP, solver=name, tol=tol, memory=memory)
    model.fit(X, Y[:, 0], s)
    assert model.stored_ != generated
    W, b = ridge_optimum(features_of(X), Y[:, 0], 1.0, s)
    # a gap is the square of one in the predictions, of which the worst row has a few
    expected = (features_of(X) @ W.T + b)[:, 0]
    assert_allclose(model.predict(X), expected, 0, 20 * tol**0.5)


@pytest.mark.parametrize("make", [RandomFeaturesRegressor, RandomFeaturesClassifier])
@pytest.mark.parametrize("generated", [False, True])
def test_fewer_rows_than_features(make, generated):
    X, Y, _ = data(60)
    y = Y[:, 0] if make is RandomFeaturesRegressor else Y[:, 0] > 0
    memory = working_bytes(X, 500, "orthogonal", 1) + 1e5
    settings = MAP | {"n_components": 500, "tol": 1e-12}
    model = make(**settings, memory=memory if generated else "auto").fit(X, y)
    assert model.stored_ != generated
    Z = features_of(X, n_components=500)
    if make is RandomFeaturesRegressor:
        W, b = ridge_optimum(Z, y)
        assert_allclose(model.predict(X), (Z @ W.T + b)[:, 0], 0, SINGLE)
    else:
        problem = LogisticProblem(Z, y.astype(int))
        value = problem.value(model.coef_, model.intercept_)
        assert value <= problem.optimum()[1] * (1 + 1e-8)


@pytest.mark.parametrize("few", [True, False])
@pytest.mark.parametrize("dtype", ["float64", "float32", "int64"])
def test_types_of_coefficients_and_predictions(dtype, few, monkeypatch):
    if not few:
        monkeypatch.setattr(_shared, "EXACT", 99 * MAP["n_components"])
    X, Y, _ = data(100)
    X = np.round(3 * X).astype(dtype)
    expected = "float32" if dtype == "float32" else "float64"
    model = RandomFeaturesRegressor(**MAP).fit(X, Y[:, 0])
    assert model.coef_.dtype == model.predict(X).dtype == expected
    assert model.feature_map_.dtype == (expected if few else "float32")
    model = RandomFeaturesClassifier(**MAP).fit(X, Y[:, 0] > 0)
    assert model.coef_.dtype == model.predict_proba(X).dtype == expected


def test_a_warm_start_on_more_rows_has_single_precision(monkeypatch):
    monkeypatch.setattr(_shared, "EXACT", 100 * MAP["n_components"])
    X, Y, _ = data(101)
    model = RandomFeaturesRegressor(**MAP, warm_start=True).fit(X[:100], Y[:100, 0])
    weights = model.feature_map_.weights
    model.fit(X, Y[:, 0])
    assert model.feature_map_.dtype == np.float32
    assert_array_equal(model.feature_map_.weights, weights.astype(np.float32))


# ------------------------------------------------------------------ classification


@pytest.mark.parametrize("generated", [False, True])
@pytest.mark.parametrize("balanced", [None, "balanced"])
@pytest.mark.parametrize("classes", [2, 3])
def test_log_loss(classes, balanced, generated):
    X, Y, s = data()
    codes = Y.argmax(axis=1) if classes == 3 else (Y[:, 0] > 0.3).astype(int)
    labels = np.array(["b", "d", "g"])[codes]
    memory = room(X, columns=3) if generated else "auto"
    settings = MAP | {"C": 2.0, "class_weight": balanced, "memory": memory}
    # three columns are multiplied in float32, which leaves a gap of 1e-8 or so
    tol = 1e-9 if classes == 2 else 1e-7
    model = RandomFeaturesClassifier(**settings, tol=tol).fit(X, labels, s)
    assert model.stored_ != generated
    assert_array_equal(model.classes_, np.unique(labels))
    if balanced:
        totals = np.bincount(codes, s)
        s = s * (s.sum() / (classes * totals))[codes]
    Z = features_of(X)
    problem = LogisticProblem(Z, codes, 2.0, s)
    W, best = problem.optimum()
    assert problem.value(model.coef_, model.intercept_) <= best * (1 + 10 * tol)
    P = problem.loss(W)[1]
    P = np.column_stack([1 - P, P]) if classes == 2 else P
    # a relative gap is the square of one in the probabilities
    assert_allclose(model.predict_proba(X), P, 0, 10 * tol**0.5)
    assert_allclose(np.exp(model.predict_log_proba(X)), model.predict_proba(X))
    assert_array_equal(
        model.predict(X), model.classes_[model.predict_proba(X).argmax(1)]
    )
    scores = model.decision_function(X)
    assert scores.shape == ((N,) if classes == 2 else (N, 3))


@pytest.mark.parametrize("generated", [False, True])
@pytest.mark.parametrize("classes", [2, 3])
def test_squared_error_is_the_ridge_classifier(classes, generated):
    X, Y, s = data()
    y = np.array(["x", "y", "z"])[Y.argmax(axis=1) % classes]
    memory = room(X, columns=3) if generated else "auto"
    model = RandomFeaturesClassifier(
        **MAP, loss="squared_error", C=4.0, memory=memory, class_weight="balanced"
    ).fit(X, y, s)
    reference = make_pipeline(
        RandomFeatures(**MAP), RidgeClassifier(alpha=0.25, class_weight="balanced")
    ).fit(X, y, ridgeclassifier__sample_weight=s)
    scores = reference.decision_function(X)
    # both stop at a gap of 1e-6, or a thousandth in the scores
    assert_allclose(model.decision_function(X), scores, 0, 5e-3)
    assert model.coef_.shape == (1 if classes == 2 else 3, M)
    assert np.mean(model.predict(X) == reference.predict(X)) > 0.99
    assert not hasattr(model, "predict_proba")
    assert not hasattr(model, "predict_log_proba")
    with pytest.raises(AttributeError, match="predict_proba"):
        model.predict_proba(X)


def test_binary_log_loss_matches_a_pipeline_where_X_is_sparse():
    X, Y, _ = data()
    y, X = Y[:, 0] > 0, sparse.csr_array(X)
    model = RandomFeaturesClassifier(**MAP, tol=1e-12).fit(X, y)
    pipe = make_pipeline(RandomFeatures(**MAP), LogisticRegression(tol=1e-12)).fit(X, y)
    assert_allclose(model.predict_proba(X), pipe.predict_proba(X), 0, SINGLE)


# ------------------------------------------------------------------ storages of X


@pytest.mark.parametrize("generated", [False, True])
@pytest.mark.parametrize(
    "storage",
    ["F", "strided", "read-only", "memory-mapped", *SPARSE, "csr memory-mapped"],
)
def test_coefficients_on_every_storage(storage, generated, tmp_path):
    X, Y, _ = data()
    memory = room(X) if generated else "auto"
    settings = MAP | {"memory": memory, "tol": 1e-12}
    expected = RandomFeaturesRegressor(**settings).fit(X, Y[:, 0])
    if storage == "csr memory-mapped":
        A, parts = sparse.csr_array(X), []
        for name in ("data", "indices", "indptr"):
            np.save(tmp_path / name, getattr(A, name))
            parts.append(np.load(tmp_path / f"{name}.npy", mmap_mode="r"))
        stored = sparse.csr_array(tuple(parts), shape=X.shape)
    else:
        stored = store(X, storage, tmp_path)
    model = RandomFeaturesRegressor(**settings).fit(stored, Y[:, 0])
    assert model.stored_ != generated
    # sums of a projection in another order, in float32
    atol = 1e-4 * np.abs(expected.coef_).max()
    assert_allclose(model.coef_, expected.coef_, 0, atol)
    if storage in ("read-only", "memory-mapped"):
        assert_array_equal(model.coef_, expected.coef_)
    assert_allclose(model.predict(stored), expected.predict(X), 0, SINGLE)


# ------------------------------------------------------------------ warm start


@pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
def test_warm_start_keeps_the_features_and_has_converged(loss):
    X, Y, _ = data()
    settings = MAP | {"gamma": "scale", "random_state": None, "warm_start": True}
    model = RandomFeaturesClassifier(**settings, loss=loss, solver="newton-cg")
    model.fit(X, Y[:, 0] > 0)
    drawn, coef, gamma = model.feature_map_, model.coef_.copy(), model.gamma_
    model.fit(1.01 * X, Y[:, 0] > 0)
    assert model.feature_map_ is drawn
    assert model.gamma_ == gamma
    model.fit(X, Y[:, 0] > 0).fit(X, Y[:, 0] > 0)
    assert np.max(model.n_iter_) == 1
    assert_allclose(model.coef_, coef, 0, 1e-2 * np.abs(coef).max())
    model.set_params(gamma=0.3).fit(X, Y[:, 0] > 0)
    assert model.feature_map_ is not drawn
    drawn = model.feature_map_
    model.set_params(warm_start=False).fit(X, Y[:, 0] > 0)
    assert model.feature_map_ is not drawn


@pytest.mark.parametrize("generated", [False, True])
def test_history(generated):
    X, Y, _ = data()
    memory = room(X) if generated else "auto"
    model = RandomFeaturesRegressor(**MAP, alpha=0.5, solver="pcg", memory=memory)
    model.fit(X, Y[:, 0])
    history = model.history_
    assert {"passes", "seconds", "objective", "gap"} <= set(history)
    assert (np.diff(history["passes"]) >= 0).all()
    residual = Y[:, 0] - model.predict(X)
    value = (residual @ residual + 0.5 * model.coef_ @ model.coef_) / (2 * N)
    assert history["objective"][-1] == pytest.approx(value, rel=1e-5)
    assert history["gap"][-1] <= 1e-6
    assert model.solver_ == "pcg"
    assert model.n_iter_ >= 1


# ------------------------------------------------------------------ searches


def test_pipeline_and_grid_search():
    X = 10 * data(600)[0] + 3
    y = np.sum((X[:, :2] / 10) ** 2, axis=1)  # nothing that is linear
    pipe = make_pipeline(StandardScaler(), RandomFeaturesRegressor(80, random_state=0))
    grid = {
        "randomfeaturesregressor__gamma": [1e-6, 0.1],
        "randomfeaturesregressor__alpha": [0.1, 1e6],
    }
    search = GridSearchCV(pipe, grid, cv=3).fit(X, y)
    assert list(search.best_params_.values()) == [0.1, 0.1]
    assert search.best_score_ > 0.8
    assert search.score(X, y) > 0.8


# ------------------------------------------------------------------ wrong parameters


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gamma": -1}, "'gamma' parameter of {} must be a float in the range"),
        ({"n_components": 0}, "'n_components' parameter of {} must be an int"),
        ({"kernel": "poly"}, "'kernel' parameter of {} must be a str among"),
        ({"degree": 2}, "'degree' parameter of {} must be an int in the range"),
        ({"projection": "x"}, "'projection' parameter of {} must be a str"),
        ({"kernel": "arccos", "gamma": 0.5}, "kernel='arccos' has no gamma"),
        ({"kernel": "laplacian", "projection": "sorf"}, "projection='gaussian' only"),
        ({"approximation": "x"}, "'approximation' parameter of {} must be a str among"),
        ({"approximation": "nystrom", "scale": "paper"}, "takes scale='kernel' only"),
        ({"approximation": "nystrom", "n_components": 51}, "lower n_components or use"),
        ({"memory": -1}, "'memory' parameter of {} must be a float in the range"),
        ({"memory": 0}, "'memory' parameter"),
        ({"memory": "all"}, "'memory' parameter"),
        ({"cache": 3}, "'cache' parameter of {} must be an instance of 'str'"),
        ({"C": 0}, "'C' parameter of RandomFeaturesClassifier"),
        ({"loss": "hinge"}, "'loss' parameter of {} must be a str"),
        ({"class_weight": "even"}, "'class_weight' parameter"),
        ({"alpha": -1.0}, "'alpha' parameter of RandomFeaturesRegressor"),
        ({"alpha": [1.0, -1.0, 1.0]}, "alpha must be finite and not negative"),
        ({"alpha": [1.0, 1.0]}, "Number of targets and number of penalties"),
        ({"tol": 0}, "'tol' parameter"),
        ({"solver": "sgd"}, "'solver' parameter"),
    ],
)
def test_wrong_parameters(settings, message):
    X, Y, _ = data(50)
    for make in (RandomFeaturesRegressor, RandomFeaturesClassifier):
        if not set(settings) <= set(make().get_params()):
            continue
        model = make(**{"n_components": 5} | settings)
        y = Y if make is RandomFeaturesRegressor else Y[:, 0] > 0
        with pytest.raises(ValueError, match=message.replace("{}", make.__name__)):
            model.fit(X, y)
        assert not hasattr(model, "coef_")


@pytest.mark.parametrize("name", sorted(SQUARED_ERROR_ONLY))
def test_squared_error_solvers_refuse_the_log_loss(name):
    X, Y, _ = data(50)
    with pytest.raises(ValueError, match="solves squared-error"):
        RandomFeaturesClassifier(5, solver=name).fit(X, Y[:, 0] > 0)
    model = RandomFeaturesClassifier(
        5, solver=name, loss="squared_error", random_state=0
    )
    assert model.fit(X, Y[:, 0] > 0).score(X, Y[:, 0] > 0) > 0.5
