"""scikit-learn's own checks, for every estimator and every solver it takes."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import parametrize_with_checks

from _reference import SQUARED_ERROR_ONLY
from promise_learn import LogisticRegression, Ridge, RidgeClassifier
from promise_learn.solvers import SOLVERS


def estimators():
    for estimator in (Ridge, RidgeClassifier, LogisticRegression):
        for name in ["auto", *SOLVERS]:
            if estimator is not LogisticRegression or name not in SQUARED_ERROR_ONLY:
                yield estimator(solver=name)


STRONG = {
    Ridge: {"alpha": 100.0},
    RidgeClassifier: {"alpha": 1e4},
    LogisticRegression: {"C": 0.01},
}


def tightened(estimator):
    """Settings for the checks that compare two fits of one problem to 1e-7.

    The default tol promises 1e-6 in the objective. With a factor of the Hessian both
    fits take the same steps; the other solvers stop as soon as they are there, and are
    asked for all that float64 can give, at a penalty where that is 1e-8 in predictions.
    """
    estimator, name = clone(estimator), estimator.solver
    if name in ("auto", "direct", "newton-cholesky"):
        return estimator
    estimator.set_params(**STRONG[type(estimator)])
    if name == "sketchy-sgd":  # its noise ends where a batch holds all rows
        estimator.set_params(solver=SOLVERS[name](batch_size=1000, steady=np.inf))
    return estimator.set_params(tol=1e-15, max_iter=5000)


def may_warn(name):
    """Whether a fit may end at max_iter: one check has weights of 1e3 and 1e-4."""
    return name == "osgm" or (name in SOLVERS and SOLVERS[name].stochastic)


@parametrize_with_checks(list(estimators()))
def test_scikit_learn_checks(estimator, check):
    with warnings.catch_warnings():
        if may_warn(estimator.solver):  # a truthful warning fails no check
            warnings.simplefilter("ignore", ConvergenceWarning)
        if "sample_weight_equivalence" in check.func.__name__:
            estimator = tightened(estimator)
        check(estimator)


@pytest.mark.parametrize("name", sorted(SQUARED_ERROR_ONLY))
def test_squared_error_solvers_refuse_the_logistic_loss(name):
    X, y = [[0.0], [1.0], [2.0]], [0, 1, 1]
    with pytest.raises(ValueError, match=f"solver='{name}' solves squared-error"):
        LogisticRegression(solver=name).fit(X, y)
