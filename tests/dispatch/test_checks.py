"""scikit-learn's own array-API checks, for every estimator and every solver."""

import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import (
    check_array_api_input_and_values,
    estimator_checks_generator,
)

from _strict import SQUARED_ERROR_ONLY, options
from promise_learn import (
    HuberRegressor,
    LogisticRegression,
    PoissonRegressor,
    Ridge,
    RidgeClassifier,
    SquaredHingeClassifier,
)
from promise_learn.solvers import SOLVERS

INSTALLED = ("numpy", "array_api_strict")
ESTIMATORS = [
    Ridge(),
    RidgeClassifier(),
    LogisticRegression(),
    SquaredHingeClassifier(),
    HuberRegressor(),
    PoissonRegressor(),
]


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


def strict_checks():
    """Arguments of the checks that scikit-learn makes of strict arrays."""
    for _, check in estimator_checks_generator(Ridge()):
        options = check.keywords
        if options.get("array_namespace") == "array_api_strict" and len(options) > 1:
            yield options


def test_the_checks_run_on_strict_arrays():
    """They are left out silently where SciPy's array support is off."""
    found = [options["dtype_name"] for options in strict_checks()]
    assert sorted(found) == ["float32", "float64"]


def named():
    """All but those whose paths amplify rounding; see test_parity.py."""
    for estimator in (Ridge, RidgeClassifier, LogisticRegression):
        for name in sorted(set(SOLVERS) - {"dual-cg", "lbfgs", "osgm", "r-ssn"}):
            if estimator is not LogisticRegression or name not in SQUARED_ERROR_ONLY:
                model = estimator(**options(name), random_state=0)
                if name in ("pcg", "newton-cg"):  # stop as soon as tol allows
                    model.set_params(tol=1e-15)
                yield model


@pytest.mark.parametrize("estimator", list(named()), ids=repr)
@pytest.mark.parametrize("device", [0, 1])
@pytest.mark.parametrize("weighted", [False, True])
def test_values_are_those_of_numpy(estimator, device, weighted):
    where = {**list(strict_checks())[device], "dtype_name": "float64"}
    check_array_api_input_and_values(
        type(estimator).__name__, estimator, check_sample_weight=weighted, **where
    )
