"""Rows, weights and coordinates of an objective: what must not change it."""

import numpy as np
import pytest
from _cases import LOSSES, half_empty, problem, store
from numpy.testing import assert_allclose, assert_array_equal

from promise_learn.design import Design
from promise_learn.objective import Objective

N, P = 80, 6
RNG = np.random.default_rng(3)
WEIGHTS = RNG.integers(0, 4, N).astype(float)
WEIGHTS[N // 2] = 3.0

ALL_LOSSES = pytest.mark.parametrize("loss", LOSSES)
SCALAR = pytest.mark.parametrize("loss", LOSSES[:3])
STORAGES = pytest.mark.parametrize("storage", ["C", "F", "csr_array"])
INTERCEPT = pytest.mark.parametrize("intercept", [True, False])
WEIGHTED = pytest.mark.parametrize(
    "weights", [None, WEIGHTS], ids=["equal", "weighted"]
)


def build(loss, storage="C", **options):
    """Objective, its dense reference and a point of moderate margins."""
    X = half_empty(N, P)
    reference = problem(loss, X, **options)
    intercept = options.get("intercept", True)
    f = reference.objective(store(X, storage), intercept=intercept)
    return f, reference, np.random.default_rng(0).standard_normal(f.shape) / 20


def assert_same_function(f, g, w):
    assert g.value(w) == pytest.approx(f.value(w), rel=1e-13)
    scale = np.abs(f.gradient(w)).max()
    assert_allclose(g.gradient(w), f.gradient(w), 0, 1e-12 * scale)
    assert_allclose(g.hessian(w), f.hessian(w), 0, 1e-12 * np.abs(f.hessian(w)).max())


def with_rows(f, X, rows, weights):
    """The objective on chosen rows of X, with weights and penalty as given."""
    return Objective(
        Design(X[rows], intercept=f.design.intercept),
        f.y[rows],
        f.loss,
        weights / weights.sum(),
        f.penalty,
        f.shape,
    )


@STORAGES
@ALL_LOSSES
def test_integer_weights_equal_repeated_rows(loss, storage):
    f, _, w = build(loss, storage, weights=WEIGHTS)
    rows = np.repeat(np.arange(N), WEIGHTS.astype(int))
    g = with_rows(f, store(half_empty(N, P), storage), rows, np.ones(len(rows)))
    assert_same_function(f, g, w)


@STORAGES
@ALL_LOSSES
def test_zero_weight_equals_removed_row(loss, storage):
    f, _, w = build(loss, storage, weights=WEIGHTS)
    rows = np.flatnonzero(WEIGHTS)
    g = with_rows(f, store(half_empty(N, P), storage), rows, WEIGHTS[rows])
    assert_same_function(f, g, w)


@STORAGES
@ALL_LOSSES
def test_subset_keeps_the_total_penalty(loss, storage):
    """Parts, times their shares of the weight, add up with the penalty once a part."""
    f, _, w = build(loss, storage, weights=WEIGHTS)
    parts = np.arange(0, N, 3), np.arange(1, N, 3), np.arange(2, N, 3)
    shares = [float(np.sum(f.weights[rows])) for rows in parts]
    subsets = [f.subset(rows) for rows in parts]
    assert [g.n_rows for g in subsets] == [len(rows) for rows in parts]
    ridge = np.sum(f.ridge(w) * w) / 2
    total = sum(share * g.value(w) for share, g in zip(shares, subsets, strict=True))
    assert total == pytest.approx(f.value(w) + 2 * ridge, rel=1e-13)
    for share, g in zip(shares, subsets, strict=True):
        assert_allclose(g.penalty * share, f.penalty, 1e-14)
        assert np.sum(g.weights) == pytest.approx(1, rel=1e-14)


def test_sample_takes_rows_that_have_weight():
    f, _, _ = build("logistic", weights=WEIGHTS)
    positive = np.flatnonzero(WEIGHTS)
    rows = f.sample(20, np.random.default_rng(0))
    assert len(rows) == 20
    assert (np.diff(rows) > 0).all()
    assert set(rows) <= set(positive)
    assert_array_equal(f.sample(N, np.random.default_rng(0)), positive)


@ALL_LOSSES
def test_subset_of_all_rows_is_the_objective(loss):
    f, _, w = build(loss, weights=WEIGHTS)
    assert_same_function(f, f.subset(np.arange(N)), w)


@ALL_LOSSES
def test_centring_and_scaling_only_change_coordinates(loss):
    """F in scaled coordinates at the transformed point, its penalty transformed too."""
    X = half_empty(N, P)
    reference = problem(loss, X, weights=WEIGHTS)
    f = reference.objective(X, intercept=True)
    shift, scale = X.mean(axis=0), np.geomspace(0.1, 10, P)
    w = np.random.default_rng(0).standard_normal(f.shape) / 20
    moved = w.copy()
    moved[:P] = (w[:P].T * scale).T
    moved[P] = w[P] + shift @ w[:P]
    g = Objective(
        Design(X, shift, scale, intercept=True),
        f.y,
        f.loss,
        f.weights,
        f.penalty / np.append(scale, 1.0) ** 2,
        f.shape,
    )
    assert g.value(moved) == pytest.approx(f.value(w), rel=1e-12)
    u, offset = g.design.inner(moved)
    assert_allclose(u, w[:P], 1e-13)
    assert_allclose(offset, w[P], 1e-12, 1e-13)
