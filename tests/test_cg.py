"""Conjugate gradients: solutions, and an estimate of the error that can be trusted."""

import array_api_strict
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from promise_learn._arrays import as_numpy
from promise_learn.linalg.cg import pcg

DIM = 60
Q = np.linalg.qr(np.random.default_rng(0).standard_normal((DIM, DIM)))[0]
B = np.random.default_rng(1).standard_normal((DIM, 5))


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def matrix(condition):
    """Symmetric positive definite matrix with a geometric spectrum."""
    return Q * np.geomspace(1, 1 / condition, DIM) @ Q.T


def identity(v):
    return v


def run(H, b, precondition=identity, limit=200, **options):
    """Every iterate, until the estimated gap is a 1e-24th of the decrease."""
    iterates = []
    for it in pcg(lambda v: H @ v, b, precondition, **options):
        iterates.append(it)
        if it.iteration >= limit or it.gap <= 1e-24 * it.decrease:
            break
    return iterates


def energy(H, r):
    """Sum of 1/2 r' H^-1 r over columns."""
    return 0.5 * np.sum(r * np.linalg.solve(H, r))


# ------------------------------------------------------------------ solutions


@pytest.mark.parametrize("b", [B[:, 0], B], ids=["vector", "block"])
def test_solution_equals_the_dense_one(b):
    H = matrix(100)
    last = run(H, b)[-1]
    assert_allclose(last.x, np.linalg.solve(H, b), 1e-9, 1e-10)
    assert_allclose(last.residual, b - H @ last.x, 0, 1e-11)


def test_coupled_block_is_one_long_vector():
    H = matrix(100)
    factors = np.kron(H, np.diag([1.0, 2.0, 3.0, 4.0, 5.0]))

    def product(V):
        return (factors @ V.ravel()).reshape(V.shape)

    for it in pcg(product, B, identity, coupled=True):
        if it.gap <= 1e-24 * it.decrease or it.iteration > 400:
            break
    expected = np.linalg.solve(factors, B.ravel()).reshape(B.shape)
    assert_allclose(it.x, expected, 1e-9, 1e-10)


def test_columns_run_as_if_alone():
    H = matrix(50)
    together = run(H, B, limit=12)
    for k in range(B.shape[1]):
        alone = run(H, B[:, k], limit=12)
        for one, other in zip(together, alone, strict=True):
            assert_allclose(one.x[:, k], other.x, 1e-9, 1e-12)


def test_start_is_used(rng):
    H = matrix(100)
    exact = np.linalg.solve(H, B)
    near = exact + 1e-6 * rng.standard_normal(B.shape)
    first = run(H, B, x=near, limit=1)[0]
    assert energy(H, first.residual) < energy(H, B - H @ near)
    assert_allclose(first.x, exact, 0, 1e-5)


def test_exact_preconditioner_takes_one_iteration():
    H = matrix(1e8)
    first = run(H, B, lambda v: np.linalg.solve(H, v), limit=1)[0]
    assert_allclose(first.x, np.linalg.solve(H, B), 1e-7)
    assert first.gap <= 1e-12 * first.decrease


def test_preconditioner_saves_iterations():
    H = matrix(1e6)
    P = H + 1e-4 * np.eye(DIM)
    goal = 1e-6 * energy(H, B[:, 0])

    def needed(precondition):
        iterates = run(H, B[:, 0], precondition, limit=1000)
        return next(it.iteration for it in iterates if energy(H, it.residual) <= goal)

    assert needed(lambda v: np.linalg.solve(P, v)) <= 0.5 * needed(identity)


def test_strict_namespace_gives_the_same_numbers():
    xp, H = array_api_strict, matrix(100)
    strict = pcg(lambda v: xp.asarray(H) @ v, xp.asarray(B), identity)
    for one, other in zip(run(H, B, limit=5), strict, strict=False):
        assert_allclose(as_numpy(other.x), one.x, 1e-12)
        assert other.gap == pytest.approx(one.gap, rel=1e-9)


# ------------------------------------------------------------------ special cases


@pytest.mark.parametrize("b", [np.zeros(DIM), np.zeros((DIM, 3))])
def test_zero_right_hand_side_is_solved_at_once(b):
    iterates = run(matrix(10), b)
    assert len(iterates) == 1
    assert_array_equal(iterates[0].x, 0)
    assert iterates[0].gap == 0
    assert iterates[0].decrease == 0


def test_solved_column_stands_still_beside_the_others():
    H, b = matrix(100), B.copy()
    b[:, 1] = 0
    b[:, 2] = H @ Q[:, 0]
    iterates = run(H, b)
    for it in iterates:
        assert_array_equal(it.x[:, 1], 0)
        assert np.isfinite(it.x).all()
    assert_allclose(iterates[-1].x, np.linalg.solve(H, b), 1e-9, 1e-10)


def test_generator_ends_where_nothing_moves():
    count = sum(1 for _ in pcg(lambda v: v, np.eye(4)[:, 0], identity))
    assert count <= 3


def test_singular_consistent_system_gives_a_solution():
    H = Q[:, :20] @ Q[:, :20].T
    b = H @ B
    assert_allclose(run(H, b)[-1].x, b, 0, 1e-12)


def test_residual_without_curvature_leaves_the_gap_unknown():
    """Where curvature has underflowed the energy is infinite, and not zero."""
    H = np.diag([1.0, 2.0, 0.0])
    assert run(H, np.array([0.0, 0.0, 1.0]))[-1].gap == np.inf
    assert run(H, np.array([1.0, 1.0, 1.0]), limit=5)[-1].gap > 1e3
    assert run(H, np.array([1.0, 1.0, 0.0]), limit=5)[-1].gap < 1e-20


def test_not_a_number_is_passed_on_and_ends_the_run():
    iterates = list(pcg(lambda v: v * np.nan, B[:, 0], identity))
    assert len(iterates) == 1
    assert not iterates[0].gap < np.inf


# ------------------------------------------------------------------ the estimate


@pytest.mark.parametrize("condition", [1e1, 1e3, 1e5, 1e7])
@pytest.mark.parametrize("b", [B[:, 0], B], ids=["vector", "block"])
def test_gap_is_never_far_below_the_truth(condition, b):
    """At worst a sixth of it, between two updates of the Ritz value."""
    H = matrix(condition)
    b = H @ b
    for it in run(H, b, limit=40):
        assert it.gap >= energy(H, it.residual) / 6 - 1e-15


@pytest.mark.parametrize("condition", [1e1, 1e3, 1e5])
def test_gap_is_not_a_thousand_times_the_truth(condition):
    """The Ritz value is the worst case; the residual has little along it at times."""
    H = matrix(condition)
    b = H @ B[:, 0]
    for it in run(H, b, limit=40):
        assert it.gap <= 1000 * energy(H, it.residual) + 1e-15


@pytest.mark.parametrize("position", [0, 5])
def test_gap_sees_the_column_that_converges_last(position, rng):
    """Targets with penalties of their own; the weakest may be any of them."""
    penalties = np.full(6, 0.1)
    penalties[position] = 1e-6
    matrices = [matrix(1e8) + mu * np.eye(DIM) for mu in penalties]
    b = np.stack(
        [H @ c for H, c in zip(matrices, rng.random((6, DIM)), strict=True)], 1
    )

    def product(V):
        return np.stack([H @ v for H, v in zip(matrices, V.T, strict=True)], axis=1)

    for it in pcg(product, b, identity):
        columns = zip(matrices, it.residual.T, strict=True)
        truth = sum(energy(H, r) for H, r in columns)
        assert it.gap >= 0.05 * truth - 1e-15
        if it.iteration == 40:
            break


def test_decrease_is_what_the_quadratic_has_lost(rng):
    H = matrix(1e3)
    x0 = rng.standard_normal(DIM)

    def f(x):
        return 0.5 * x @ H @ x - B[:, 0] @ x

    previous = 0.0
    for it in run(H, B[:, 0], x=x0, limit=30):
        assert it.decrease == pytest.approx(f(x0) - f(it.x), rel=1e-9)
        assert it.decrease >= previous
        previous = it.decrease


def test_a_known_bound_keeps_early_estimates_honest():
    """Large eigenvalues, all that CG sees at first, hide the error of the rest."""
    H = np.diag(np.r_[np.full(5, 1e4), np.ones(55)])
    b = np.r_[np.full(5, 1e3), np.ones(55)]
    for smallest, honest in ((np.inf, False), (1.0, True)):
        first = next(pcg(lambda v: H @ v, b, identity, smallest=smallest))
        left = energy(H, first.residual)
        assert (first.gap >= left) == honest
        assert first.smallest <= smallest


def test_a_lower_bound_of_the_spectrum_needs_no_caution():
    H, b = matrix(10), B[:, 0]
    patient = run(H, b, cautious=True)
    known = run(H, b, least=0.1)
    assert len(known) < len(patient)
    for it in known[:-1]:
        assert it.smallest == 0.1
        assert it.gap >= energy(H, it.residual) * (1 - 1e-6)
