"""scikit-learn's own array-API checks, for every estimator and every solver."""

import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import (
    check_array_api_input_and_values,
    check_array_api_same_namespace,
    estimator_checks_generator,
)

from _strict import SQUARED_ERROR_ONLY
from promise_learn import LogisticRegression, Ridge, RidgeClassifier
from promise_learn.solvers import SOLVERS

INSTALLED = ("numpy", "array_api_strict")
ESTIMATORS = [Ridge(), RidgeClassifier(), LogisticRegression()]


def checks():
    for estimator in ESTIMATORS:
        for _, check in estimator_checks_generator(estimator):
            options = check.keywords
            if options.get("array_namespace") in INSTALLED:
                label = "-".join(str(value) for value in options.values())
                yield pytest.param(estimator, check, id=f"{estimator}-{label}")


@pytest.mark.parametrize(("estimator", "check"), list(checks()))
def test_scikit_learn_checks(estimator, check):
    check(clone(estimator))


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
def test_the_checks_ran_on_strict_arrays(estimator):
    """They are left out silently where SciPy's array support is off."""
    ran = [
        tuple(check.keywords.values())
        for _, check in estimator_checks_generator(estimator)
        if check.keywords.get("array_namespace") == "array_api_strict"
    ]
    assert set(ran) == {
        ("array_api_strict", "CPU_DEVICE", "float64"),
        ("array_api_strict", "device1", "float32"),
        ("array_api_strict",),
    }


def named():
    """All but L-BFGS, which agrees to fewer digits; see test_parity.py."""
    for estimator in (Ridge, RidgeClassifier, LogisticRegression):
        for name in sorted(set(SOLVERS) - {"lbfgs"}):
            if estimator is not LogisticRegression or name not in SQUARED_ERROR_ONLY:
                yield estimator(solver=name, tol=1e-13, random_state=0)


@pytest.mark.parametrize("estimator", list(named()), ids=repr)
@pytest.mark.parametrize("device", ["CPU_DEVICE", "device1"])
@pytest.mark.parametrize("weighted", [False, True])
def test_values_are_those_of_numpy(estimator, device, weighted):
    check_array_api_input_and_values(
        type(estimator).__name__,
        clone(estimator),
        "array_api_strict",
        device,
        check_sample_weight=weighted,
    )


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
def test_another_namespace_in_predict_is_refused_in_scikit_learns_words(estimator):
    name = type(estimator).__name__
    check_array_api_same_namespace(name, estimator, "array_api_strict", "device1")
