"""Wrong input meets one clear error, and extreme but valid input a truthful fit."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from promise_learn import (
    HuberRegressor,
    LogisticRegression,
    PoissonRegressor,
    Ridge,
    RidgeClassifier,
    SquaredHingeClassifier,
)
from promise_learn._compat import InvalidParameterError, validate
from promise_learn.preconditioners import Nystrom
from promise_learn.solvers import SOLVERS, Direct, NewtonCG

CLASSES = [RidgeClassifier, LogisticRegression, SquaredHingeClassifier]
MODELS = [Ridge, HuberRegressor, PoissonRegressor, *CLASSES]
ALL = pytest.mark.parametrize("make", MODELS)
CLASSIFIERS = pytest.mark.parametrize("make", CLASSES)
STORAGE = pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])


def problem(n=30, p=3):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p))
    return X, (X[:, 0] + rng.standard_normal(n) > 0).astype(int)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@STORAGE
@ALL
def test_x_that_is_not_finite(make, storage, value):
    X, y = problem()
    X[7, 1] = value
    with pytest.raises(ValueError, match=r"Input X contains (NaN|infinity)"):
        make().fit(storage(X), y)
    model = make().fit(*problem())
    with pytest.raises(ValueError, match=r"Input X contains (NaN|infinity)"):
        model.predict(storage(X))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("rows", [np.s_[-3:], np.s_[::750_000]])
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e308])
def test_large_x_that_is_not_finite(value, rows, order):
    """Entries enough for two threads, sums of one, or of both, overflow silently."""
    X = np.zeros((1_500_000, 2), order=order)
    X[rows, 0] = value
    y = np.arange(len(X), dtype=float)
    if np.isfinite(value):
        assert validate(Ridge(), X) is X
        return
    with pytest.raises(ValueError, match=r"Input X contains (NaN|infinity)"):
        Ridge().fit(X, y)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@ALL
def test_y_that_is_not_finite(make, value):
    X, y = problem()
    y = y.astype(float)
    y[7] = value
    with pytest.raises(ValueError, match=r"Input y contains (NaN|infinity)"):
        make().fit(X, y)


@ALL
def test_no_y_or_missing_labels(make):
    X, y = problem()
    with pytest.raises(ValueError, match="requires y to be passed"):
        make().fit(X, None)
    if is_classifier(make()):
        labels = np.array(["a", "b"], dtype=object)[y]
        labels[3] = None
        with pytest.raises((ValueError, TypeError), match="None"):
            make().fit(X, labels)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((0, 3), r"Found array with 0 sample\(s\) \(shape=\(0, 3\)\)"),
        ((30, 0), r"Found array with 0 feature\(s\) \(shape=\(30, 0\)\)"),
    ],
)
@STORAGE
@ALL
def test_empty_x(make, storage, shape, message):
    with pytest.raises(ValueError, match=message):
        make().fit(storage(np.zeros(shape)), np.arange(shape[0]) % 2)


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.zeros(30), np.zeros(30), "Expected 2D array, got 1D array"),
        (np.zeros((30, 2, 2)), np.zeros(30), "Found array with dim 3"),
        (1.0, np.zeros(30), "Expected 2D array, got scalar array"),
        (np.array(1.0), np.zeros(30), "Expected 2D array, got scalar array"),
        (
            np.zeros((30, 2)),
            np.zeros(29),
            r"numbers of samples: \[30, 29\]",
        ),
        (
            np.zeros((30, 2)),
            1.0,
            "got scalar|y should be a 1d array",
        ),
        (
            np.zeros((30, 2)),
            np.zeros((30, 2, 2)),
            "y should be a 1d|with dim 3",
        ),
        ("text", np.zeros(30), "Expected 2D array|could not convert"),
        (np.full((30, 2), "text"), np.zeros(30), "could not convert string"),
        ([[1, 2], [3]], [0, 1], "inhomogeneous|setting an array element"),
    ],
)
@ALL
def test_wrong_shapes_and_types_of_data(make, X, y, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make().fit(X, y)


@STORAGE
@ALL
def test_complex_data(make, storage):
    X, y = problem()
    with pytest.raises(ValueError, match="Complex data not supported"):
        make().fit(storage(X + 1j), y)
    with pytest.raises(ValueError, match="Complex data not supported"):
        make().fit(X, y + 1j)


@ALL
def test_sparse_targets(make):
    X, y = problem()
    with pytest.raises(
        ValueError, match=r"Sparse y is not supported: pass y.toarray\(\)"
    ):
        make().fit(X, sparse.csr_array(y[:, None]))


@CLASSIFIERS
def test_targets_that_are_no_classes(make):
    X, y = problem()
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        make().fit(X, y + 0.5 * X[:, 0])
    with pytest.raises(
        ValueError, match="y should be a 1d array, got an array of shape"
    ):
        make().fit(X, np.column_stack([y, y]))


@CLASSIFIERS
def test_one_class(make):
    X, y = problem()
    only = "only one class: 1"
    for labels in (np.ones(30), np.ones(30, dtype=int), [1] * 30):
        with pytest.raises(ValueError, match=only):
            make().fit(X, labels)
    with pytest.raises(ValueError, match="only one class: 'a'"):
        make().fit(X, ["a"] * 30)
    # one class left by the weights
    with pytest.raises(ValueError, match=only):
        make().fit(X, y, sample_weight=y)
    with pytest.raises(ValueError, match=only):
        make(class_weight={0: 0.0}).fit(X, y)


@ALL
def test_one_row(make):
    if is_classifier(make()):
        with pytest.raises(ValueError, match="only one class: 1"):
            make().fit([[1.0, 2.0]], [1])
    else:
        model = make().fit([[1.0, 2.0]], [3.0])
        assert_allclose(model.predict([[1.0, 2.0]]), 3.0)
        model = make(alpha=1.0, fit_intercept=False, tol=1e-14)
        model.fit([[1.0, 2.0]], [3.0])
        # alpha w = x times the residual, of Huber's within the threshold of 1.35 or not
        residual = 3.0 - model.predict([[1.0, 2.0]])[0]
        slope = min(residual, getattr(model, "delta", np.inf))
        assert_allclose(model.coef_, [slope, 2 * slope], 1e-6)


@ALL
def test_as_many_rows_as_the_columns_of_one_feature(make):
    X, y = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]
    for data in (X, sparse.csr_array(X)):
        assert make().fit(data, y).predict([[10.0]])[0] >= 0.9


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([-1.0] + [1.0] * 29, "Negative values in data passed to `sample_weight`"),
        (np.zeros(30), "sample_weight is zero|at least one non-zero number"),
        (0.0, "sample_weight is zero|at least one non-zero number"),
        (-1.0, "Negative values in data passed to `sample_weight`"),
        ([np.nan] + [1.0] * 29, "Input sample_weight contains NaN"),
        ([np.inf] + [1.0] * 29, "Input sample_weight contains infinity"),
        (np.ones(29), r"sample_weight.shape == \(29,\), expected \(30,\)"),
        (np.ones((30, 1)), "Sample weights must be 1D array or scalar"),
        (np.ones(30) * 1j, "Complex data not supported"),
        (["a"] * 30, "could not convert string"),
        (np.full(30, 1e308), "The sum of sample_weight overflows"),
    ],
)
@ALL
def test_bad_sample_weights(make, weights, message):
    with pytest.raises(ValueError, match=message):
        make().fit(*problem(), sample_weight=weights)


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ({0: -1.0}, "class_weight must be finite and not negative"),
        ({0: np.nan}, "class_weight must be finite and not negative"),
        ({0: np.inf}, "class_weight must be finite and not negative"),
        ({7: 1.0}, r"The classes, \[0, 1\], are not in class_weight"),
        ("balance", "'class_weight' parameter of .* must be an instance of 'dict'"),
        ([1.0, 2.0], "'class_weight' parameter of .* must be an instance of 'dict'"),
    ],
)
@CLASSIFIERS
def test_bad_class_weights(make, class_weight, message):
    with pytest.raises(ValueError, match=message):
        make(class_weight=class_weight).fit(*problem())


@pytest.mark.parametrize("alpha", [-1.0, -1e-300, np.nan, np.inf, "1", None, True])
@pytest.mark.parametrize("make", [Ridge, HuberRegressor, PoissonRegressor])
def test_bad_alpha(make, alpha):
    message = (
        f"The 'alpha' parameter of {make.__name__} must be a float in the range [0"
    )
    with pytest.raises(InvalidParameterError, match=re.escape(message)):
        make(alpha=alpha).fit(*problem())


@pytest.mark.parametrize(
    ("alpha", "message"),
    [
        ([1.0, -1.0], r"alpha must be finite and not negative, got \[ 1. -1.\]"),
        ([1.0, np.nan], "alpha must be finite and not negative"),
        ([1.0, 2.0, 3.0], r"alpha has shape \(3,\), and there are 2 targets"),
        ([[1.0, 2.0]], r"alpha has shape \(1, 2\), and there are 2 targets"),
        ([], r"alpha has shape \(0,\), and there are 2 targets"),
        (["a", "b"], "could not convert string"),
    ],
)
def test_bad_alpha_of_each_target(alpha, message):
    X, y = problem()
    with pytest.raises(ValueError, match=message):
        Ridge(alpha=alpha).fit(X, np.column_stack([y, 1 - y]))


@pytest.mark.parametrize("C", [0, 0.0, -1.0, np.nan, "1", None, True, [1.0]])
@pytest.mark.parametrize("make", [LogisticRegression, SquaredHingeClassifier])
def test_bad_c(make, C):
    message = f"The 'C' parameter of {make.__name__} must be a float in the range (0"
    with pytest.raises(InvalidParameterError, match=re.escape(message)):
        make(C=C).fit(*problem())


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("fit_intercept", "yes", "must be an instance of 'bool'"),
        ("fit_intercept", None, "must be an instance of 'bool'"),
        ("tol", 0, "must be a float in the range (0.0, inf)"),
        ("tol", -1e-3, "must be a float in the range (0.0, inf)"),
        ("tol", np.nan, "must be a float in the range (0.0, inf)"),
        ("tol", "small", "must be a float in the range (0.0, inf)"),
        ("max_iter", 0, "must be an int in the range [1, inf) or None"),
        ("max_iter", 10.0, "must be an int in the range [1, inf) or None"),
        ("max_iter", True, "must be an int in the range [1, inf) or None"),
        ("solver", None, "must be a str among {'auto', 'direct'"),
        ("solver", "cholesky", "or an instance of 'Solver'. Got 'cholesky' instead"),
        ("solver", NewtonCG, "or an instance of 'Solver'"),
        ("preconditioner", 3, "must be an instance of 'str', an instance of"),
        ("preconditioner", Nystrom, "must be an instance of 'str', an instance of"),
        (
            "preconditioner",
            "jacobi",
            "preconditioner='jacobi' is not known; use one of",
        ),
        ("warm_start", "no", "must be an instance of 'bool'"),
        ("random_state", "seed", "must be an int in the range [0, 4294967295]"),
        ("random_state", -1, "must be an int in the range [0, 4294967295]"),
        ("random_state", 0.5, "must be an int in the range [0, 4294967295]"),
        ("verbose", -1, "must be an instance of 'bool'"),
        ("verbose", "loud", "must be an instance of 'bool'"),
    ],
)
@ALL
def test_bad_parameters(make, name, value, message):
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        make(**{name: value}).fit(*problem())
    assert name in str(error.value)


@pytest.mark.parametrize("name", SOLVERS)
def test_a_preconditioner_for_a_solver_that_uses_none(name):
    X, y = problem()
    if SOLVERS[name].uses_preconditioner:
        model = Ridge(solver=name, preconditioner="diagonal", tol=0.1, random_state=0)
        assert model.fit(X, y).solver_ == name
        return
    for given in ("nystrom", Nystrom(rank=2), None):
        with pytest.raises(ValueError, match=f"solver='{name}' uses no preconditioner"):
            Ridge(solver=name, preconditioner=given).fit(X, y)


@ALL
def test_a_preconditioner_beside_a_solver_object(make):
    for solver in (NewtonCG(), Direct()):
        with pytest.raises(
            ValueError, match="preconditioner was given beside a solver"
        ):
            make(solver=solver, preconditioner="nystrom").fit(*problem())


@ALL
def test_predict_before_fit_and_on_other_columns(make):
    X, y = problem()
    names = ["predict", "decision_function", "predict_proba", "predict_log_proba"]
    for name in filter(lambda name: hasattr(make, name), names):
        with pytest.raises(NotFittedError, match="is not fitted yet"):
            getattr(make(), name)(X)
        message = f"X has 2 features, but {make.__name__} is expecting 3 features"
        with pytest.raises(ValueError, match=message):
            getattr(make().fit(X, y), name)(X[:, :2])


@ALL
def test_a_failed_fit_leaves_the_estimator_as_it_was(make):
    X, y = problem()
    model = make().fit(X, y)
    before = dict(vars(model))
    for bad in (X[:, :2].astype(complex), np.full((30, 7), np.nan), X[:20]):
        with pytest.raises(ValueError, match=r"Complex|NaN|inconsistent"):
            model.fit(bad, y)
        assert vars(model) == before


@pytest.mark.parametrize("broken", ["negative", "too large", "decreasing"])
@ALL
def test_csr_whose_indices_overflowed(make, broken):
    """An int32 that wrapped around; compiled code must not follow it."""
    X, y = problem()
    data = sparse.csr_array(X)
    if broken == "decreasing":
        data.indptr[3] = data.indptr[5]
    else:
        data.indices[4] = -(2**31) if broken == "negative" else 2**31 - 1
    with pytest.raises(ValueError, match="X is not a valid CSR matrix"):
        make().fit(data, y)


@ALL
def test_int64_indices_beyond_int32_are_kept(make):
    """More columns than int32 can count; all but a few are empty."""
    from promise_learn._compat import validate

    X, y = problem()
    wide = sparse.csr_array(
        (X.ravel(), np.tile([0, 5, 2**31 + 5], 30), np.arange(0, 91, 3)),
        shape=(30, 2**31 + 6),
    )
    checked, _ = validate(make(), wide, y)
    assert checked.indices.dtype == np.int64
    assert checked.indices.max() == 2**31 + 5
    narrow = wide[:, :10].astype(float)
    narrow.indices = narrow.indices.astype(np.int64)
    checked, _ = validate(make(), narrow, y)
    assert checked.indices.dtype == checked.indptr.dtype == np.int32


@ALL
def test_integers_too_large_for_a_float(make):
    X, y = problem()
    large = X.astype(object)
    large[0, 0] = 10**400
    with pytest.raises((ValueError, OverflowError), match="too large"):
        make().fit(large, y)
    # beyond 2^53 neighbours coincide in float64, as in NumPy
    whole = (X * 2**60).astype(np.int64)
    assert np.isfinite(make().fit(whole, y).coef_).all()


@ALL
def test_tables_with_text_or_missing_values(make):
    X, y = problem()
    frame = pd.DataFrame(X).assign(text="a")
    with pytest.raises(
        (ValueError, TypeError), match=r"could not convert|mixed|string"
    ):
        make().fit(frame.rename(columns=str), y)
    frame = pd.DataFrame(X)
    frame.iloc[3, 1] = pd.NA
    with pytest.raises((ValueError, TypeError), match=r"NaN|NA"):
        make().fit(frame, y)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("C", [1e10, np.inf])
@STORAGE
def test_separated_classes_without_a_penalty_stay_finite_and_warn_once(
    storage, C, classes
):
    rng = np.random.default_rng(0)
    y = np.arange(60) % classes
    X = rng.standard_normal((60, 4)) + 10 * np.eye(4)[y]
    for name in ["auto", "newton-cholesky", "newton-cg", "lbfgs"]:
        model = LogisticRegression(C=C, solver=name, random_state=0)
        with pytest.warns(ConvergenceWarning) as record:
            model.fit(storage(X), y)
        assert len(record) == 1, [str(r.message) for r in record]
        assert "separated perfectly" in str(record[0].message)
        assert "decrease C" in str(record[0].message)
        assert record[0].filename == __file__
        assert np.isfinite(model.coef_).all()
        assert np.isfinite(model.intercept_).all()
        assert np.isfinite(model.predict_log_proba(X)).all()
        assert (model.predict(X) == y).all()


def test_separated_classes_at_an_ordinary_penalty_do_not_warn():
    y = np.arange(60) % 2
    X = np.random.default_rng(0).standard_normal((60, 4)) + 10 * np.eye(4)[y]
    assert LogisticRegression().fit(X, y).score(X, y) == 1


def test_a_tiny_loss_with_a_row_on_the_wrong_side_is_not_called_separated():
    y = np.arange(60) % 2
    X = np.random.default_rng(0).standard_normal((60, 4)) + 10 * np.eye(4)[y]
    y[0] = 1
    weights = np.ones(60)
    weights[0] = 1e-9
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        model = LogisticRegression(C=1e10).fit(X, y, weights)
    assert model.history_["objective"][-1] < 1e-6
    assert not [r for r in record if "separated" in str(r.message)]


@pytest.mark.parametrize("scale", [1e-150, 1e-30, 1e30, 1e140])
@ALL
def test_extreme_scales_of_x_end_in_a_truthful_fit(make, scale):
    X, y = problem()
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        model = make().fit(X * scale, y)
    assert np.isfinite(model.coef_).all()
    assert np.isfinite(model.predict(X * scale)).all()
    assert len(record) <= 1
    assert not [r for r in record if r.category is not ConvergenceWarning]


@pytest.mark.parametrize("scale", [1e-140, 1e-30, 1e30, 1e140])
def test_extreme_scales_of_y_scale_the_coefficients(scale):
    X, y = problem()
    plain = Ridge(tol=1e-12).fit(X, y)
    model = Ridge(tol=1e-12).fit(X, y * scale)
    assert_allclose(model.coef_ / scale, plain.coef_, rtol=1e-6)


def test_targets_whose_square_overflows_are_reported():
    X, y = problem()
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        model = Ridge().fit(X, y * 1e200)
    assert [r.category for r in record] == [ConvergenceWarning]
    assert "diverged" in str(record[0].message)
    assert np.isfinite(model.coef_).all()


@pytest.mark.parametrize("dtype", ["f4", "f8", ">f8", "i8"])
@pytest.mark.parametrize("targets", ["f8", "f4", ">f8", "i4", "?", "O"])
def test_every_type_of_number_is_fitted_as_float64_would_be(dtype, targets):
    X, y = problem()
    X, y = np.round(8 * X), y > 0
    expected = Ridge().fit(X, y.astype(float)).coef_
    model = Ridge().fit(X.astype(dtype), y.astype(targets))
    assert model.coef_.dtype == (np.float32 if dtype == "f4" else np.float64)
    assert_allclose(model.coef_, expected, rtol=1e-5, atol=1e-6)


def test_arrays_of_the_wrong_shape_are_refused():
    X, y = problem()
    for bad_X, bad_y in ((X, y[:-1]), (X[0], y), (X[None], y), (X[:, :0], y)):
        with pytest.raises(ValueError, match=r"array|samples"):
            Ridge().fit(bad_X, bad_y)
