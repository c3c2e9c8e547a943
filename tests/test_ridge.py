import itertools
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn import linear_model
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning

from _reference import MODERATE, ridge_objective, ridge_optimum
from promise_learn import Ridge, RidgeClassifier
from promise_learn.solvers import SOLVERS

SHAPES = {"n>p": (120, 12), "n<p": (30, 50)}


def problem(shape=(120, 12), storage="dense", dtype="float64", targets=1):
    """Columns of scales 0.1 to 10 and far from centred; many entries zero."""
    rng = np.random.default_rng(1)
    X = 0.3 + rng.standard_normal(shape) * np.geomspace(0.1, 10, shape[1])
    X[rng.random(shape) < (0.3 if storage == "dense" else 0.7)] = 0
    X = X.astype(dtype)
    Y = X.astype(float) @ rng.standard_normal((shape[1], targets)) + 3
    Y += rng.standard_normal(Y.shape)
    weights = rng.uniform(0.1, 3, shape[0])
    X = X if storage == "dense" else sparse.csr_array(X)
    return X, (Y[:, 0] if targets == 1 else Y), weights


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("storage", ["dense", "csr"])
@pytest.mark.parametrize("targets", [1, 5])
def test_default_fit_is_the_exact_solution(
    targets, storage, dtype, shape, weighted, fit_intercept
):
    X, Y, weights = problem(SHAPES[shape], storage, dtype, targets)
    weights = weights if weighted else None
    W, b = ridge_optimum(X, Y, 1.0, weights, fit_intercept)
    best = ridge_objective(X, Y, W, b, 1.0, weights)

    model = Ridge(fit_intercept=fit_intercept).fit(X, Y, sample_weight=weights)
    value = ridge_objective(X, Y, model.coef_, model.intercept_, 1.0, weights)
    assert value - best <= 1e-6 * best

    model.set_params(tol=1e-14)
    with warnings.catch_warnings():
        if dtype == "float32" and targets > 1:
            # products of float32 blocks round at 1e-7, and the fit says so
            warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, Y, sample_weight=weights)
    error = np.linalg.norm(model.coef_ - W) / np.linalg.norm(W)
    assert error <= (1e-6 if dtype == "float64" else 1e-3)
    assert model.coef_.dtype == model.predict(X).dtype == dtype


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_coefficients_and_shapes_are_those_of_scikit_learn(fit_intercept):
    for shape, targets in itertools.product(SHAPES.values(), (1, 5)):
        X, Y, _ = problem(shape, targets=targets)
        for y in (Y, Y[:, None]) if targets == 1 else (Y,):
            ours = Ridge(alpha=0.7, fit_intercept=fit_intercept).fit(X, y)
            theirs = linear_model.Ridge(
                alpha=0.7, fit_intercept=fit_intercept, solver="svd"
            ).fit(X, y)
            assert ours.coef_.shape == theirs.coef_.shape
            assert np.shape(ours.intercept_) == np.shape(theirs.intercept_)
            assert_allclose(ours.coef_, theirs.coef_, rtol=1e-8, atol=1e-10)
            assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-8)
            assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("storage", ["dense", "csr"])
@pytest.mark.parametrize("name", [name for name in SOLVERS if name not in MODERATE])
def test_every_solver_keeps_the_default_tol(name, storage):
    X, Y, weights = problem(storage=storage, targets=2)
    W, b = ridge_optimum(X, Y, 1.0, weights)
    best = ridge_objective(X, Y, W, b, 1.0, weights)
    model = Ridge(solver=name, random_state=0).fit(X, Y, sample_weight=weights)
    value = ridge_objective(X, Y, model.coef_, model.intercept_, 1.0, weights)
    assert model.solver_ == name
    assert value - best <= 1e-6 * best


@pytest.mark.parametrize("name", ["auto", "nystrom-pcg", "newton-cg", "lbfgs"])
def test_alpha_per_target_equals_column_by_column(name):
    X, Y, weights = problem(targets=4)
    alpha = [0.0, 1e-3, 1.0, 1e3]
    model = Ridge(alpha, solver=name, tol=1e-13, random_state=0).fit(X, Y, weights)
    for k, a in enumerate(alpha):
        one = Ridge(a, tol=1e-13).fit(X, Y[:, k], weights)
        # a relative gap of 1e-13 leaves a coefficient an error of a few 1e-6
        assert_allclose(model.coef_[k], one.coef_, rtol=1e-5, atol=1e-5)
        assert_allclose(model.intercept_[k], one.intercept_, rtol=1e-5)


def test_alpha_per_target_on_fewer_rows_than_columns():
    X, Y, _ = problem((30, 50), targets=2)
    model = Ridge([0.5, 50.0], tol=1e-14).fit(X, Y)
    assert_allclose(model.coef_, ridge_optimum(X, Y, [0.5, 50.0])[0], rtol=1e-6)


@pytest.mark.parametrize("storage", ["dense", "csr"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_alpha_zero_is_least_squares(storage, fit_intercept):
    X, y, _ = problem(storage=storage)
    model = Ridge(alpha=0, fit_intercept=fit_intercept).fit(X, y)
    W, b = ridge_optimum(X, y, 0.0, fit_intercept=fit_intercept)
    assert_allclose(model.coef_, W[0], rtol=1e-7)
    assert_allclose(model.intercept_, b[0] if fit_intercept else 0, rtol=1e-7)


def test_alpha_zero_on_fewer_rows_than_columns_interpolates():
    X, y, _ = problem((30, 50))
    model = Ridge(alpha=0).fit(X, y)
    assert_allclose(model.predict(X), y, atol=1e-6 * np.abs(y).max())


def test_shifted_targets_change_the_intercept_alone():
    for targets in (1, 3):
        X, Y, weights = problem(targets=targets)
        plain = Ridge().fit(X, Y, weights)
        for data in (X, sparse.csr_array(X)):
            moved = Ridge().fit(data, Y + 1e6, weights)
            assert_allclose(moved.coef_, plain.coef_, rtol=1e-8, atol=1e-9)
            assert_allclose(moved.intercept_, plain.intercept_ + 1e6, rtol=1e-12)


def test_constant_zero_and_duplicated_columns():
    X, y, _ = problem()
    plain = Ridge(tol=1e-12).fit(X, y)
    extra = np.column_stack([X, np.zeros(len(X)), np.full(len(X), 7.0)])
    for data in (extra, sparse.csr_array(extra)):
        model = Ridge(tol=1e-12).fit(data, y)
        assert_allclose(model.coef_[:12], plain.coef_, rtol=1e-8)
        assert_allclose(model.coef_[12:], 0, atol=1e-10)
    # two copies share the weight: as one column at half the penalty
    doubled = Ridge(tol=1e-12).fit(np.column_stack([X, X]), y)
    halved = Ridge(0.5, tol=1e-12).fit(X, y)
    assert_allclose(doubled.coef_[:12] + doubled.coef_[12:], halved.coef_, rtol=1e-8)
    least = Ridge(0.0).fit(np.column_stack([X, X]), y)
    assert_allclose(
        least.predict(np.column_stack([X, X])), Ridge(0.0).fit(X, y).predict(X)
    )


@pytest.mark.parametrize("storage", ["dense", "csr"])
@pytest.mark.parametrize("name", ["auto", "nystrom-pcg", "newton-cg"])
def test_scaled_columns_give_the_same_least_squares_predictions(name, storage):
    X, y, _ = problem()
    scale = 10 ** np.random.default_rng(0).uniform(-4, 4, X.shape[1])
    data = X * scale if storage == "dense" else sparse.csr_array(X * scale)
    model = Ridge(alpha=0, solver=name, tol=1e-12, random_state=0).fit(data, y)
    expected = Ridge(alpha=0, tol=1e-12).fit(X, y).predict(X)
    assert_allclose(model.predict(data), expected, atol=1e-5 * np.std(y))


@pytest.mark.parametrize("name", ["nystrom-pcg", "newton-cg", "lbfgs"])
def test_smaller_tol_never_gives_a_larger_gap(name):
    X, y = load_diabetes(return_X_y=True)
    best = ridge_objective(X, y, *ridge_optimum(X, y))
    gaps = []
    for tol in 10.0 ** -np.arange(1, 11, 3):
        model = Ridge(solver=name, tol=tol, random_state=0).fit(X, y)
        value = ridge_objective(X, y, model.coef_, model.intercept_)
        gaps.append((value - best) / best)
        assert gaps[-1] <= tol
        assert model.history_["gap"][-1] <= tol
    assert_array_equal(gaps, np.sort(gaps)[::-1])


def test_history_holds_the_documented_objective():
    X, y, weights = problem()
    model = Ridge(2.0).fit(X, y, weights)
    value = ridge_objective(X, y, model.coef_, model.intercept_, 2.0, weights)
    # half the mean loss: the formula of the class over twice the sum of weights
    expected = value / (2 * weights.sum())
    assert_allclose(model.history_["objective"][-1], expected, rtol=1e-12)
    lengths = {len(column) for column in model.history_.values()}
    assert lengths == {model.n_iter_}


@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 1.0, 1: 5.0}])
@pytest.mark.parametrize("classes", [2, 4])
def test_ridge_classifier_agrees_with_scikit_learn(classes, class_weight):
    X, y, _ = problem()
    labels = np.digitize(y, np.quantile(y, np.arange(1, classes) / classes))
    ours = RidgeClassifier(0.3, class_weight=class_weight, tol=1e-13).fit(X, labels)
    theirs = linear_model.RidgeClassifier(0.3, class_weight=class_weight, solver="svd")
    theirs.fit(X, labels)
    assert ours.coef_.shape == theirs.coef_.shape
    assert_allclose(ours.coef_, theirs.coef_, rtol=1e-7, atol=1e-9)
    assert_allclose(ours.decision_function(X), theirs.decision_function(X), rtol=1e-6)
    assert_array_equal(ours.predict(X), theirs.predict(X))
    names = np.array(["b", "a", "d", "c"])[labels]
    if class_weight is None:
        assert_array_equal(
            RidgeClassifier(0.3).fit(X, names).predict(X), names_of(theirs, X)
        )


def names_of(model, X):
    return np.array(["b", "a", "d", "c"])[model.predict(X)]
