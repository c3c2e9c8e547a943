"""HuberRegressor against SciPy, scikit-learn and Ridge."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import huber
from sklearn import linear_model

from promise_learn import HuberRegressor, Ridge


def outliers(n=200, p=5, scale=1.0):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p)) * np.geomspace(0.1, 10, p)
    X[rng.random((n, p)) < 0.7] = 0
    y = X @ rng.standard_normal(p) + 3 + rng.standard_t(1.5, n)
    return X, scale * y, rng.uniform(0.2, 2, n)


def value(X, y, s, delta, alpha, w):
    """Sum s huber(y - X w - b) + alpha / 2 |w|^2 for w with the intercept last."""
    residual = y - X @ w[:-1] - w[-1]
    return s @ huber(delta, residual) + 0.5 * alpha * w[:-1] @ w[:-1]


@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize(("delta", "alpha"), [(1.35, 1e-4), (0.2, 10.0), (50.0, 1.0)])
def test_scipy_finds_nothing_better(delta, alpha, storage):
    X, y, s = outliers()
    model = HuberRegressor(delta=delta, alpha=alpha, tol=1e-12)
    model.fit(storage(X), y, s)
    ours = np.append(model.coef_, model.intercept_)

    def slope(w):
        r = s * np.clip(X @ w[:-1] + w[-1] - y, -delta, delta)
        return np.append(X.T @ r + alpha * w[:-1], r.sum())

    found = minimize(
        lambda w: value(X, y, s, delta, alpha, w), np.zeros(6), jac=slope,
        method="BFGS", options={"gtol": 1e-9},
    )  # fmt: skip
    best = value(X, y, s, delta, alpha, found.x)
    assert value(X, y, s, delta, alpha, ours) <= best * (1 + 1e-10)
    assert_allclose(ours, found.x, 1e-4, 1e-5)
    assert model.history_["objective"][-1] == pytest.approx(best / s.sum())


def test_documented_relation_to_the_class_of_scikit_learn():
    X, y, s = outliers()
    theirs = linear_model.HuberRegressor(
        epsilon=1.5, alpha=0.5, tol=1e-9, max_iter=10_000
    )
    theirs.fit(X, y, s)
    ours = HuberRegressor(
        delta=1.5 * theirs.scale_, alpha=0.5 * theirs.scale_, tol=1e-12
    )
    ours.fit(X, y, s)
    # L-BFGS of scikit-learn stops at 1e-4 in the coefficients
    assert_allclose(ours.coef_, theirs.coef_, 0, 1e-3)
    assert ours.intercept_ == pytest.approx(theirs.intercept_, abs=1e-2)


def test_large_threshold_is_ridge():
    X, y, s = outliers()
    ours = HuberRegressor(delta=1e9, alpha=2.0, tol=1e-13).fit(X, y, s)
    assert_allclose(ours.coef_, Ridge(2.0, tol=1e-13).fit(X, y, s).coef_, 1e-6)


@pytest.mark.parametrize("scale", [1e2, 1e4])
def test_small_threshold_is_nearly_the_median_regression(scale):
    """y in large units beside the default threshold: hard, and solved all the same."""
    X, y, _ = outliers(scale=scale)
    model = HuberRegressor(alpha=0.0).fit(X, y)  # warnings are errors
    exact = linear_model.QuantileRegressor(alpha=0.0).fit(X, y)
    ours, best = (np.abs(y - m.predict(X)).sum() for m in (model, exact))
    assert ours <= best + 1.35 / 2 * len(y) * (1 + 1e-3)


def test_outliers_have_bounded_influence():
    X, y, _ = outliers()
    plain = HuberRegressor().fit(X, y).coef_
    y[:10] += 1e6
    assert np.abs(HuberRegressor().fit(X, y).coef_ - plain).max() < 1
    assert np.abs(Ridge().fit(X, y).coef_ - plain).max() > 100


def test_threshold_and_targets_in_other_units_change_only_the_units():
    X, y, s = outliers()
    one = HuberRegressor(delta=1.0, alpha=1.0, tol=1e-12).fit(X, y, s)
    other = HuberRegressor(delta=1e3, alpha=1.0, tol=1e-12).fit(X, 1e3 * y, s)
    assert_allclose(other.coef_, 1e3 * one.coef_, 1e-5)


@pytest.mark.parametrize("delta", [0.0, -1.0, np.inf, None])
def test_threshold_out_of_range(delta):
    X, y, _ = outliers()
    with pytest.raises(ValueError, match="The 'delta' parameter of HuberRegressor"):
        HuberRegressor(delta=delta).fit(X, y)
