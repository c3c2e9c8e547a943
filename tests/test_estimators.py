"""What all estimators share: storage of X, warm start, randomness, sklearn's tools."""

import inspect
import pickle
import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone, is_classifier
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import promise_learn
from _reference import MODERATE, SQUARED_ERROR_ONLY
from promise_learn import (
    HuberRegressor,
    LogisticRegression,
    PoissonRegressor,
    Ridge,
    RidgeClassifier,
    SquaredHingeClassifier,
)
from promise_learn.preconditioners import Nystrom
from promise_learn.solvers import SOLVERS, NewtonCG, Step

CLASSIFIERS = (RidgeClassifier, LogisticRegression, SquaredHingeClassifier)
ALL = pytest.mark.parametrize(
    "make", [Ridge, HuberRegressor, PoissonRegressor, *CLASSIFIERS]
)


def has_c(make):
    """Whether the penalty is given by its inverse."""
    return "C" in make().get_params()


def problem(make, n=200, p=10, dtype="float64"):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p)).astype(dtype) * np.geomspace(
        0.1, 10, p, dtype=dtype
    )
    y = X @ rng.standard_normal(p) + 5 * rng.standard_normal(n)
    if make is PoissonRegressor:
        y = np.floor(np.exp(y / 20))
    return X, (np.digitize(y, [-5, 5]) if is_classifier(make()) else y)


EVERY_SOLVER = [
    pytest.param(make, name, id=f"{make.__name__}-{name}")
    for make in (Ridge, LogisticRegression)
    for name in SOLVERS
    if make is Ridge or name not in SQUARED_ERROR_ONLY
]


def stored(path, X):
    """X as a memory-mapped file that cannot be written."""
    np.save(path, X)
    return np.load(path, mmap_mode="r")


@ALL
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_any_storage_of_x_gives_the_same_fit(make, dtype, tmp_path):
    X, y = problem(make, dtype=dtype)
    X[X < 0] = 0
    # products of float32 blocks round at 1e-7: of the objective, 1e-9 is left, and of
    # three classes 1.2e-8 where BLAS has the longest vectors (AVX-512)
    tol = 1e-13 if dtype == "float64" else 2e-8
    expected = make(tol=tol).fit(X, y)
    frozen = X.copy()
    frozen.flags.writeable = False
    wide = sparse.csr_array(X)
    wide.indices, wide.indptr = (
        a.astype(np.int64) for a in (wide.indices, wide.indptr)
    )
    shuffled = sparse.csr_array(X[:, ::-1])
    shuffled.indices = X.shape[1] - 1 - shuffled.indices
    shuffled.has_sorted_indices = shuffled.has_canonical_format = False
    for data in (
        np.asfortranarray(X),
        np.repeat(X, 2, axis=0)[::2],
        frozen,
        stored(tmp_path / "X.npy", X),
        sparse.csr_array(X),
        sparse.csr_matrix(X),
        wide,
        shuffled,
        sparse.csc_array(X),
        sparse.coo_matrix(X),
        pd.DataFrame(X),
        X.tolist() if dtype == "float64" else X,
    ):
        model = make(tol=tol).fit(data, y)
        assert model.coef_.dtype == dtype
        tight = {"rtol": 1e-6, "atol": 1e-8} if dtype == "float64" else {"rtol": 2e-3}
        assert_allclose(model.coef_, expected.coef_, **tight)
        assert_allclose(model.predict(data), expected.predict(X), rtol=1e-3)


@ALL
def test_fit_leaves_its_input_alone(make):
    X, y = problem(make)
    repeated = sparse.csr_array((np.ones(4), [1, 1, 0, 1], [0, 2, 3, 4]), shape=(3, 2))
    before = repeated.copy()
    labels = [0, 1, 1]
    model = make().fit(repeated, labels)
    assert_array_equal(repeated.data, before.data)
    assert_array_equal(repeated.indices, before.indices)
    expected = make().fit(repeated.toarray(), labels).coef_
    assert_allclose(model.coef_, expected, rtol=1e-2, atol=1e-12)
    weights = np.ones(len(X))
    copies = X.copy(), y.copy(), weights.copy()
    make().fit(X, y, weights)
    for value, copy in zip((X, y, weights), copies, strict=True):
        assert_array_equal(value, copy)


@ALL
def test_integers_and_booleans_become_float64(make):
    X, y = problem(make)
    whole = X.round().astype(int)
    expected = make(tol=1e-13).fit(whole.astype(float), y)
    for data in (whole, sparse.csr_array(whole), whole.astype(object)):
        model = make(tol=1e-13).fit(data, y)
        assert model.coef_.dtype == np.float64
        assert_allclose(model.coef_, expected.coef_, rtol=1e-6, atol=1e-6)
    assert make().fit(X > 0, y).coef_.dtype == np.float64


@ALL
def test_order_of_rows_does_not_matter(make):
    X, y = problem(make)
    order = np.random.default_rng(1).permutation(len(X))
    plain = make().fit(X, y)
    permuted = make().fit(X[order], y[order])
    # both are within tol = 1e-6 of the optimum, hence sqrt(1e-6) in the coefficients
    assert_allclose(permuted.coef_, plain.coef_, rtol=1e-3, atol=1e-3)
    exact, exactly = (
        make(tol=1e-14).fit(X[rows], y[rows]) for rows in (slice(None), order)
    )
    assert_allclose(exactly.coef_, exact.coef_, rtol=1e-6, atol=1e-8)


@ALL
def test_feature_names_are_kept_and_checked(make):
    X, y = problem(make)
    frame = pd.DataFrame(X, columns=[f"column {k}" for k in range(X.shape[1])])
    model = make().fit(frame, pd.Series(y, index=np.arange(len(y))[::-1]))
    assert_array_equal(model.feature_names_in_, frame.columns)
    assert_allclose(model.coef_, make().fit(X, y).coef_)
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame.rename(columns={"column 0": "another"}))
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(X)


@ALL
def test_series_of_weights_and_a_single_number(make):
    X, y = problem(make)
    weights = np.random.default_rng(1).uniform(0.5, 2, len(y))
    expected = make().fit(X, y, weights).coef_
    for given in (pd.Series(weights), weights.tolist(), weights.astype(object)):
        assert_array_equal(make().fit(X, y, given).coef_, expected)
    assert_allclose(make().fit(X, y, 1.0).coef_, make().fit(X, y).coef_)


@ALL
def test_weights_k_times_larger_ask_for_k_times_the_penalty(make):
    X, y = problem(make)
    plain = make(tol=1e-13).fit(X, y)
    k = 1.0 if make is PoissonRegressor else 7.0  # its penalty is that of a mean
    larger = {"C": 1 / k} if has_c(make) else {"alpha": make().alpha * k}
    model = make(tol=1e-13, **larger).fit(X, y, np.full(len(y), 7.0))
    assert_allclose(model.coef_, plain.coef_, rtol=1e-6)


@ALL
def test_large_and_small_weights_do_not_change_the_fit(make):
    X, y = problem(make)
    free = {"C": np.inf} if has_c(make) else {"alpha": 0.0}
    plain = make(tol=1e-12, **free).fit(X, y)
    for k in (1e-30, 1e30):
        model = make(tol=1e-12, **free).fit(X, y, np.full(len(y), k))
        assert_allclose(model.coef_, plain.coef_, rtol=1e-4, atol=1e-6)


def to_be_refitted(make, name):
    """Model with a warm start that has been fitted, its objective, and its data."""
    X, y = problem(make)
    tol = 1e-3 if name in MODERATE else 1e-5
    model = make(solver=name, tol=tol, warm_start=True, random_state=0).fit(X, y)
    return model, model.history_["objective"][-1], X, y


@pytest.mark.parametrize(("make", "name"), EVERY_SOLVER)
def test_refit_at_the_solution_takes_one_iteration(make, name):
    model, value, X, y = to_be_refitted(make, name)
    model.fit(X, y)
    assert np.max(model.n_iter_) == 1
    assert model.history_["objective"][0] <= value * (1 + 1e-12)


@pytest.mark.parametrize(("make", "name"), EVERY_SOLVER)
def test_warm_start_at_a_shift_over_classes_goes_to_the_minimum(make, name):
    """What all classes share has no curvature but that of the penalty."""
    model, value, X, y = to_be_refitted(make, name)
    model.coef_ = model.coef_ + 3.0
    model.fit(X, y)
    assert model.history_["objective"][-1] <= value * (1 + model.tol)


@ALL
def test_warm_start_survives_centring_sparsity_and_dtype(make):
    X, y = problem(make)
    X += 100  # far from centred
    for first, second in ((X, sparse.csr_array(X)), (sparse.csr_array(X), X)):
        model = make(warm_start=True, tol=1e-8).fit(first, y)
        model.fit(second, y)
        assert np.max(model.n_iter_) == 1
    model.fit(X.astype("float32"), y)
    assert model.coef_.dtype == "float32"
    assert np.max(model.n_iter_) <= 2  # the data were rounded


@ALL
def test_warm_start_of_another_problem_starts_cold(make):
    X, y = problem(make)
    model = make(warm_start=True).fit(X, y)
    model.fit(X[:, :7], y)
    assert model.n_features_in_ == 7
    assert_array_equal(model.coef_, make().fit(X[:, :7], y).coef_)
    model.set_params(fit_intercept=False).fit(X[:, :7], y)
    assert not np.any(model.intercept_)
    model.set_params(fit_intercept=True).fit(X[:, :7], y)
    assert_allclose(model.coef_, make().fit(X[:, :7], y).coef_, rtol=1e-3, atol=1e-3)
    if is_classifier(model):
        model.fit(X[:, :7], y > 1)
        assert_array_equal(model.coef_, make().fit(X[:, :7], y > 1).coef_)
    elif make is Ridge:
        model.fit(X[:, :7], np.column_stack([y, -y, y + 1]))
        assert model.set_params(fit_intercept=False).fit(X, y).coef_.shape == (10,)


@ALL
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_empty_columns_have_zero_coefficients_and_cost_nothing(
    make, fit_intercept, monkeypatch
):
    X, y = problem(make)
    X *= np.random.default_rng(1).random(X.shape) < 0.3
    used = np.sort(np.random.default_rng(2).choice(9_000, 10, replace=False))
    wide = sparse.csr_array((200, 9_000), dtype=float).tolil()
    wide[:, used] = X
    wide = sparse.csr_array(wide)
    settings = {"tol": 1e-10, "fit_intercept": fit_intercept}
    expected = make(**settings).fit(sparse.csr_array(X), y)
    sizes, original = [], promise_learn._base.minimize

    def watched(f, *arguments, **options):
        sizes.append(f.dim)
        return original(f, *arguments, **options)

    monkeypatch.setattr(promise_learn._base, "minimize", watched)
    model = make(**settings, warm_start=True).fit(wide, y)
    assert set(sizes) == {10 + fit_intercept}
    assert model.n_features_in_ == 9_000
    coef = np.atleast_2d(model.coef_)
    assert coef.shape[1] == 9_000
    assert_allclose(coef[:, used], np.atleast_2d(expected.coef_), rtol=1e-4, atol=1e-5)
    assert not np.delete(coef, used, axis=1).any()
    assert_allclose(model.predict(wide), expected.predict(X), rtol=1e-4)
    assert np.max(model.fit(wide, y).n_iter_) == 1


@ALL
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("shape", [(200, 3), (20, 40)])
def test_an_X_of_zeros(make, shape, storage, dtype, fit_intercept):
    """As a fold of a search may be: the intercept alone is fitted."""
    _, y = problem(make, shape[0])
    y = y > 0 if is_classifier(make()) else y
    model = make(fit_intercept=fit_intercept).fit(storage(np.zeros(shape, dtype)), y)
    assert not np.any(model.coef_)
    assert np.any(model.intercept_) == fit_intercept
    if make in (Ridge, PoissonRegressor) and fit_intercept:
        mean = y.mean() if make is Ridge else np.log(y.mean())
        assert_allclose(model.intercept_, mean, rtol=1e-4)


def test_multi_target_warm_start_may_gain_an_intercept():
    X, y = problem(Ridge)
    Y = np.column_stack([y, y + 1e3, -y])
    model = Ridge(fit_intercept=False, warm_start=True).fit(X, Y)
    model.set_params(fit_intercept=True).fit(X, Y)
    assert_allclose(model.intercept_, Ridge().fit(X, Y).intercept_, rtol=1e-3)


@ALL
def test_without_warm_start_a_refit_repeats_the_fit(make):
    X, y = problem(make)
    model = make(random_state=0).fit(X, y)
    coef, n_iter = model.coef_, model.n_iter_
    model.fit(X, y)
    assert_array_equal(model.coef_, coef)
    assert_array_equal(model.n_iter_, n_iter)


@pytest.mark.parametrize(("make", "name"), EVERY_SOLVER)
def test_random_state_of_every_kind(make, name):
    X, y = problem(make)
    make = make(solver=name, tol=1e-4).set_params

    def coef(state):
        return clone(make()).set_params(random_state=state).fit(X, y).coef_

    before = np.random.get_state()[1].copy()  # noqa: NPY002
    assert_array_equal(coef(3), coef(3))
    legacy, modern = np.random.RandomState, np.random.default_rng
    assert_array_equal(coef(legacy(3)), coef(legacy(3)))
    assert_array_equal(coef(modern(3)), coef(modern(3)))
    assert np.isfinite(coef(None)).all()
    # the global state is neither read nor written
    assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.parametrize(("make", "name"), EVERY_SOLVER)
def test_verbose_prints_a_line_for_every_entry_of_the_history(make, name, capsys):
    X, y = problem(make)
    model = make(solver=name, verbose=1, tol=1e-3, random_state=0).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(model.history_["passes"])
    for line in lines:
        assert re.match(rf"\[{name}\] pass +\d+\.\d .* objective \S+  gap \S+$", line)
    make(solver=name, tol=1e-3).fit(X, y)
    assert not capsys.readouterr().out


@ALL
def test_pickle_and_clone(make):
    X, y = problem(make)
    solver = NewtonCG(preconditioner=Nystrom(rank=4))
    model = make(solver=solver, random_state=0).fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.predict(X), model.predict(X))
    assert_array_equal(again.history_["objective"], model.history_["objective"])
    copy = clone(model)
    assert copy.solver is not solver
    assert copy.solver.preconditioner.rank == 4
    with pytest.raises(NotFittedError):
        copy.predict(X)
    assert repr(solver) == "NewtonCG(preconditioner=Nystrom(rank=4))"


@ALL
def test_fit_changes_no_parameter(make):
    X, y = problem(make)
    model = make(solver=NewtonCG(preconditioner=Nystrom(rank=4)), random_state=0)
    before = repr(model.get_params())
    model.fit(X, y)
    assert repr(model.get_params()) == before


@ALL
def test_nested_parameters_are_set_and_searched(make):
    X, y = problem(make)
    model = make(solver=NewtonCG(preconditioner=Nystrom(rank=4)), random_state=0)
    model.set_params(solver__preconditioner__rank=7, solver__max_cg=50)
    assert model.solver.preconditioner.rank == 7
    search = GridSearchCV(model, {"solver__preconditioner__rank": [2, 5]}, cv=2)
    search.fit(X, y)
    assert search.best_params_["solver__preconditioner__rank"] in (2, 5)
    assert search.best_estimator_.solver_ == "newton-cg"


@pytest.mark.parametrize("backend", ["loky", "threading"])
@ALL
def test_grid_search_in_parallel(make, backend):
    from joblib import parallel_backend

    X, y = problem(make)
    grid = {"C" if has_c(make) else "alpha": [0.01, 1.0, 100.0]}
    expected = GridSearchCV(make(), grid, cv=3).fit(X, y)
    with parallel_backend(backend, n_jobs=2):
        search = GridSearchCV(make(), grid, cv=3, n_jobs=2, error_score="raise")
        search.fit(X, y)
    assert search.best_params_ == expected.best_params_
    scores = "mean_test_score"
    assert_allclose(search.cv_results_[scores], expected.cv_results_[scores], rtol=1e-8)


@ALL
def test_cross_validation_in_a_pipeline(make):
    load = load_breast_cancer if is_classifier(make()) else load_diabetes
    X, y = load(return_X_y=True)
    scores = cross_val_score(make_pipeline(StandardScaler(), make()), X, y)
    assert scores.mean() > (0.9 if is_classifier(make()) else 0.4)


@ALL
def test_set_output_of_a_pipeline_names_the_features(make):
    X, y = problem(make)
    names = [f"column {k}" for k in range(X.shape[1])]
    pipeline = make_pipeline(StandardScaler(), make()).set_output(transform="pandas")
    pipeline.fit(pd.DataFrame(X, columns=names), y)
    assert list(pipeline[-1].feature_names_in_) == names
    plain = make_pipeline(StandardScaler(), make()).fit(X, y)
    assert_allclose(pipeline[-1].coef_, plain[-1].coef_)


@ALL
def test_metadata_routing_carries_sample_weight(make):
    X, y = problem(make)
    weights = np.random.default_rng(1).uniform(0, 2, len(y))
    grid = {"C" if has_c(make) else "alpha": [1.0]}
    with sklearn.config_context(enable_metadata_routing=True):
        model = make().set_fit_request(sample_weight=True)
        model.set_score_request(sample_weight=True)
        search = GridSearchCV(model, grid, cv=2).fit(X, y, sample_weight=weights)
    expected = clone(search.best_estimator_).fit(X, y, weights)
    assert_allclose(search.best_estimator_.coef_, expected.coef_)
    assert expected.score(X, y, weights) != expected.score(X, y)


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
@ALL
def test_an_interrupted_fit_leaves_the_estimator_as_it_was(make, error, monkeypatch):
    X, y = problem(make)
    model, fresh = make(random_state=0).fit(X, y), make()
    before = dict(vars(model))

    def interrupted(self, f, w, rng):
        yield Step(w)
        raise error

    monkeypatch.setattr(NewtonCG, "iterate", interrupted)
    for estimator in (model, fresh):
        estimator.set_params(solver="newton-cg")
        with pytest.raises(error):
            estimator.fit(X[:, :5], y)
    before["solver"] = "newton-cg"
    assert vars(model) == before
    assert vars(fresh).keys() == make().get_params().keys()
    assert model.predict(X).shape == y.shape


@ALL
def test_not_converging_warns_once_with_numbers_at_the_line_of_fit(make):
    X, y = problem(make)
    model = make(solver="lbfgs", max_iter=1, tol=1e-9)
    with pytest.warns(ConvergenceWarning) as record:
        model.fit(X, y)  # this line
    assert len(record) == (3 if make is SquaredHingeClassifier else 1)  # one a problem
    assert record[0].filename == __file__
    line = Path(__file__).read_text().splitlines()[record[0].lineno - 1]
    assert line.endswith("# this line")
    text = str(record[0].message)
    found = re.search(r"suboptimality (\S+), requested tol 1.0e-09", text)
    assert float(found[1]) > 1e-9
    assert re.match(r"lbfgs reached max_iter after 1 iterations \(\d+ passes", text)
    assert "Increase max_iter" in text


@pytest.mark.parametrize(("make", "name"), EVERY_SOLVER)
def test_one_iteration_is_reported_truthfully_by_every_solver(make, name):
    X, y = problem(make, n=300, p=40)
    best = make(tol=1e-13).fit(X, y).history_["objective"][-1]
    model = make(solver=name, max_iter=1, tol=1e-9, random_state=0)
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        model.fit(X, y)
    gap = model.history_["objective"][-1] / best - 1
    if record:
        assert len(record) == 1
        assert re.search("suboptimality [0-9.]+e", str(record[0].message))
        assert model.history_["gap"][-1] > 1e-9
    else:
        assert gap <= 1e-9
    assert len(model.history_["gap"]) == 1
    assert np.isfinite(model.coef_).all()


@ALL
def test_what_scikit_learn_has_and_we_do_not_is_refused(make):
    for name in ("positive", "copy_X", "penalty", "l1_ratio", "dual", "n_jobs"):
        with pytest.raises(TypeError, match=f"unexpected keyword argument '{name}'"):
            make(**{name: None})
    with pytest.raises(ValueError, match="Invalid parameter 'penalty'"):
        make().set_params(penalty="l1")


@ALL
def test_docstrings_name_every_parameter_and_attribute(make):
    text = inspect.getdoc(make)
    for name in make().get_params():
        assert re.search(rf"\b{name}\b", text), name
    X, y = problem(make)
    for name in vars(make().fit(X, y)):
        if name.endswith("_"):
            assert re.search(rf"\b{name}\b", text), name


def test_public_estimators_are_these():
    estimators = {
        name
        for name in promise_learn.__all__
        if inspect.isclass(getattr(promise_learn, name))
        and hasattr(getattr(promise_learn, name), "fit")
    }
    assert estimators == {
        "HuberRegressor",
        "LogisticRegression",
        "PoissonRegressor",
        "RandomFeatures",  # this and the next two have a file of their own
        "RandomFeaturesClassifier",
        "RandomFeaturesRegressor",
        "Ridge",
        "RidgeClassifier",
        "SquaredHingeClassifier",
    }
