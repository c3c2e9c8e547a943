"""Random features of strict arrays are those of NumPy, and stay where X lives."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn import config_context

from _strict import DEVICE, HOST, as_numpy, assert_like, on
from promise_learn import (
    RandomFeatures,
    RandomFeaturesClassifier,
    RandomFeaturesRegressor,
)
from promise_learn.design import FeatureRows, features

MAPS = [
    {"gamma": "scale"},
    {"gamma": 0.2, "projection": "orthogonal"},
    {"gamma": 0.2, "projection": "sorf"},
    {"kernel": "laplacian"},
    {"kernel": "arccos"},
    {"approximation": "nystrom", "gamma": 2.0},
    {"approximation": "nystrom", "kernel": "laplacian"},
    {"approximation": "nystrom", "kernel": "arccos"},
    {"approximation": "nystrom", "kernel": "arccos", "degree": 0},
]


@pytest.fixture(autouse=True)
def dispatch():
    with config_context(array_api_dispatch=True):
        yield


@pytest.fixture(params=["stored", "generated"])
def generated(request, monkeypatch):
    """Whether features are generated, in several blocks."""
    monkeypatch.setattr(features, "LARGEST_BLOCK", 32)
    if request.param == "generated":
        monkeypatch.setattr(FeatureRows, "nbytes", 1e15)
    return request.param == "generated"


def data(n=120):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 5))
    scores = np.sin(X @ rng.standard_normal((5, 3))) + 0.3 * rng.standard_normal((n, 3))
    return X, scores, rng.uniform(0.5, 2.0, n)


@pytest.mark.parametrize("device", [HOST, DEVICE], ids=str)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("settings", MAPS, ids=str)
def test_features(settings, dtype, device):
    X = data()[0].astype(dtype)
    model = RandomFeatures(40, random_state=0, **settings)
    expected = model.fit_transform(X)
    X_on = on(device, X)
    Z = model.fit(X_on).transform(X_on)
    assert_like(Z, X_on)
    assert Z.dtype == X_on.dtype
    assert_allclose(as_numpy(Z), expected, 0, 1e-12 if dtype == "float64" else 1e-5)
    with pytest.raises(ValueError, match=r"transform\(\) must use the same"):
        model.transform(X)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("task", ["one", "targets"])
def test_regression(task, intercept, generated):
    X, Y, s = data()
    y = Y if task == "targets" else Y[:, 0]
    options = {"fit_intercept": intercept, "tol": 1e-8, "random_state": 0}
    model = RandomFeaturesRegressor(40, gamma=0.2, memory=1e9, **options)
    expected = model.fit(X, y, s).predict(X)
    X_on, y_on, s_on = on(DEVICE, X, y, s)
    fitted = model.fit(X_on, y_on, s_on)
    assert fitted.stored_ != generated
    assert_like(fitted.coef_, X_on)
    prediction = fitted.predict(X_on)
    assert_like(prediction, X_on)
    # float32 features, and a gap of 1e-8 is 1e-4 in the predictions
    assert_allclose(as_numpy(prediction), expected, 0, 1e-3)
    assert isinstance(fitted.score(X_on, y_on), float)


@pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
@pytest.mark.parametrize("classes", [2, 3])
def test_classification(classes, loss, generated):
    X, Y, s = data()
    y = Y.argmax(axis=1) if classes == 3 else (Y[:, 0] > 0).astype(int) + 5
    model = RandomFeaturesClassifier(
        40, gamma=0.2, loss=loss, tol=1e-7, random_state=0, memory=1e9
    )
    expected = model.fit(X, y, s).decision_function(X)
    X_on, y_on, s_on = on(DEVICE, X, y, s)
    fitted = model.fit(X_on, y_on, s_on)
    assert fitted.stored_ != generated
    assert_like(fitted.classes_, y_on)
    scores = fitted.decision_function(X_on)
    assert_like(scores, X_on)
    # float32 features, and a gap of 1e-7 is 3e-4 of the scores
    assert_allclose(as_numpy(scores), expected, 0, 5e-3)
    labels = as_numpy(fitted.predict(X_on))
    assert np.mean(labels == y) > 0.7
    if loss == "log_loss":
        assert_like(fitted.predict_proba(X_on), X_on)


@pytest.mark.parametrize("approximation", ["random", "nystrom"])
def test_a_warm_start_from_another_namespace_draws_again(approximation):
    X, scores, _ = data()
    y = scores[:, 0]
    settings = {"approximation": approximation, "gamma": 0.2, "random_state": 0}
    model = RandomFeaturesRegressor(40, warm_start=True, **settings)
    model.fit(on(DEVICE, X), on(DEVICE, y)).fit(X, y)
    expected = RandomFeaturesRegressor(40, **settings).fit(X, y)
    assert_allclose(model.predict(X), expected.predict(X), 0, 1e-2)
    assert isinstance(model.fit(on(HOST, X), on(HOST, y)).coef_, type(on(HOST, X)))
