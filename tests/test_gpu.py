"""On a CUDA device: the fit of NumPy, and nothing leaves the device."""

import pickle
import warnings

import numpy as np
import pytest
from _features import MAPS
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from _reference import SQUARED_ERROR_ONLY
from promise_learn import (
    HuberRegressor,
    LogisticRegression,
    PoissonRegressor,
    RandomFeatures,
    RandomFeaturesClassifier,
    RandomFeaturesRegressor,
    Ridge,
    RidgeClassifier,
    SquaredHingeClassifier,
)
from promise_learn.design import FeatureRows, features
from promise_learn.preconditioners import PRECONDITIONERS
from promise_learn.solvers import SOLVERS
from promise_learn.testing import check_preconditioner

SQUARED_ERROR = ("ridge", "targets", "ridge classes")
TASKS = (*SQUARED_ERROR, "binary", "multinomial", "hinge", "huber", "poisson")
SHAPES = {"n > p": (300, 12), "n < p": (40, 60)}


def missing():
    """Why these tests cannot run here; empty where they can."""
    try:
        with warnings.catch_warnings(action="ignore"):
            import cupy
    except ImportError:
        return "CuPy is not installed"
    return "" if cupy.cuda.is_available() else "CuPy finds no CUDA device"


pytestmark = pytest.mark.gpu
if missing():
    pytest.skip(missing(), allow_module_level=True)


def on_device(X):
    """Host array, or CSR matrix, as CuPy's."""
    import cupy
    from cupyx.scipy.sparse import csr_matrix

    return csr_matrix(X) if sparse.issparse(X) else cupy.asarray(X)


def data(task, storage, dtype="float64", shape="n > p"):
    """X of a third of its entries (with more of them the host makes CSR dense), y and
    weights, on the host; the columns have scales 1 to 0.1."""
    n, p = SHAPES[shape]
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p)) * np.geomspace(1, 0.1, p)
    X *= rng.random((n, p)) < 1 / 3
    scores = 2 * X @ rng.standard_normal((p, 3)) + rng.standard_normal((n, 3)) + 0.3
    one, classes = scores[:, 0], scores.argmax(axis=1)
    y = {"ridge": one, "targets": scores, "binary": one > 0, "huber": one}
    y |= {"poisson": np.floor(np.exp(np.clip(one, -2, 2)))}
    y = y.get(task, classes)
    X = X.astype(dtype)
    X = sparse.csr_matrix(X) if storage == "csr" else X
    return X, y, rng.uniform(0.5, 2.0, n)


def estimator(task, **settings):
    settings = {"tol": 1e-10, "random_state": 0} | settings
    if task == "targets":
        return Ridge(alpha=[1.0, 1.0, 10.0], **settings)
    if task == "ridge":
        return Ridge(alpha=2.0, **settings)
    if task == "huber":
        return HuberRegressor(alpha=2.0, **settings)
    if task == "poisson":
        return PoissonRegressor(alpha=0.1, **settings)
    if task == "hinge":
        return SquaredHingeClassifier(C=0.5, class_weight="balanced", **settings)
    if task == "ridge classes":
        return RidgeClassifier(alpha=2.0, class_weight="balanced", **settings)
    return LogisticRegression(C=0.5, class_weight="balanced", **settings)


def options(name, dtype):
    """Solver and tol with which a fit is short and the same on both devices."""
    solver, tol = SOLVERS[name](), 1e-10 if dtype == "float64" else 1e-5
    if "batch_size" in solver.get_params():
        solver.set_params(batch_size=16)
        if name != "progressive-lbfgs":  # whose batches grow to all rows
            tol = 1e-2 if name == "sketchy-sgd" else 1e-4
    return {"solver": solver, "tol": tol}


def applicable():
    for task in TASKS:
        for name in SOLVERS:
            if task in SQUARED_ERROR or name not in SQUARED_ERROR_ONLY:
                yield task, name


def assert_on_device(x, dtype):
    import cupy

    assert isinstance(x, cupy.ndarray), type(x)
    assert x.dtype == dtype


@pytest.mark.parametrize(("task", "name"), list(applicable()))
@pytest.mark.parametrize("storage", ["dense", "csr"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_every_solver_matches_the_host(task, name, storage, dtype):
    X, y, weights = data(task, storage, dtype)
    expected = estimator(task, **options(name, dtype)).fit(X, y, weights)
    X_on, y_on, weights_on = map(on_device, (X, y, weights))
    fitted = estimator(task, **options(name, dtype)).fit(X_on, y_on, weights_on)
    assert_on_device(fitted.coef_, dtype)
    assert_on_device(fitted.intercept_, dtype)
    assert fitted.solver_ == name
    # sums of sparse products differ from run to run on a GPU; errors of coefficients
    # are roots of tol
    scale = np.abs(expected.coef_).max()
    rtol = 1e-4 if dtype == "float64" else 2e-2
    assert_allclose(fitted.coef_.get(), expected.coef_, 0, rtol * scale)
    prediction = fitted.predict(X_on)
    assert_on_device(prediction, expected.predict(X).dtype)
    assert fitted.score(X_on, y_on) == pytest.approx(expected.score(X, y), abs=0.02)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("storage", ["dense", "csr"])
@pytest.mark.parametrize("intercept", [True, False])
def test_fewer_rows_than_columns(task, storage, intercept):
    X, y, _ = data(task, storage, shape="n < p")
    expected = estimator(task, fit_intercept=intercept).fit(X, y)
    fitted = estimator(task, fit_intercept=intercept).fit(on_device(X), on_device(y))
    scale = np.abs(expected.coef_).max()
    assert_allclose(fitted.coef_.get(), expected.coef_, 0, 1e-4 * scale)


@pytest.mark.parametrize("storage", ["dense", "csr"])
@pytest.mark.parametrize("preconditioner", [*PRECONDITIONERS, None])
def test_every_preconditioner(preconditioner, storage):
    X, y, _ = data("binary", storage)
    settings = {"preconditioner": preconditioner, "solver": "newton-cg"}
    expected = estimator("binary", **settings).fit(X, y)
    fitted = estimator("binary", **settings).fit(on_device(X), on_device(y))
    assert_allclose(fitted.coef_.get(), expected.coef_, atol=1e-4)


@pytest.mark.parametrize("name", list(PRECONDITIONERS))
def test_contract_of_preconditioners(name):
    import cupy

    check_preconditioner(name, xp=cupy)


def test_probabilities_and_labels():
    X, y, _ = data("multinomial", "csr")
    names = np.array(["a", "b", "c"])[y]
    X_on = on_device(X)
    fitted = estimator("multinomial").fit(X_on, names)
    probabilities = fitted.predict_proba(X_on)
    assert_on_device(probabilities, "float64")
    expected = estimator("multinomial").fit(X, names)
    assert_allclose(probabilities.get(), expected.predict_proba(X), atol=1e-4)
    assert isinstance(fitted.predict(X_on), np.ndarray)


@pytest.mark.parametrize("storage", ["dense", "csr"])
def test_pickle_and_warm_start(storage):
    X, y, _ = data("binary", storage)
    X, y = on_device(X), on_device(y)
    model = estimator("binary", tol=1e-6, warm_start=True).fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.predict(X).get(), model.predict(X).get())
    assert int(again.fit(X, y).n_iter_[0]) <= 2


def test_an_estimator_of_one_place_refuses_the_other():
    X, y, _ = data("ridge", "dense")
    with pytest.raises(ValueError, match=r"Ridge.predict\(\) must use the same"):
        Ridge().fit(on_device(X), y).predict(X)
    with pytest.raises(ValueError, match=r"Ridge.predict\(\) must use the same"):
        Ridge().fit(X, y).predict(on_device(X))


@pytest.mark.parametrize("storage", ["dense", "csr"])
def test_values_that_are_not_finite_are_refused(storage):
    X, y, _ = data("ridge", storage)
    row, column = (numbers[0] for numbers in X.nonzero())
    X[row, column] = np.inf
    with pytest.raises(ValueError, match="Input X contains NaN or infinity"):
        Ridge().fit(on_device(X), y)


@pytest.mark.parametrize("storage", ["dense", "csr"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("settings", MAPS, ids=str)
def test_random_features(settings, dtype, storage):
    X, _, _ = data("ridge", storage, dtype)
    model = RandomFeatures(40, random_state=0, **settings)
    expected = model.fit_transform(X)
    features_on = model.fit_transform(on_device(X))
    assert_on_device(features_on, dtype)
    atol = 1e-10 if dtype == "float64" else 1e-4
    if dtype == "float64" and settings.get("degree") == 0:
        atol = 1e-6  # the angle of a row to itself is the root of a rounding error
    assert_allclose(features_on.get(), expected, 0, atol)


@pytest.mark.parametrize("task", ["ridge", "targets", "binary", "multinomial"])
@pytest.mark.parametrize("storage", ["dense", "csr"])
@pytest.mark.parametrize("generated", [False, True])
def test_estimators_on_random_features(task, storage, generated, monkeypatch):
    monkeypatch.setattr(features, "LARGEST_BLOCK", 64)
    if generated:
        monkeypatch.setattr(FeatureRows, "nbytes", 1e15)
    X, y, weights = data(task, storage)
    classifies = task in ("binary", "multinomial")
    make = RandomFeaturesClassifier if classifies else RandomFeaturesRegressor
    # features are float32, whose rounding is about 1e-8 of the objective
    model = make(60, gamma=0.2, tol=1e-7, random_state=0, memory=1e9)
    verb = "predict_proba" if classifies else "predict"
    expected = getattr(model.fit(X, y, weights), verb)(X)
    X_on = on_device(X)
    fitted = model.fit(X_on, on_device(y), on_device(weights))
    found = getattr(fitted, verb)(X_on)
    assert_on_device(found, expected.dtype)
    assert_allclose(found.get(), expected, 0, 1e-3)
