import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.special import expit, softmax
from sklearn import linear_model
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.exceptions import ConvergenceWarning

from _reference import MODERATE, SQUARED_ERROR_ONLY, LogisticProblem
from promise_learn import LogisticRegression
from promise_learn.solvers import SOLVERS

SHAPES = {"n>p": (120, 12), "n<p": (30, 50)}
NAMES = [name for name in SOLVERS if name not in SQUARED_ERROR_ONLY | MODERATE]


def problem(shape=(120, 12), storage="dense", dtype="float64", classes=2):
    """Columns of scales 0.1 to 10 and far from centred; labels that X half explains."""
    rng = np.random.default_rng(1)
    X = 0.3 + rng.standard_normal(shape) * np.geomspace(0.1, 10, shape[1])
    X[rng.random(shape) < (0.3 if storage == "dense" else 0.7)] = 0
    X = X.astype(dtype)
    scores = X / X.std(axis=0) @ rng.standard_normal((shape[1], classes))
    codes = np.argmax(scores / 2 + rng.standard_normal(scores.shape), axis=1)
    codes[:classes] = np.arange(classes)
    weights = rng.uniform(0.1, 3, shape[0])
    return (X if storage == "dense" else sparse.csr_array(X)), codes, weights


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("storage", ["dense", "csr"])
@pytest.mark.parametrize("classes", [2, 10])
def test_default_fit_is_the_newton_optimum(
    classes, storage, dtype, shape, weighted, fit_intercept
):
    X, y, weights = problem(SHAPES[shape], storage, dtype, classes)
    weights = weights if weighted else None
    reference = LogisticProblem(X, y, 1.0, weights, fit_intercept)
    W, best = reference.optimum()

    model = LogisticRegression(fit_intercept=fit_intercept)
    model.fit(X, y, sample_weight=weights)
    assert reference.value(model.coef_, model.intercept_) - best <= 1e-6 * best

    model.set_params(tol=1e-14)
    with warnings.catch_warnings():
        if dtype == "float32" and classes > 2:
            # products of float32 blocks round at 1e-7, and the fit says so
            warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y, sample_weight=weights)
    expected = W[: X.shape[1]].T
    error = np.linalg.norm(model.coef_ - expected) / np.linalg.norm(expected)
    assert error <= (1e-6 if dtype == "float64" else 1e-3)
    assert model.coef_.dtype == model.predict_proba(X).dtype == dtype


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("name", NAMES)
def test_every_solver_keeps_the_default_tol(name, classes):
    X, y, weights = problem(classes=classes)
    for data in (X, sparse.csr_array(X)):
        reference = LogisticProblem(X, y, 1.0, weights)
        _, best = reference.optimum()
        model = LogisticRegression(solver=name, random_state=0).fit(data, y, weights)
        assert model.solver_ == name
        assert reference.value(model.coef_, model.intercept_) - best <= 1e-6 * best


def test_unscaled_breast_cancer_converges_where_scikit_learn_does_not():
    X, y = load_breast_cancer(return_X_y=True)
    scale = X.std(axis=0)
    reference = LogisticProblem(X / scale, y)
    reference.penalty[:-1] = (1 / scale**2)[:, None]
    _, best = reference.optimum()

    model = LogisticRegression().fit(X, y)  # a warning would be an error
    value = reference.value(model.coef_ * scale, model.intercept_)
    assert value - best <= 1e-6 * best

    with pytest.warns(ConvergenceWarning):
        theirs = linear_model.LogisticRegression().fit(X, y)
    value = reference.value(theirs.coef_ * scale, theirs.intercept_)
    assert value - best > 1e-2 * best


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_probabilities_are_those_of_scikit_learn(classes, fit_intercept):
    X, y, _ = problem(classes=classes)
    ours = LogisticRegression(0.1, fit_intercept=fit_intercept, tol=1e-14).fit(X, y)
    theirs = linear_model.LogisticRegression(
        C=0.1, fit_intercept=fit_intercept, solver="newton-cholesky", tol=1e-12
    ).fit(X, y)
    assert ours.coef_.shape == theirs.coef_.shape
    assert ours.intercept_.shape == theirs.intercept_.shape
    assert ours.n_iter_.shape == theirs.n_iter_.shape
    assert_allclose(ours.coef_, theirs.coef_, rtol=1e-5, atol=1e-7)
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-5)
    log_proba = ours.predict_log_proba(X)
    assert_allclose(log_proba, theirs.predict_log_proba(X), rtol=1e-4, atol=1e-7)
    assert_array_equal(ours.predict(X), theirs.predict(X))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("classes", [2, 10])
def test_probabilities_sum_to_one_and_follow_the_scores(classes, dtype):
    X, y, _ = problem(dtype=dtype, classes=classes)
    model = LogisticRegression().fit(X, y)
    P, scores = model.predict_proba(X), model.decision_function(X)
    eps = np.finfo(dtype).eps
    assert_allclose(P.sum(axis=1), 1, rtol=4 * classes * eps)
    if classes == 2:
        assert_allclose(P[:, 1], expit(scores), rtol=20 * eps)
    else:
        assert_allclose(P, softmax(scores, axis=1), rtol=200 * eps)
    assert_array_equal(model.predict(X), P.argmax(axis=1))
    far = model.predict_log_proba(1e6 * X)
    assert np.isfinite(far).all()


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("kind", ["dict", "partial", "balanced"])
def test_class_weight_equals_sample_weight(kind, classes):
    X, y, weights = problem(classes=classes)
    total = np.bincount(y, weights)
    factors = {
        "dict": np.arange(1.0, classes + 1),
        "partial": np.array([1.0, 3.0, 1.0])[:classes],
        "balanced": total.sum() / classes / total,
    }[kind]
    class_weight = {
        "dict": dict(enumerate(factors)),
        "partial": {1: 3.0},
        "balanced": "balanced",
    }[kind]
    ours = LogisticRegression(class_weight=class_weight).fit(X, y, weights)
    expected = LogisticRegression().fit(X, y, weights * factors[y])
    assert_allclose(ours.coef_, expected.coef_, rtol=1e-10)
    theirs = linear_model.LogisticRegression(
        class_weight=class_weight, solver="newton-cholesky", tol=1e-10
    ).fit(X, y, weights)
    ours.set_params(tol=1e-13).fit(X, y, weights)
    assert_allclose(ours.coef_, theirs.coef_, rtol=1e-5, atol=1e-7)


def test_labels_of_any_kind():
    X, codes, _ = problem(classes=3)
    expected = LogisticRegression().fit(X, codes)
    for labels in (
        np.array(["b", "a", "c"]),
        np.array(["b", "a", "c"], dtype=object),
        np.array([-7, 3, 2**62]),
        np.array([0.0, 1.0, 2.0]),
    ):
        model = LogisticRegression().fit(X, labels[codes])
        assert_array_equal(model.classes_, np.sort(labels))
        assert model.classes_.dtype == labels.dtype
        assert_array_equal(model.predict(X), labels[expected.predict(X)])
    for labels in (np.array([False, True]), np.array([-1, 1]), np.array(["no", "yes"])):
        y = labels[(codes > 0).astype(int)]
        model = LogisticRegression().fit(X, y)
        assert_array_equal(model.classes_, labels)
        assert model.predict(X).dtype == y.dtype
        weighted = LogisticRegression(class_weight={labels[1]: 4.0}).fit(X, y)
        assert (weighted.predict(X) == labels[1]).sum() > (y == labels[1]).sum()


@pytest.mark.parametrize("classes", [2, 3])
def test_no_penalty_and_scaled_columns_give_the_same_predictions(classes):
    """With C=inf a scale is a change of variables, and tol does not see it."""
    X, y, _ = problem(classes=classes)
    scale = 10 ** np.random.default_rng(0).uniform(-4, 4, X.shape[1])
    plain = LogisticRegression(C=np.inf, tol=1e-12).fit(X, y)
    _, best = LogisticProblem(X, y, 1e9).optimum()
    for data in (X * scale, sparse.csr_array(X * scale)):
        for name in ("auto", "newton-cg"):
            model = LogisticRegression(np.inf, solver=name, tol=1e-12, random_state=0)
            model.fit(data, y)
            assert_allclose(
                model.predict_proba(data), plain.predict_proba(X), atol=1e-4
            )
    assert_allclose(plain.history_["objective"][-1], best / 1e9 / len(y), rtol=1e-6)


def test_constant_zero_and_duplicated_columns():
    X, y, _ = problem()
    plain = LogisticRegression(tol=1e-13).fit(X, y)
    extra = np.column_stack([X, np.zeros(len(X)), np.full(len(X), 7.0)])
    for data in (extra, sparse.csr_array(extra)):
        model = LogisticRegression(tol=1e-13).fit(data, y)
        assert_allclose(model.coef_[:, :12], plain.coef_, rtol=1e-5)
        assert_allclose(model.coef_[:, 12:], 0, atol=1e-7)
    twice = np.column_stack([X, X])
    doubled = LogisticRegression(tol=1e-13).fit(twice, y)
    halved = LogisticRegression(2.0, tol=1e-13).fit(X, y)
    total = doubled.coef_[:, :12] + doubled.coef_[:, 12:]
    assert_allclose(total, halved.coef_, rtol=1e-5)
    free = LogisticRegression(np.inf, tol=1e-10).fit(twice, y)
    alone = LogisticRegression(np.inf, tol=1e-10).fit(X, y)
    assert_allclose(free.predict_proba(twice), alone.predict_proba(X), atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_smaller_tol_never_gives_a_larger_gap(name):
    X, y, _ = problem(classes=3)
    reference = LogisticProblem(X, y)
    _, best = reference.optimum()
    gaps = []
    for tol in (1e-2, 1e-4, 1e-7, 1e-10):
        model = LogisticRegression(solver=name, tol=tol, random_state=0).fit(X, y)
        gaps.append((reference.value(model.coef_, model.intercept_) - best) / best)
        assert gaps[-1] <= 1.2 * tol  # the Newton decrement is exact to first order
        assert model.history_["gap"][-1] <= tol
    assert_array_equal(gaps, np.sort(gaps)[::-1])


def test_history_holds_the_documented_objective():
    X, y, weights = problem(classes=3)
    model = LogisticRegression(0.5).fit(X, y, weights)
    value = LogisticProblem(X, y, 0.5, weights).value(model.coef_, model.intercept_)
    expected = value / (0.5 * weights.sum())
    assert_allclose(model.history_["objective"][-1], expected, rtol=1e-9)


def test_shifted_columns_change_the_intercept_alone():
    X, y, _ = problem(classes=3)
    plain = LogisticRegression(tol=1e-13).fit(X, y)
    # sparse columns are not centred, and keep fewer digits of a large offset
    for data in (X + 1e4, sparse.csr_array(X + 1e2)):
        moved = LogisticRegression(tol=1e-12, random_state=0).fit(data, y)
        assert_allclose(moved.coef_, plain.coef_, rtol=1e-4, atol=1e-6)
        assert_allclose(moved.predict_proba(data), plain.predict_proba(X), atol=1e-5)


def test_intercepts_of_many_classes_sum_to_zero():
    X, y = load_iris(return_X_y=True)
    model = LogisticRegression(tol=1e-12).fit(X, y)
    theirs = linear_model.LogisticRegression(solver="newton-cholesky", tol=1e-12)
    assert_allclose(model.intercept_.sum(), 0, atol=1e-9)
    assert_allclose(model.coef_.sum(axis=0), 0, atol=1e-9)
    assert_allclose(model.intercept_, theirs.fit(X, y).intercept_, rtol=1e-5)
