"""Losses against finite differences, SciPy, and the compiled formulas."""

import math

import array_api_strict
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, log_softmax, softmax

from promise_learn._arrays import as_numpy
from promise_learn.losses import (
    LOSSES,
    Huber,
    Logistic,
    Loss,
    Multinomial,
    Poisson,
    SquaredError,
    SquaredHinge,
)
from promise_learn.testing import check_loss

N = 60
RNG = np.random.default_rng(0)
TARGETS = {
    "squared_error": [(RNG.standard_normal(N), None), (RNG.standard_normal((N, 3)), 3)],
    "logistic": [(RNG.choice([-1.0, 1.0], N), None)],
    "multinomial": [(RNG.integers(0, K, N).astype(float), K) for K in (2, 3, 10)],
    "squared_hinge": [(RNG.choice([-1.0, 1.0], N), None)],
    "huber": [(3 * RNG.standard_normal(N), None)],
    "poisson": [
        (RNG.poisson(2.0, N).astype(float), None),
        (np.where(np.arange(N) % 3, np.geomspace(1e-8, 50, N), 0.0), None),
    ],
}
CASES = [(name, *case) for name, cases in TARGETS.items() for case in cases]
EXTREME = np.array([-1e4, -700.0, -40.0, -1.0, 0.0, 1e-9, 1.0, 40.0, 700.0, 1e4])


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def test_every_registered_loss_is_tested():
    assert set(TARGETS) == set(LOSSES)


@pytest.mark.parametrize(("name", "y", "columns"), CASES, ids=lambda v: f"{v}"[:14])
def test_contract(name, y, columns):
    check_loss(LOSSES[name](), y, columns)


def test_codes_differ():
    assert len({loss.code for loss in LOSSES.values()}) == len(LOSSES)


class Halved(Logistic):
    def slope(self, eta, y):
        return super().slope(eta, y) / 2


class Overflowing(Logistic):
    def value(self, eta, y):
        return np.log(1 + np.exp(-y * eta))


class LowBound(Multinomial):
    def curvature_bound(self, curvature):
        return np.max(curvature * (1 - curvature), axis=1)


@pytest.mark.parametrize(
    ("loss", "y", "columns", "message"),
    [
        (Halved(), *TARGETS["logistic"][0], "derivative of value"),
        (LowBound(), *TARGETS["multinomial"][1], "below the curvature"),
    ],
)
def test_contract_finds_a_wrong_loss(loss, y, columns, message):
    with pytest.raises(AssertionError, match=message):
        check_loss(loss, y, columns)


def test_contract_finds_overflow():
    with pytest.raises(FloatingPointError):
        check_loss(Overflowing(), *TARGETS["logistic"][0])


def test_logistic_equals_scipy_at_every_margin():
    """Relative to each value, so that the tail at a margin of 700 counts as well."""
    loss = Logistic()
    for label in (-1.0, 1.0):
        y = np.full_like(EXTREME, label)
        value = np.logaddexp(0, -label * EXTREME)
        assert_allclose(loss.value(EXTREME, y), value, 1e-14)
        assert_allclose(loss.slope(EXTREME, y), -label * expit(-label * EXTREME), 1e-14)
        curvature = expit(EXTREME) * expit(-EXTREME)
        assert_allclose(loss.curvature(EXTREME, y), curvature, 1e-14)


@pytest.mark.parametrize("level", [0.0, 1e4, -1e4])
def test_multinomial_keeps_its_accuracy_at_large_common_margins(level, rng):
    """Adding the same number to all margins changes nothing, to rounding of the sum."""
    eta = np.round(rng.standard_normal((N, 4)) * 2**10) / 2**10
    y = rng.integers(0, 4, N).astype(float)
    value, slope, curvature = Multinomial().evaluate(eta + level, y)
    code = y.astype(int)
    assert_allclose(value, -log_softmax(eta, axis=1)[np.arange(N), code], 1e-14)
    assert_allclose(curvature, softmax(eta, axis=1), 1e-14)
    assert_allclose(slope, softmax(eta, axis=1) - np.eye(4)[code], 0, 1e-15)


def test_two_class_multinomial_is_logistic(rng):
    eta, y = 3 * rng.standard_normal(N), rng.choice([-1.0, 1.0], N)
    pair = np.stack([np.zeros(N), eta], axis=1)
    value, slope, _ = Multinomial().evaluate(pair, (y + 1) / 2)
    assert_allclose(value, Logistic().value(eta, y), 1e-12, 1e-15)
    assert_allclose(slope[:, 1], Logistic().slope(eta, y), 1e-12, 1e-15)


def test_multinomial_bound_is_attained_by_two_equal_classes():
    p = np.array([[0.5, 0.5, 0.0]])
    assert Multinomial().curvature_bound(p) == pytest.approx(0.5)
    assert np.linalg.eigvalsh(np.diag(p[0]) - p.T @ p)[-1] == pytest.approx(0.5)


def test_squared_hinge_of_margins_by_hand():
    eta, y = np.array([-1.0, 0.5, 1.0, 3.0, -3.0]), np.array([1.0, 1.0, 1.0, 1.0, -1.0])
    value, slope, curvature = SquaredHinge().evaluate(eta, y)
    assert_array_equal(value, [2.0, 0.125, 0.0, 0.0, 0.0])
    assert_array_equal(slope, [-2.0, -0.5, 0.0, 0.0, 0.0])
    assert_array_equal(curvature, [1.0, 1.0, 0.0, 0.0, 0.0])


@pytest.mark.parametrize("delta", [1e-3, 1.35, 20.0])
def test_huber_equals_scipy(delta):
    from scipy.special import huber

    eta, y = EXTREME, np.linspace(-3, 3, len(EXTREME))
    assert_allclose(Huber(delta).value(eta, y), huber(delta, eta - y), 1e-14)


def test_huber_with_a_large_threshold_is_the_squared_error(rng):
    eta, y = rng.standard_normal((2, N))
    for one, other in zip(
        Huber(1e9).evaluate(eta, y), SquaredError().evaluate(eta, y), strict=True
    ):
        assert_allclose(one, other, 1e-14)


def test_poisson_equals_the_half_deviance_of_scikit_learn(rng):
    from sklearn.metrics import mean_poisson_deviance

    eta, y = 3 * rng.standard_normal(N), TARGETS["poisson"][0][0]
    for k in range(N):
        half = mean_poisson_deviance(y[k : k + 1], np.exp(eta[k : k + 1])) / 2
        assert Poisson().value(eta, y)[k] == pytest.approx(half, rel=1e-12, abs=1e-13)


def test_poisson_keeps_its_digits_where_the_fit_is_good():
    """y (e^z - 1 - z) = y z^2 / 2 (1 + z / 3 + ...), although y eta is 1e8 and more."""
    from promise_learn.kernels import passes

    y, z = np.array([1e7, 1e9]), np.array([3e-6, -1e-5])
    eta = np.log(y) + z
    z = eta - np.log(y)  # as it was rounded
    exact = y * z**2 / 2 * (1 + z / 3)
    assert_allclose(Poisson().value(eta, y), exact, 1e-5)
    total = passes.loss_sum(Poisson().compiled, 0, 2, eta, y, np.ones(2))
    assert total == pytest.approx(exact.sum(), rel=1e-5)


def test_huber_is_centred_at_the_weighted_median():
    y, s = np.array([5.0, 1.0, 100.0, 2.0]), np.array([0.3, 0.2, 0.3, 0.2])
    assert Huber().centred(y, s)[2] == 5.0
    _, _, shift = Huber().centred(y, np.array([0.3, 0.2, 0.0, 0.5]))
    assert shift == 2.0


def test_poisson_is_centred_at_the_best_constant(rng):
    y, s = rng.poisson(3.0, N).astype(float), np.full(N, 1 / N)
    targets, weights, shift = Poisson().centred(y, s)
    assert shift == pytest.approx(np.log(y.mean()))
    slopes = Poisson().slope(np.zeros(N), targets)
    assert weights @ slopes == pytest.approx(0, abs=1e-12)
    assert Poisson().centred(np.zeros(N), s)[2] == 0


@pytest.mark.parametrize(("name", "y", "columns"), CASES, ids=lambda v: f"{v}"[:14])
def test_strict_namespace_gives_the_same_numbers(name, y, columns, rng):
    xp, loss = array_api_strict, LOSSES[name]()
    eta = rng.standard_normal(N if columns is None else (N, columns))
    strict = loss.evaluate(xp.asarray(eta), xp.asarray(y))
    for one, other in zip(strict, loss.evaluate(eta, y), strict=True):
        assert_allclose(as_numpy(one), other, 1e-13, 1e-15)
    s = rng.random(N)
    centred = loss.centred(xp.asarray(y), xp.asarray(s))
    for one, other in zip(centred, loss.centred(y, s), strict=True):
        assert_allclose(as_numpy(one), other, 1e-13, 1e-15)


SCALAR = [name for name in LOSSES if name != "multinomial"]


def scalar_targets(name, n, rng):
    """Targets that suit a loss of one margin a row."""
    if name == "poisson":
        return np.floor(np.exp(3 * rng.standard_normal(n)))
    return rng.choice([-1.0, 1.0], n)


@pytest.mark.parametrize("name", SCALAR)
def test_compiled_formulas_equal_the_plain_ones(name, rng):
    """To 1e-13: the compiled exp is exact to the rounding of its argument.

    The sum of the Poisson loss is that of a few rows with arguments of 350.
    """
    from promise_learn.kernels import passes

    eta = np.concatenate([EXTREME, np.linspace(-60, 60, 401)])
    loss = LOSSES[name]()
    y, s = scalar_targets(name, len(eta), rng), rng.random(len(eta))
    r, d = np.empty((2, len(eta)))
    work = np.empty((3, len(eta)))
    total = passes.pointwise(loss.compiled, eta, y, s, r, d, work, len(eta))
    value, slope, curvature = loss.evaluate(eta, y)
    accuracy = 1e-13 if name == "poisson" else 1e-14
    assert total == pytest.approx(s @ value, rel=accuracy)
    # exp stops at the smallest normal number instead of zero
    assert_allclose(r, s * slope, 1e-13, atol=4e-308)
    assert_allclose(d, s * curvature, 1e-13, atol=4e-308)
    for k in range(len(eta)):
        one = slice(k, k + 1)
        each = passes.loss_sum(loss.compiled, 0, 1, eta[one], y[one], s[one])
        assert each == pytest.approx(s[k] * value[k], rel=1e-13)


@pytest.mark.parametrize("margin", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", SCALAR)
def test_formulas_do_not_hide_margins_that_are_not_finite(name, margin):
    from promise_learn.kernels import passes

    eta, y, s = np.zeros(300), np.ones(300), np.full(300, 1 / 300)
    r, d = np.empty((2, 300))
    eta[7] = margin
    loss = LOSSES[name]()
    value = passes.pointwise(loss.compiled, eta, y, s, r, d, np.empty((3, 300)), 300)
    totals = [value]
    if name != "logistic":  # array operations give inf - inf at infinite margins
        totals.append(s @ loss.value(eta, y))
    for total in totals:
        if np.isnan(margin):
            assert np.isnan(total)
        else:
            right_side = name in ("logistic", "squared_hinge") and margin > 0
            assert np.isfinite(total) == right_side
    assert np.isnan(r[7]) == np.isnan(margin)
    assert_array_equal(np.isfinite(np.delete(r, 7)), True)


def test_a_loss_without_compiled_formulas_runs_as_array_operations(rng):
    """Its code must not be mistaken for another loss by the kernels."""
    from promise_learn.design import Design

    class Cosh(Loss):
        max_curvature = 1.0

        def value(self, eta, y):
            size = np.abs(eta - y)
            return size + np.log1p(np.exp(-2 * size)) - math.log(2)

        def slope(self, eta, y):
            return np.tanh(eta - y)

        def curvature(self, eta, y):
            return 1 - np.tanh(eta - y) ** 2

    check_loss(Cosh(), TARGETS["squared_error"][0][0])
    X, y, s = rng.standard_normal((N, 4)), rng.standard_normal(N), np.full(N, 1 / N)
    w = rng.standard_normal(4)
    value, eta, d, g = Design(X).expand(Cosh(), w, y, s)
    assert value == pytest.approx(np.mean(Cosh().value(X @ w, y)))
    assert_allclose(g, X.T @ np.tanh(X @ w - y) / N)
    assert_allclose(d, (1 - np.tanh(X @ w - y) ** 2) / N)
    assert Design(X).rows.loss_sum(Cosh(), eta, y, s) == pytest.approx(value)
