"""Losses against finite differences, SciPy, and the compiled formulas."""

import math

import array_api_strict
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, log_softmax, softmax

from promise_learn._arrays import as_numpy
from promise_learn.losses import LOSSES, Logistic, Loss, Multinomial, SquaredError
from promise_learn.testing import check_loss

N = 60
RNG = np.random.default_rng(0)
TARGETS = {
    "squared_error": [(RNG.standard_normal(N), None), (RNG.standard_normal((N, 3)), 3)],
    "logistic": [(RNG.choice([-1.0, 1.0], N), None)],
    "multinomial": [(RNG.integers(0, K, N).astype(float), K) for K in (2, 3, 10)],
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


@pytest.mark.parametrize(("name", "y", "columns"), CASES, ids=lambda v: f"{v}"[:14])
def test_strict_namespace_gives_the_same_numbers(name, y, columns, rng):
    xp, loss = array_api_strict, LOSSES[name]()
    eta = rng.standard_normal(N if columns is None else (N, columns))
    strict = loss.evaluate(xp.asarray(eta), xp.asarray(y))
    for one, other in zip(strict, loss.evaluate(eta, y), strict=True):
        assert_allclose(as_numpy(one), other, 1e-13, 1e-15)


@pytest.mark.parametrize(
    "loss", [SquaredError(), Logistic()], ids=["squared", "logistic"]
)
def test_compiled_formulas_equal_the_plain_ones(loss, rng):
    """To 1e-13: the compiled exp is exact to the rounding of its argument."""
    from promise_learn.kernels import passes

    eta = np.concatenate([EXTREME, np.linspace(-60, 60, 401)])
    y, s = rng.choice([-1.0, 1.0], len(eta)), rng.random(len(eta))
    r, d = np.empty((2, len(eta)))
    work = np.empty((3, len(eta)))
    total = passes.pointwise(loss.code, eta, y, s, r, d, work, len(eta))
    value, slope, curvature = loss.evaluate(eta, y)
    assert total == pytest.approx(s @ value, rel=1e-14)
    # exp stops at the smallest normal number instead of zero
    assert_allclose(r, s * slope, 1e-13, atol=4e-308)
    assert_allclose(d, s * curvature, 1e-13, atol=4e-308)
    for k in range(len(eta)):
        one = slice(k, k + 1)
        each = passes.loss_sum(loss.code, 0, 1, eta[one], y[one], s[one])
        assert each == pytest.approx(s[k] * value[k], rel=1e-13)


@pytest.mark.parametrize("margin", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("code", [0, 1])
def test_compiled_formulas_do_not_hide_margins_that_are_not_finite(code, margin):
    from promise_learn.kernels import passes

    eta, y, s = np.zeros(300), np.ones(300), np.full(300, 1 / 300)
    r, d = np.empty((2, 300))
    eta[7] = margin
    value = passes.pointwise(code, eta, y, s, r, d, np.empty((3, 300)), 300)
    if np.isnan(margin):
        assert np.isnan(value)
        assert np.isnan(r[7])
    else:
        right_side = code == 1 and margin > 0
        assert np.isfinite(value) == right_side
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
