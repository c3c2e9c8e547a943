"""Acceptance tests of what users of peer packages ask for; each cites its threads.

Needs that the tests of the estimators meet on the way are not repeated here.
"""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import cross_val_score

from _reference import (
    MODERATE,
    SQUARED_ERROR_ONLY,
    LogisticProblem,
    ridge_objective,
    ridge_optimum,
)
from _shared import load_shared
from promise_learn import LogisticRegression, Ridge, RidgeClassifier
from promise_learn.preconditioners import PRECONDITIONERS
from promise_learn.solvers import SOLVERS, NewtonCG

LOGISTIC = [name for name in SOLVERS if name not in SQUARED_ERROR_ONLY | MODERATE]
VARIANCE_REDUCED = ["sketchy-svrg", "sketchy-saga", "sketchy-katyusha"]
EXPECTED = ["auto", "newton-cholesky", "newton-cg", *VARIANCE_REDUCED]


def table(n=600, p=15):
    """Correlated columns, and labels of which one in five comes first."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p)) @ rng.standard_normal((p, p))
    score = X @ rng.standard_normal(p)
    y = (score / score.std() + rng.logistic(size=n) > 2).astype(int)
    return X, score, y


@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
def test_unscaled_columns_need_no_scaling(storage):
    """scikit-learn/scikit-learn#15556, #15571, #15583, #15665: "scale the data"."""
    X, score, y = table()
    scale = 10 ** np.random.default_rng(1).uniform(-4, 4, X.shape[1])
    raw = X * scale + 10 * scale  # far from centred: the intercept is far from 0
    # a default fit of the raw columns is a fit of the scaled ones at their own penalty
    reference = LogisticProblem(X, y)
    reference.penalty[:-1] = (1 / scale**2)[:, None]
    _, best = reference.optimum()
    model = LogisticRegression().fit(storage(raw), y)  # warnings are errors
    b = model.intercept_ + 10 * model.coef_ @ scale
    assert reference.value(model.coef_ * scale, b) - best <= 1e-6 * best
    # where the penalty does not matter, so do scales not
    free = LogisticRegression(C=1e12).fit(storage(raw), y)
    scaled = LogisticRegression(C=1e12).fit(X, y)
    assert_allclose(
        free.predict_proba(storage(raw)), scaled.predict_proba(X), atol=1e-2
    )
    ridge = Ridge(alpha=0).fit(storage(raw), score)
    assert_allclose(ridge.predict(storage(raw)), score, atol=1e-4 * np.ptp(score))


def one_hot(n=4000):
    """Four categorical columns, most categories rare, and two numbers."""
    rng = np.random.default_rng(0)
    blocks = [sparse.csr_array(rng.standard_normal((n, 2)))]
    for size in (5, 40, 150, 400):
        codes = np.minimum(rng.zipf(1.3, n), size) - 1
        codes[:size] = np.arange(size)  # each occurs, many of them once
        ones = np.ones(n)
        blocks.append(sparse.csr_array((ones, (np.arange(n), codes)), (n, size)))
    X = sparse.csr_array(sparse.hstack(blocks))
    score = X @ rng.standard_normal(X.shape[1])
    return X, (score + rng.logistic(size=n) > 0).astype(int), score


@pytest.mark.parametrize("name", ["auto", *LOGISTIC])
def test_rare_one_hot_columns_do_not_slow_a_fit_down(name):
    """scikit-learn/scikit-learn#23314, #24767: L-BFGS crawls, samples miss columns."""
    X, y, _ = one_hot()
    model = LogisticRegression(C=10.0, solver=name, random_state=0).fit(X, y)
    exact = LogisticRegression(C=10.0, tol=1e-12).fit(X, y)
    best = exact.history_["objective"][-1]
    assert model.history_["objective"][-1] <= best * (1 + 1e-6)
    if name in EXPECTED:
        limit = 300 if name in VARIANCE_REDUCED else 50
        assert model.history_["passes"][-1] < limit


@pytest.mark.parametrize("preconditioner", PRECONDITIONERS)
def test_every_preconditioner_knows_rare_columns(preconditioner):
    """scikit-learn/scikit-learn#23314, the same columns by Newton-CG."""
    X, y, _ = one_hot()

    def passes(preconditioner):
        model = LogisticRegression(10.0, solver=NewtonCG(preconditioner=preconditioner))
        return model.set_params(random_state=0).fit(X, y).history_["passes"][-1]

    # as an object: the name "nystrom" stands for one whose rank grows, sketch by sketch
    assert passes(PRECONDITIONERS[preconditioner]()) < 0.8 * passes(None)


@pytest.mark.parametrize("name", [name for name in VARIANCE_REDUCED if name in SOLVERS])
def test_stochastic_solvers_solve_adult_without_tuning(name):
    """scikit-learn/scikit-learn#11067, #15903: SAGA is unreliable and slow on adult."""
    X, y = load_shared("a9a")
    model = LogisticRegression(solver=name, random_state=0).fit(X, y)
    best = LogisticRegression(tol=1e-10).fit(X, y).history_["objective"][-1]
    solved = model.history_["objective"] <= best * (1 + 1e-6)
    assert solved[-1]
    assert np.argmax(solved) < 30


@pytest.mark.parametrize("make", [LogisticRegression, RidgeClassifier])
def test_accuracy_on_unscaled_breast_cancer(make):
    """NVIDIA/cuml#2478, #2517, #3645: 62 % where 96 % was right, by early stopping."""
    X, y = load_breast_cancer(return_X_y=True)
    assert cross_val_score(make(), X, y).mean() > 0.945


@pytest.mark.parametrize("name", LOGISTIC)
def test_rows_sorted_by_class_give_the_same_model(name):
    """scikit-learn/scikit-learn#18074: the result depends on the order of the rows."""
    X, _, y = table()
    order = np.argsort(y, kind="stable")
    model = LogisticRegression(solver=name, random_state=0)
    values = []
    for rows in (slice(None), order):
        model.fit(X[rows], y[rows])
        values.append(model.history_["objective"][-1])
    # two values above one minimum, by at most tol each
    assert_allclose(*values, rtol=1e-6)


@pytest.mark.parametrize("make", [Ridge, RidgeClassifier, LogisticRegression])
def test_docstrings_say_what_is_minimised_and_what_tol_means(make):
    """scikit-learn/scikit-learn#22243, #28253, #21891; NVIDIA/cuml#6759."""
    text = make.__doc__
    assert ".. math:: \\min" in text
    if make is not RidgeClassifier:  # refers to Ridge
        assert "(F - F*) / F" in " ".join(text.split())
        assert "on the mean-loss scale" in text or "divided by C times" in text


def test_a_named_solver_is_used_or_an_error_is_raised():
    """scikit-learn/scikit-learn#11672, #35016; scikit-learn-intelex#3220, #3425."""
    empty = sparse.csr_array(sparse.eye_array(20_000, format="csr"))
    y = np.arange(20_000) % 2
    for name, model in (
        ("direct", Ridge(solver="direct")),
        ("newton-cholesky", LogisticRegression(solver="newton-cholesky")),
    ):
        with pytest.raises(
            ValueError, match=f"solver='{name}' forms a 20,00. x 20,00."
        ):
            model.fit(empty, y)
    model = Ridge().fit(empty, y)
    assert model.solver_ in SOLVERS
    assert model.solver_ != "direct"


def peak_memory(task):
    """Largest sum of what a call had allocated at one time, in bytes."""
    tracemalloc.start()
    try:
        task()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("make", [Ridge, LogisticRegression])
def test_half_a_million_sparse_columns_fit_in_memory(make):
    """Quantco/glum#485, #543: MemoryError, the solver forms a p x p matrix."""
    rng = np.random.default_rng(0)
    n, p, row = 20_000, 500_000, 50
    columns = np.sort(rng.integers(0, p, (n, row)), axis=1).ravel()
    values = rng.standard_normal(n * row)
    X = sparse.csr_array((values, columns, np.arange(0, n * row + 1, row)), (n, p))
    X.sum_duplicates()
    y = X @ rng.standard_normal(p) + rng.standard_normal(n)
    y = y if make is Ridge else y > 0
    model = make(random_state=0)
    peak = peak_memory(lambda: model.fit(X, y))
    size = X.data.nbytes + X.indices.nbytes + X.indptr.nbytes
    assert peak < 3 * size + 200 * 8 * p
    assert model.score(X, y) > 0.9


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("make", [Ridge, LogisticRegression])
def test_dense_x_is_not_copied(make, order, dtype):
    """scikit-learn/scikit-learn#17125, #13322, #8769, #5776, #33041."""
    rng = np.random.default_rng(0)
    X = np.asarray(
        rng.standard_normal((400_000, 50), dtype="float32"), dtype, order=order
    )
    y = X[:, 0] + rng.standard_normal(len(X))
    y = y if make is Ridge else y > 0
    weights = rng.uniform(0.5, 1, len(X))
    make(max_iter=1, tol=0.1).fit(X[:1000], y[:1000])  # compile
    peak = peak_memory(lambda: make().fit(X, y, weights))
    assert peak < 0.3 * X.nbytes + 12 * weights.nbytes


@pytest.mark.parametrize("shape", [(4, 10), (200, 100_000)])
@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
def test_more_columns_than_rows(shape, storage):
    """NVIDIA/cuml#7198; brain-score/vision#2364: fails, or wastes memory."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal(shape), rng.standard_normal(shape[0])
    if shape[1] > 10:
        X[rng.random(shape) < 0.9] = 0
    data = storage(X)
    peak = peak_memory(lambda: Ridge().fit(data, y))
    assert peak < 0.3 * X.nbytes + 1e7
    model = Ridge().fit(data, y)
    centred = X - X.mean(axis=0)
    dual = np.linalg.solve(centred @ centred.T + np.eye(shape[0]), y - y.mean())
    assert_allclose(model.coef_, centred.T @ dual, rtol=1e-6, atol=1e-9)
    labels = (y > np.median(y)).astype(int)
    assert LogisticRegression().fit(data, labels).score(data, labels) == 1


@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("name", SOLVERS)
def test_no_solver_penalises_the_intercept(name, storage):
    """scikit-learn/scikit-learn#10626, #11715, #4710; dask/dask-glm#65; celer#19."""
    X, score, _ = table()
    y = score + np.random.default_rng(2).standard_normal(len(X)) + 1e6
    model = Ridge(alpha=1e6, solver=name, random_state=0).fit(storage(X), y)
    best = ridge_objective(X, y, *ridge_optimum(X, y, 1e6), 1e6)
    value = ridge_objective(X, y, model.coef_, model.intercept_, 1e6)
    assert value <= best * (1 + 1e-5)
    assert abs(model.predict(storage(X)).mean() - y.mean()) < 0.05 * np.std(y)


@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
def test_weights_equal_repeated_rows_and_zero_removed_rows(storage):
    """scikit-learn/scikit-learn#15657, #16298, #29416; skglm#223, #335; cuml#3559."""
    X, score, y = table(200)
    counts = np.random.default_rng(0).integers(0, 4, len(X))
    for model, target in (
        (Ridge(), score),
        (Ridge([0.1, 1.0]), np.column_stack([score, -score])),
        (RidgeClassifier(class_weight="balanced"), y),
        (LogisticRegression(class_weight="balanced"), y),
        (LogisticRegression(), np.digitize(score, [-3, 3])),
    ):
        model.set_params(tol=1e-14)
        repeated = model.fit(storage(X.repeat(counts, 0)), target.repeat(counts, 0))
        coef, intercept = repeated.coef_, repeated.intercept_
        model.fit(storage(X), target, sample_weight=counts)
        assert_allclose(model.coef_, coef, rtol=1e-6, atol=1e-7)
        assert_allclose(model.intercept_, intercept, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", ["newton-cg", "lbfgs"])
def test_warm_starts_pay_along_a_path(name):
    """scikit-learn/scikit-learn#6524, skglm#308, lightning#10: no faster when warm."""
    X, _, y = table()

    def passes(warm_start):
        model, total = LogisticRegression(solver=name, random_state=0), 0
        model.set_params(warm_start=warm_start)
        for C in np.geomspace(0.1, 10, 9):
            total += model.set_params(C=C).fit(X, y).history_["passes"][-1]
        return total

    assert passes(True) < 0.8 * passes(False)
