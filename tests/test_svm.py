"""SquaredHingeClassifier against LinearSVC, and what it promises besides."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.datasets import load_iris
from sklearn.svm import LinearSVC

from promise_learn import SquaredHingeClassifier


def objective(X, signs, coef, intercept, C, weights=None):
    """C sum s max(0, 1 - y t)^2 + 1/2 |w|^2."""
    weights = np.ones(len(X)) if weights is None else weights
    short = np.maximum(0, 1 - signs * (X @ coef + intercept))
    return C * weights @ short**2 + 0.5 * coef @ coef


def reference(**options):
    """LinearSVC of the same problem."""
    return LinearSVC(dual=False, tol=1e-10, max_iter=100_000, **options)


def classes(n=150, p=6, K=2):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p)) * np.geomspace(0.1, 10, p)
    X[rng.random((n, p)) < 0.7] = 0
    scores = X @ rng.standard_normal((p, K)) + 3 * rng.standard_normal((n, K))
    return X, (scores.argmax(axis=1) if K > 2 else (scores[:, 0] > 0).astype(int))


@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("K", [2, 4])
@pytest.mark.parametrize("C", [1e-3, 1.0, 100.0])
def test_without_intercept_it_is_linear_svc(C, K, storage):
    X, y = classes(K=K)
    weights = np.random.default_rng(1).uniform(0.2, 2, len(y))
    ours = SquaredHingeClassifier(C, fit_intercept=False, tol=1e-12)
    theirs = reference(C=C, fit_intercept=False)
    ours.fit(storage(X), y, weights)
    theirs.fit(X, y, sample_weight=weights)
    assert_allclose(ours.coef_, theirs.coef_, 1e-4, 1e-5 * np.abs(theirs.coef_).max())
    assert_array_equal(ours.predict(storage(X)), theirs.predict(X))
    assert_array_equal(ours.intercept_, np.zeros(len(ours.coef_)))


def test_with_a_nearly_free_intercept_linear_svc_agrees():
    """Its intercept costs 1e-8 / 2 of the square: scaled by 1e4."""
    X, y = classes()
    ours = SquaredHingeClassifier(tol=1e-12).fit(X, y)
    theirs = reference(intercept_scaling=1e4).fit(X, y)
    assert_allclose(ours.coef_, theirs.coef_, 1e-3)
    assert_allclose(ours.intercept_, theirs.intercept_, 1e-3)


def test_class_weights_are_those_of_linear_svc():
    X, y = classes()
    for weight in ("balanced", {0: 3.0, 1: 0.5}):
        options = {"class_weight": weight, "fit_intercept": False}
        ours = SquaredHingeClassifier(tol=1e-12, **options).fit(X, y)
        assert_allclose(ours.coef_, reference(**options).fit(X, y).coef_, 1e-4, 1e-6)


def test_every_class_is_one_problem_against_the_rest():
    X, y = load_iris(return_X_y=True)
    model = SquaredHingeClassifier(0.3, tol=1e-12).fit(X, y)
    for k in range(3):
        alone = SquaredHingeClassifier(0.3, tol=1e-12).fit(X, y == k)
        assert_allclose(model.coef_[k], alone.coef_[0], 1e-12)
        assert_allclose(model.intercept_[k], alone.intercept_[0], 1e-12)
        part = model.history_["class"] == k
        assert_allclose(model.history_["objective"][part], alone.history_["objective"])
    assert model.decision_function(X).shape == (150, 3)


def test_history_goes_on_from_class_to_class():
    X, y = classes(K=4)
    model = SquaredHingeClassifier().fit(X, y)
    history = model.history_
    for name in ("passes", "seconds", "refreshes", "class"):
        assert (np.diff(history[name]) >= 0).all()
    ends = np.flatnonzero(np.diff(history["class"], append=9))
    for k, end in enumerate(ends):
        signs = np.where(y == k, 1.0, -1.0)
        value = objective(X, signs, model.coef_[k], model.intercept_[k], 1.0)
        assert history["objective"][end] == pytest.approx(value / (2 * len(y)))
    assert model.n_iter_ == np.bincount(history["class"]).max()
    assert "class" not in SquaredHingeClassifier().fit(X, y > 1).history_


def test_separable_classes_have_a_solution_without_penalty_and_no_warning():
    X, y = load_iris(return_X_y=True)
    model = SquaredHingeClassifier(np.inf).fit(X, y == 0)
    assert (np.where(y == 0, 1, -1) * model.decision_function(X)).min() >= 1 - 1e-9
    assert np.abs(model.coef_).max() < 10


def test_warm_start_of_many_classes_uses_each_row():
    X, y = classes(K=4)
    model = SquaredHingeClassifier(warm_start=True, tol=1e-8).fit(X, y)
    assert model.fit(X, y).n_iter_ == 1
    model.set_params(C=1.1).fit(X, y)
    cold = SquaredHingeClassifier(1.1, tol=1e-8).fit(X, y)
    assert_allclose(model.coef_, cold.coef_, 1e-3, 1e-5)
