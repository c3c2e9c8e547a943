"""A fit of strict arrays is the fit of NumPy arrays, and stays where X lives."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from _strict import (
    AT_ROUNDING,
    DEVICE,
    HOST,
    SQUARED_ERROR_ONLY,
    as_numpy,
    assert_like,
    on,
    options,
)
from promise_learn import (
    HuberRegressor,
    LogisticRegression,
    PoissonRegressor,
    Ridge,
    RidgeClassifier,
    SquaredHingeClassifier,
)
from promise_learn.preconditioners import PRECONDITIONERS
from promise_learn.solvers import SOLVERS

OTHER_LOSSES = ("binary", "multinomial", "hinge", "huber", "poisson")
TASKS = ("ridge", "targets", "ridge classes", *OTHER_LOSSES)
SHAPES = {"n > p": (120, 8), "n < p": (25, 40)}


@pytest.fixture(autouse=True)
def dispatch():
    with config_context(array_api_dispatch=True):
        yield


def data(task, shape, dtype="float64"):
    """X with columns of scales 1 to 0.1 and a mean, y, and weights."""
    n, p = SHAPES[shape]
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p)) * np.geomspace(1, 0.1, p) + 0.3
    scores = 2 * X @ rng.standard_normal((p, 3)) + rng.standard_normal((n, 3))
    y = {
        "ridge": scores[:, 0],
        "targets": scores,
        "ridge classes": scores.argmax(axis=1),
        "binary": np.where(scores[:, 0] > 0, 7, 3),
        "multinomial": scores.argmax(axis=1),
        "hinge": scores.argmax(axis=1),
        "huber": np.where(scores[:, 1] > 1, 10 * scores[:, 0], scores[:, 0]),
        "poisson": np.floor(np.exp(scores[:, 0] / 3)),
    }[task]
    return X.astype(dtype), y, rng.uniform(0.5, 2.0, n)


def estimator(task, **settings):
    """Estimator of a task; the penalty is that of a well-posed problem."""
    settings = {"tol": 1e-9, "random_state": 0} | settings
    if task == "targets":
        return Ridge(alpha=[1.0, 1.0, 10.0], **settings)
    if task == "ridge":
        return Ridge(alpha=2.0, **settings)
    if task == "ridge classes":
        return RidgeClassifier(alpha=2.0, class_weight="balanced", **settings)
    if task == "hinge":
        return SquaredHingeClassifier(C=0.5, class_weight="balanced", **settings)
    if task == "huber":
        return HuberRegressor(alpha=2.0, **settings)
    if task == "poisson":
        return PoissonRegressor(alpha=1.0, **settings)
    return LogisticRegression(C=0.5, class_weight="balanced", **settings)


def applicable():
    for task in TASKS:
        for name in SOLVERS:
            if task in OTHER_LOSSES and name in SQUARED_ERROR_ONLY:
                continue
            yield task, name


@pytest.mark.parametrize(("task", "name"), list(applicable()))
@pytest.mark.parametrize("shape", SHAPES)
def test_every_solver_takes_the_same_steps_as_on_numpy(task, name, shape):
    X, y, weights = data(task, shape)
    expected = estimator(task, **options(name)).fit(X, y, weights)
    X_on, y_on, weights_on = on(DEVICE, X, y, weights)
    fitted = estimator(task, **options(name)).fit(X_on, y_on, weights_on)
    assert_like(fitted.coef_, X_on)
    assert_like(fitted.intercept_, X_on)
    assert fitted.coef_.dtype == X_on.dtype
    assert fitted.solver_ == expected.solver_ == name
    # same random numbers, sums in another order: the paths part by rounding only, which
    # hundreds of steps, and most of all L-BFGS, amplify
    atol = (1e-4 if name == "lbfgs" else 1e-5) * np.abs(expected.coef_).max()
    steady = name not in AT_ROUNDING
    if steady and task != "huber":  # a row at a jump may take either side
        assert_array_equal(as_numpy(fitted.n_iter_), as_numpy(expected.n_iter_))
    assert_allclose(as_numpy(fitted.coef_), expected.coef_, 0, atol)
    assert_allclose(as_numpy(fitted.intercept_), expected.intercept_, 0, 10 * atol)
    prediction = fitted.predict(X_on)
    assert_like(prediction, X_on)
    assert_allclose(as_numpy(prediction), expected.predict(X), atol=1e-2)
    assert isinstance(fitted.score(X_on, y_on), float)


@pytest.mark.parametrize(("task", "name"), list(applicable()))
def test_float32_stays_float32(task, name):
    X, y, weights = data(task, "n > p", "float32")
    settings = options(name)
    settings["tol"] = max(settings["tol"], 1e-5)
    expected = estimator(task, **settings).fit(X, y, weights)
    X_on, y_on, weights_on = on(DEVICE, X, y, weights)
    fitted = estimator(task, **settings).fit(X_on, y_on, weights_on)
    assert fitted.coef_.dtype == fitted.intercept_.dtype == X_on.dtype
    # a relative gap of 1e-5 in the objective is the square of one in the coefficients
    scale = np.abs(expected.coef_).max()
    assert_allclose(as_numpy(fitted.coef_), expected.coef_, 0, 2e-2 * scale)


@pytest.mark.parametrize("preconditioner", [*PRECONDITIONERS, None])
@pytest.mark.parametrize("task", ["targets", "binary"])
def test_every_preconditioner(task, preconditioner):
    X, y, _ = data(task, "n > p")
    settings = {"preconditioner": preconditioner, "solver": "newton-cg"}
    expected = estimator(task, **settings).fit(X, y)
    fitted = estimator(task, **settings).fit(*on(DEVICE, X, y))
    atol = 1e-6 * np.abs(expected.coef_).max()
    assert_allclose(as_numpy(fitted.coef_), expected.coef_, 0, atol)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("intercept", [True, False])
def test_without_weights(task, intercept):
    X, y, _ = data(task, "n > p")
    expected = estimator(task, fit_intercept=intercept).fit(X, y)
    fitted = estimator(task, fit_intercept=intercept).fit(*on(HOST, X, y))
    assert_allclose(as_numpy(fitted.coef_), expected.coef_, rtol=1e-6)
    assert_allclose(as_numpy(fitted.intercept_), expected.intercept_, rtol=1e-6)


@pytest.mark.parametrize("task", TASKS)
def test_everything_follows_X(task):
    """Targets and weights may live anywhere."""
    X, y, weights = data(task, "n > p")
    expected = estimator(task).fit(X, y, weights)
    X_on, y_on = on(DEVICE, X, y)
    weights_on = on(HOST, weights)
    for X_, y_, weights_ in [
        (X_on, y, weights_on),
        (X_on, on(HOST, y), weights),
        (X, y_on, weights_on),
        (X, y, on(DEVICE, weights)),
    ]:
        fitted = estimator(task).fit(X_, y_, weights_)
        assert type(fitted.coef_) is type(X_)
        assert type(fitted.predict(X_)) is type(X_)
        assert_allclose(as_numpy(fitted.coef_), expected.coef_, rtol=1e-6)


@pytest.mark.parametrize("task", ["binary", "multinomial", "ridge classes"])
def test_classes_live_where_y_does(task):
    X, y, _ = data(task, "n > p")
    X_on, y_on = on(DEVICE, X, y)
    fitted = estimator(task).fit(X_on, y_on)
    assert_like(fitted.classes_, y_on)
    assert fitted.classes_.dtype == y_on.dtype
    assert fitted.predict(X_on).dtype == y_on.dtype
    names = np.array(["a", "b", "c", "d", "e", "f", "g", "h"])[y]
    fitted = estimator(task).fit(X_on, names)
    assert isinstance(fitted.classes_, np.ndarray)
    labels = fitted.predict(X_on)
    assert isinstance(labels, np.ndarray)
    assert set(labels) <= set(names)


@pytest.mark.parametrize("task", ["binary", "multinomial"])
def test_probabilities(task):
    X, y, _ = data(task, "n > p")
    X_on, y_on = on(DEVICE, X, y)
    expected, fitted = estimator(task).fit(X, y), estimator(task).fit(X_on, y_on)
    for method in ("predict_proba", "predict_log_proba", "decision_function"):
        values = getattr(fitted, method)(X_on)
        assert_like(values, X_on)
        # coefficients agree to 1e-6, their sum over a row a little less
        assert_allclose(as_numpy(values), getattr(expected, method)(X), atol=1e-5)


@pytest.mark.parametrize("task", TASKS)
def test_warm_start_continues_on_the_device(task):
    X_on, y_on = on(DEVICE, *data(task, "n > p")[:2])
    model = estimator(task, warm_start=True).fit(X_on, y_on)
    first = as_numpy(model.coef_)
    model.fit(X_on, y_on)
    assert int(as_numpy(model.n_iter_).max()) <= 2
    assert_like(model.coef_, X_on)
    assert_allclose(as_numpy(model.coef_), first, rtol=1e-4)


@pytest.mark.parametrize("task", TASKS)
def test_coefficients_of_another_namespace_are_refused(task):
    X, y, _ = data(task, "n > p")
    X_on, y_on = on(DEVICE, X, y)
    for fit_X, fit_y, other in [
        (X_on, y_on, X),
        (X_on, y_on, on(HOST, X)),
        (X, y, X_on),
    ]:
        model = estimator(task).fit(fit_X, fit_y)
        with pytest.raises(ValueError, match=r"predict\(\) must use the same"):
            model.predict(other)


@pytest.mark.filterwarnings("ignore:invalid value encountered in divide")  # the scaler
def test_pipeline_and_cross_validation():
    X, y, _ = data("binary", "n > p")
    X_on, y_on = on(HOST, X, y)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X_on, y_on)
    assert_like(model[-1].coef_, X_on)
    scores = cross_val_score(clone(model), X_on, y_on, cv=3)
    assert_allclose(scores, cross_val_score(clone(model), X, y, cv=3))


def test_without_dispatch_strict_arrays_are_read_as_numpy():
    X, y, weights = data("ridge", "n > p")
    with config_context(array_api_dispatch=False):
        fitted = Ridge().fit(*on(HOST, X, y, weights))
        assert isinstance(fitted.predict(on(HOST, X)), np.ndarray)
    assert_allclose(fitted.coef_, Ridge().fit(X, y, weights).coef_)


@pytest.mark.parametrize(
    ("X", "y", "weights", "message"),
    [
        ([[np.nan], [1.0]], [0.0, 1.0], None, "Input X contains NaN"),
        ([[1.0], [2.0]], [0.0, np.inf], None, "Input y contains infinity"),
        ([[1.0], [2.0]], [0.0], None, "inconsistent numbers of samples"),
        ([[1.0], [2.0]], [0.0, 1.0], [1.0, -1.0], "Negative values"),
        ([[1.0], [2.0]], [0.0, 1.0], [0.0, 0.0], "zero"),
        ([[1.0], [2.0]], [0.0, 1.0], [1.0, 1.0, 1.0], "sample_weight.shape"),
    ],
)
def test_bad_data(X, y, weights, message):
    arrays = [a if a is None else np.asarray(a) for a in (X, y, weights)]
    with pytest.raises(ValueError, match=message):
        Ridge().fit(*on(DEVICE, *arrays))
