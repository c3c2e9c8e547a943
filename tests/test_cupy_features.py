"""Random features on the stand-in for CuPy: those of the host, on the device."""

import pickle

import _fake_cupy as fake
import numpy as np
import pytest
from _features import MAPS
from numpy.testing import assert_allclose
from scipy import sparse

from promise_learn import (
    RandomFeatures,
    RandomFeaturesClassifier,
    RandomFeaturesRegressor,
)
from promise_learn.design import FeatureRows, features

STORAGES = pytest.mark.parametrize("storage", ["dense", "csr"])


@pytest.fixture(autouse=True)
def cupy(monkeypatch):
    if not fake.install(monkeypatch):
        pytest.skip("CuPy itself is installed: test_gpu.py")


@pytest.fixture(params=["stored", "generated"])
def generated(request, monkeypatch):
    """Whether features are generated, in several blocks."""
    monkeypatch.setattr(features, "LARGEST_BLOCK", 32)
    if request.param == "generated":
        monkeypatch.setattr(FeatureRows, "nbytes", 1e15)
    return request.param == "generated"


def data(storage, n=100, dtype="float64"):
    """Half-empty X on the device and on the host, scores and weights."""
    rng = np.random.default_rng(0)
    X = (rng.standard_normal((n, 5)) * (rng.random((n, 5)) < 0.6)).astype(dtype)
    scores = np.sin(X @ rng.standard_normal((5, 3))) + 0.3 * rng.standard_normal((n, 3))
    host = sparse.csr_matrix(X) if storage == "csr" else X
    with fake.Device():
        X = fake.csr_matrix(host) if storage == "csr" else fake.asarray(X)
    return X, host, scores, rng.uniform(0.5, 2.0, n)


@STORAGES
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("settings", MAPS, ids=str)
def test_features(settings, dtype, storage):
    X, host, _, _ = data(storage, dtype=dtype)
    model = RandomFeatures(40, random_state=0, **settings)
    expected = model.fit_transform(host)
    Z = model.fit(X).transform(X)
    assert type(Z) is fake.ndarray
    assert Z.dtype == dtype
    assert_allclose(Z.get(), expected, 0, 1e-12 if dtype == "float64" else 1e-5)
    with pytest.raises(ValueError, match=r"transform\(\) must use the same"):
        model.transform(host)


@STORAGES
@pytest.mark.parametrize("task", ["one", "targets"])
def test_regression(task, storage, generated):
    X, host, Y, s = data(storage)
    y = Y if task == "targets" else Y[:, 0]
    model = RandomFeaturesRegressor(40, gamma=0.2, tol=1e-8, random_state=0, memory=1e9)
    expected = model.fit(host, y, s).predict(host)
    score = model.score(host, y)
    fitted = model.fit(X, fake.asarray(y), fake.asarray(s))
    assert fitted.stored_ != generated
    assert type(fitted.coef_) is fake.ndarray
    # float32 features, and a gap of 1e-8 is 1e-4 in the predictions
    assert_allclose(fitted.predict(X).get(), expected, 0, 1e-3)
    assert fitted.score(X, fake.asarray(y)) == pytest.approx(score, abs=1e-4)


@STORAGES
@pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
@pytest.mark.parametrize("classes", [2, 3])
def test_classification(classes, loss, storage, generated):
    X, host, Y, s = data(storage)
    y = Y.argmax(axis=1) if classes == 3 else (Y[:, 0] > 0).astype(int)
    model = RandomFeaturesClassifier(
        40, gamma=0.2, loss=loss, tol=1e-7, random_state=0, memory=1e9
    )
    expected = model.fit(host, y, s).decision_function(host)
    fitted = model.fit(X, fake.asarray(y), fake.asarray(s))
    assert fitted.stored_ != generated
    # float32 features, and a gap of 1e-7 is 3e-4 of the scores
    assert_allclose(fitted.decision_function(X).get(), expected, 0, 5e-3)
    again = pickle.loads(pickle.dumps(fitted))
    assert_allclose(again.decision_function(X).get(), expected, 0, 5e-3)
