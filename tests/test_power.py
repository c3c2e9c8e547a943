"""Power iteration against dense eigenvalues."""

import array_api_strict
import numpy as np
import pytest
import scipy.linalg

from promise_learn.linalg import largest_eigenvalue, operator_norm

NAMESPACES = pytest.mark.parametrize(
    "xp", [np, array_api_strict], ids=["numpy", "strict"]
)


def problem(p=40, seed=0):
    """Hessian and preconditioner, both with a falling spectrum."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((2 * p, p)) * np.geomspace(1, 1e-3, p)
    B = A[: p // 2]
    return A.T @ A / (2 * p), B.T @ B / (p // 2) + 1e-3 * np.eye(p)


@NAMESPACES
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_preconditioned_eigenvalue_within_five_per_cent(xp, seed, dtype):
    H, P = problem(seed=seed)
    exact = scipy.linalg.eigh(H, P, eigvals_only=True)[-1]
    dtype = getattr(xp, dtype)
    X, solver = xp.asarray(H, dtype=dtype), xp.asarray(np.linalg.inv(P), dtype=dtype)
    estimate = largest_eigenvalue(
        lambda v: X @ v,
        40,
        np.random.default_rng(seed),
        X,
        solve=lambda g: solver @ g,
    )
    assert 0.95 * exact <= estimate <= exact * (1 + 1e-3)


@NAMESPACES
def test_plain_eigenvalue_within_five_per_cent(xp):
    H, _ = problem()
    X = xp.asarray(H)
    estimate = largest_eigenvalue(lambda v: X @ v, 40, np.random.default_rng(0), X)
    exact = np.linalg.norm(H, 2)
    assert 0.95 * exact <= estimate <= exact * (1 + 1e-12)


def test_estimate_rises_with_the_number_of_products():
    H, _ = problem()
    estimates = [
        largest_eigenvalue(
            lambda v: H @ v, 40, np.random.default_rng(0), H, max_iter=k, rtol=0
        )
        for k in range(1, 12)
    ]
    assert np.all(np.diff(estimates) >= 0)


def test_stops_early_when_the_estimate_settles():
    calls = []
    largest_eigenvalue(
        lambda v: calls.append(1) or 2 * v, 5, np.random.default_rng(0), np.ones(5)
    )
    assert len(calls) == 2


@NAMESPACES
@pytest.mark.parametrize("estimate", [largest_eigenvalue, operator_norm])
def test_zero_operator_and_one_dimension(xp, estimate):
    X = xp.asarray(np.ones(3))
    assert estimate(lambda v: 0.0 * v, 3, np.random.default_rng(0), X) == 0.0
    one = estimate(lambda v: 7.0 * v, 1, np.random.default_rng(0), X)
    assert one == pytest.approx(7.0, rel=1e-14)


@NAMESPACES
def test_norm_of_an_indefinite_operator(xp):
    X = xp.asarray(np.diag([1.0, -3.0, 0.5]))
    norm = operator_norm(lambda v: X @ v, 3, np.random.default_rng(0), X)
    assert norm == pytest.approx(3.0, rel=1e-3)
