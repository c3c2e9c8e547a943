"""The branches for CuPy, run on a stand-in that is as strict about the host as CuPy."""

import pickle

import _fake_cupy as fake
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from _reference import SQUARED_ERROR_ONLY
from promise_learn import (
    HuberRegressor,
    LogisticRegression,
    PoissonRegressor,
    Ridge,
    RidgeClassifier,
    SquaredHingeClassifier,
)
from promise_learn._arrays import as_numpy, current
from promise_learn.solvers import SOLVERS

SQUARED_ERROR = ("ridge", "targets", "ridge classes")
TASKS = (*SQUARED_ERROR, "binary", "multinomial", "hinge", "huber", "poisson")


@pytest.fixture(autouse=True)
def cupy(monkeypatch):
    if not fake.install(monkeypatch):
        pytest.skip("CuPy itself is installed: test_gpu.py")


def data(task, storage, n=80, p=8, dtype="float64"):
    """Mostly empty X on the device and on the host, y and weights on the host."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p)) * (rng.random((n, p)) < 0.3)
    scores = 2 * X @ rng.standard_normal((p, 3)) + rng.standard_normal((n, 3)) + 0.3
    X = X.astype(dtype)
    one, classes = scores[:, 0], scores.argmax(axis=1)
    y = {"ridge": one, "targets": scores, "binary": one > 0, "huber": one}
    y |= {"poisson": np.floor(np.exp(np.clip(one, -2, 2)))}
    y = y.get(task, classes)
    host = sparse.csr_matrix(X) if storage == "csr" else X
    with fake.Device():
        X = fake.csr_matrix(host) if storage == "csr" else fake.asarray(X)
    return X, host, y, rng.uniform(0.5, 2.0, n)


def estimator(task, **settings):
    settings = {"tol": 1e-9, "random_state": 0} | settings
    if task == "targets":
        return Ridge(alpha=[1.0, 1.0, 10.0], **settings)
    if task == "ridge":
        return Ridge(**settings)
    if task == "huber":
        return HuberRegressor(alpha=1.0, **settings)
    if task == "poisson":
        return PoissonRegressor(alpha=0.1, **settings)
    if task == "hinge":
        return SquaredHingeClassifier(class_weight="balanced", **settings)
    kind = RidgeClassifier if task == "ridge classes" else LogisticRegression
    return kind(class_weight="balanced", **settings)


def options(name):
    """Solver and tol with which a fit is short and the same in both places."""
    solver = SOLVERS[name]()
    if "batch_size" not in solver.get_params():
        return {"solver": solver}
    tol = 1e-2 if name == "sketchy-sgd" else 1e-4
    return {"solver": solver.set_params(batch_size=8), "tol": tol}


def applicable():
    for task in TASKS:
        for name in SOLVERS:
            if task in SQUARED_ERROR or name not in SQUARED_ERROR_ONLY:
                yield task, name


@pytest.mark.parametrize(("task", "name"), list(applicable()))
@pytest.mark.parametrize("storage", ["dense", "csr"])
def test_every_solver_matches_the_host(task, name, storage):
    X, host, y, weights = data(task, storage)
    expected = estimator(task, **options(name)).fit(host, y, weights)
    y, weights = fake.asarray(y), fake.asarray(weights)
    fitted = estimator(task, **options(name)).fit(X, y, weights)
    assert type(fitted.coef_) is fake.ndarray
    assert fitted.coef_.dtype == X.dtype
    atol = 1e-4 * np.abs(expected.coef_).max()
    assert_allclose(fitted.coef_.get(), expected.coef_, 0, atol)
    assert_allclose(as_numpy(fitted.intercept_), expected.intercept_, 0, atol)
    prediction = fitted.predict(X)
    assert type(prediction) is fake.ndarray
    assert_allclose(prediction.get(), expected.predict(host), atol=1e-2)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("storage", ["dense", "csr"])
@pytest.mark.parametrize("shape", [(80, 8), (20, 40)])
def test_float32_keeps_its_type(task, storage, shape):
    X, host, y, _ = data(task, storage, *shape, dtype="float32")
    fitted = estimator(task, tol=1e-5).fit(X, y)
    assert fitted.coef_.dtype == np.float32
    expected = estimator(task, tol=1e-5).fit(host, y).coef_
    assert_allclose(fitted.coef_.get(), expected, 0, 2e-2 * np.abs(expected).max())


@pytest.mark.parametrize("preconditioner", ["ssn", "sassn-c", "sassn-r", "diagonal"])
def test_sparse_preconditioners(preconditioner):
    X, host, y, _ = data("binary", "csr", 60, 100)
    settings = {"preconditioner": preconditioner, "solver": "newton-cg"}
    expected = estimator("binary", **settings).fit(host, y)
    fitted = estimator("binary", **settings).fit(X, y)
    assert_allclose(fitted.coef_.get(), expected.coef_, atol=1e-6)


def test_labels_that_are_words_stay_on_the_host():
    X, _, y, _ = data("binary", "dense")
    model = LogisticRegression().fit(X, np.where(y, "yes", "no"))
    assert_array_equal(model.classes_, ["no", "yes"])
    assert isinstance(model.predict(X), np.ndarray)
    assert type(model.predict_proba(X)) is fake.ndarray


@pytest.mark.parametrize("task", TASKS)
def test_score_is_a_number(task):
    X, host, y, weights = data(task, "dense")
    fitted = estimator(task).fit(X, fake.asarray(y))
    score = fitted.score(X, fake.asarray(y), fake.asarray(weights))
    expected = estimator(task).fit(host, y).score(host, y, weights)
    assert score == pytest.approx(expected)


def test_an_estimator_of_one_place_refuses_the_other():
    X, host, y, _ = data("ridge", "dense")
    with pytest.raises(ValueError, match=r"Ridge.predict\(\) must use the same"):
        Ridge().fit(X, y).predict(host)
    with pytest.raises(ValueError, match=r"Ridge.predict\(\) must use the same"):
        Ridge().fit(host, y).predict(X)


def test_duplicates_are_summed_in_a_copy():
    _, _, y, _ = data("ridge", "csr", 3)
    parts = (np.ones(4), np.array([0, 0, 1, 0]), np.array([0, 2, 3, 4]))
    with fake.Device():
        X = fake.csr_matrix(tuple(map(fake.asarray, parts)), shape=(3, 2))
    fitted = Ridge().fit(X, y)
    assert X.nnz == 4
    expected = Ridge().fit(np.array([[2.0, 0.0], [0.0, 1.0], [1.0, 0.0]]), y)
    assert_allclose(fitted.coef_.get(), expected.coef_)


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        ([[np.nan], [1.0]], [0.0, 1.0], "Input X contains NaN"),
        ([[1.0], [2.0]], [0.0, np.inf], "Input y contains NaN or infinity"),
        ([[1.0], [2.0]], [0.0], "inconsistent numbers of samples"),
        ([1.0, 2.0], [0.0, 1.0], "Expected 2D array, got 1D"),
        (np.zeros((0, 2)), [], "at least 1 is required"),
        ([[1j], [2.0]], [0.0, 1.0], "Complex data not supported"),
        ([[1.0], [2.0]], None, "requires y"),
    ],
)
def test_bad_data(X, y, message):
    with pytest.raises(ValueError, match=message):
        Ridge().fit(fake.asarray(X), y)


def test_integers_become_float64():
    X = np.arange(8).reshape(4, 2)
    assert Ridge().fit(fake.asarray(X), X[:, 0]).coef_.dtype == np.float64


def test_a_device_is_current_only_where_cupy_has_one():
    X = data("ridge", "csr")[0]
    assert isinstance(current(X), fake.Device)
    with current(np.ones(2)):
        assert fake.Device.current == 0


def test_pickle():
    X, _, y, _ = data("ridge", "dense")
    model = Ridge().fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.coef_.get(), model.coef_.get())
