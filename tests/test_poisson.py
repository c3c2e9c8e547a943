"""PoissonRegressor against scikit-learn's, on made and on real counts."""

import lzma

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn import linear_model
from sklearn.compose import make_column_transformer
from sklearn.metrics import mean_poisson_deviance
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from _shared import FOLDER
from promise_learn import PoissonRegressor


def counts(n=300, p=6, level=0.5):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p)) * np.geomspace(0.1, 3, p)
    X[rng.random((n, p)) < 0.7] = 0
    y = rng.poisson(np.exp(level + 0.3 * X @ rng.standard_normal(p)))
    return X, y.astype(float), rng.uniform(0.2, 2, n)


def reference(fit_intercept=True, **options):
    """scikit-learn's; its Newton solver overflows without an intercept."""
    solver = "newton-cholesky" if fit_intercept else "lbfgs"
    options |= {"tol": 1e-10, "max_iter": 10_000, "fit_intercept": fit_intercept}
    return linear_model.PoissonRegressor(solver=solver, **options)


def objective(model, X, y, weights):
    """1 / (2 S) sum s d(y, mean) + alpha / 2 |w|^2."""
    deviance = mean_poisson_deviance(y, model.predict(X), sample_weight=weights)
    return deviance / 2 + model.alpha / 2 * model.coef_ @ model.coef_


@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("alpha", [0.0, 1e-2, 10.0])
@pytest.mark.parametrize("level", [-3.0, 0.5, 8.0])
def test_same_coefficients_as_scikit_learn(level, alpha, intercept, storage):
    X, y, weights = counts(level=level)
    options = {"alpha": alpha, "fit_intercept": intercept}
    theirs = reference(**options).fit(X, y, weights)
    ours = PoissonRegressor(tol=1e-13, **options).fit(storage(X), y, weights)
    size = np.abs(theirs.coef_).max()
    assert_allclose(ours.coef_, theirs.coef_, 0, 1e-5 * size)
    assert ours.intercept_ == pytest.approx(theirs.intercept_, rel=1e-5, abs=1e-6)
    assert_allclose(ours.predict(storage(X)), theirs.predict(X), 1e-4)
    score = theirs.score(X, y, weights)
    assert ours.score(storage(X), y, weights) == pytest.approx(score, rel=1e-6)
    value = objective(theirs, X, y, weights)
    assert ours.history_["objective"][-1] == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize(
    "name", ["newton-cg", "lbfgs", "sketchy-svrg", "sketchy-saga", "sketchy-katyusha"]
)
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("level", [-3.0, 0.5, 6.0])
def test_every_solver_copes_with_unbounded_curvature(level, intercept, name):
    """Without an intercept all fits start where the curvature is far from the last."""
    X, y, weights = counts(level=level)
    options = {"alpha": 1e-2, "fit_intercept": intercept}
    best = objective(reference(**options).fit(X, y, weights), X, y, weights)
    model = PoissonRegressor(solver=name, random_state=0, **options)
    model.fit(X, y, weights)
    assert objective(model, X, y, weights) <= best * (1 + 1e-5)


def test_targets_are_frequencies_with_exposures_as_weights():
    X, y, exposure = counts()
    rows = np.repeat(np.arange(len(y)), 2)
    model = PoissonRegressor(alpha=0.1, tol=1e-12).fit(X, y / exposure, exposure)
    halves = PoissonRegressor(alpha=0.1, tol=1e-12).fit(
        X[rows], (y / exposure)[rows], exposure[rows] / 2
    )
    assert_allclose(halves.coef_, model.coef_, 1e-6)


def test_negative_targets_are_refused_in_the_words_of_scikit_learn():
    X, y, _ = counts()
    model = PoissonRegressor().fit(X, y)
    y[3] = -1
    message = "out of the valid range of the loss 'HalfPoissonLoss'"
    for fit in (PoissonRegressor().fit, reference().fit):
        with pytest.raises(ValueError, match=message):
            fit(X, y)
    with pytest.raises(ValueError, match=message):
        model.score(X, y)


def test_score_of_a_constant_prediction_is_zero_and_of_equal_targets_defined():
    X, y, _ = counts()
    model = PoissonRegressor(alpha=1e12).fit(X, y)
    assert model.score(X, y) == pytest.approx(0, abs=1e-9)
    assert PoissonRegressor().fit(X, np.full(len(y), 3.0)).score(X, 0 * y + 3) == 1
    assert model.score(X, 0 * y + 50) == 0


def test_all_targets_zero_end_at_a_mean_of_nearly_zero():
    X, y, _ = counts()
    model = PoissonRegressor().fit(X, 0 * y)
    assert model.predict(X).max() < 1e-10


def test_a_huge_margin_predicts_without_nan():
    X, y, _ = counts()
    model = PoissonRegressor().fit(X, y)
    assert np.isfinite(model.score(1e3 * X, y))


def claims(rows):
    """Frequency of claims of French motor policies, and their exposure in years."""
    path = FOLDER / "freMTPL2freq.csv.xz"
    if not path.is_file():
        pytest.skip("freMTPL2freq is not in the folder PROMISE_LEARN_DATA")
    with lzma.open(path, "rt") as file:
        table = pd.read_csv(file, nrows=rows)
    encoder = make_column_transformer(
        (StandardScaler(), ["BonusMalus"]),
        (FunctionTransformer(np.log), ["Density"]),
        (
            OneHotEncoder(min_frequency=20, handle_unknown="infrequent_if_exist"),
            ["VehBrand", "VehPower", "VehGas", "Region", "Area", "VehAge", "DrivAge"],
        ),
    )
    y = table["ClaimNb"].clip(upper=4) / table["Exposure"]
    X = sparse.csr_array(encoder.fit_transform(table))
    return X, y.to_numpy(), table["Exposure"].to_numpy()


@pytest.mark.parametrize("name", ["auto", "newton-cg", "sketchy-svrg"])
@pytest.mark.parametrize("alpha", [1e-6, 1e-3])
def test_claims_of_motor_policies(alpha, name):
    X, y, exposure = claims(20_000)
    theirs = reference(alpha=alpha).fit(X, y, exposure)
    ours = PoissonRegressor(alpha=alpha, solver=name, random_state=0)
    ours.fit(X, y, exposure)
    best = objective(theirs, X, y, exposure)
    assert objective(ours, X, y, exposure) <= best * (1 + 1e-5)
    assert ours.score(X, y, exposure) == pytest.approx(
        theirs.score(X, y, exposure), abs=1e-5
    )
