"""Factors of symmetric positive semi-definite matrices, scaled badly or singular."""

import array_api_strict
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from promise_learn._arrays import as_numpy
from promise_learn.linalg import spd
from promise_learn.linalg.spd import Factor, single_factor


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def gram(n, p, scales=0.0):
    """A'A of a random n x p matrix with columns of scales 10^-scales to 10^scales."""
    A = np.random.default_rng(0).standard_normal((n, p))
    A *= np.logspace(-scales, scales, p)
    return A.T @ A


@pytest.mark.parametrize("columns", [(), (3,), (1,), (9,)])
@pytest.mark.parametrize("p", [1, 2, 50])
def test_solution_equals_numpy(p, columns, rng):
    H, g = gram(2 * p + 1, p), rng.standard_normal((p, *columns))
    expected = np.linalg.solve(H, g)
    assert_allclose(Factor(H).solve(g), expected, 0, 1e-10 * np.abs(expected).max())


@pytest.mark.parametrize("scales", [3, 8, 60])
def test_scale_of_the_columns_does_not_matter(scales, rng):
    """Equilibration: the error is relative to each unknown's own scale."""
    p = 20
    c = np.logspace(-scales, scales, p)
    H, x = gram(60, p), rng.standard_normal(p)
    solved = Factor(c[:, None] * H * c).solve(c * (H @ x))
    assert_allclose(solved * c, x, 1e-10)


def test_matrix_and_right_hand_side_stay_as_they_are(rng):
    H, g = gram(30, 8), rng.standard_normal(8)
    before = H.copy(), g.copy()
    Factor(H).solve(g)
    assert_array_equal(H, before[0])
    assert_array_equal(g, before[1])


def test_empty_column_counts_as_one_of_the_identity(rng):
    H = gram(30, 6)
    H[2], H[:, 2] = 0, 0
    g = rng.standard_normal(6)
    x = Factor(H).solve(g)
    rest = [0, 1, 3, 4, 5]
    assert x[2] == g[2]
    assert_allclose(x[rest], np.linalg.solve(H[np.ix_(rest, rest)], g[rest]), 1e-10)
    assert_array_equal(Factor(np.zeros((3, 3))).solve(np.ones(3)), 1)


@pytest.mark.parametrize("columns", [(), (3,)])
def test_singular_matrix_gives_the_least_solution_of_a_consistent_system(columns, rng):
    """The least norm is that of the equilibrated unknowns."""
    H = gram(7, 12, scales=1)
    g = H @ rng.standard_normal((12, *columns))
    x = Factor(H).solve(g)
    assert_allclose(H @ x, g, 0, 1e-9 * np.abs(g).max())
    scale = 1 / np.sqrt(np.diag(H))
    S = scale[:, None] * H * scale
    least = (np.linalg.pinv(S, rcond=1e-12, hermitian=True) @ (scale * g.T).T).T * scale
    assert_allclose(x, least.T, 0, 1e-8 * np.abs(x).max())


def test_repeated_columns_share_the_coefficient(rng):
    A = rng.standard_normal((40, 4))
    A = np.hstack([A, A[:, :1]])
    x = Factor(A.T @ A).solve(A.T @ (A @ np.array([2.0, 1.0, 1.0, 1.0, 0.0])))
    assert_allclose(x, [1, 1, 1, 1, 1], 1e-9)


def test_pivot_tells_how_near_to_singular_the_matrix_is():
    assert Factor(np.diag([1e-8, 1e8])).pivot == pytest.approx(1)
    for distance in (1e-2, 1e-6, 1e-10):
        H = np.array([[1.0, 1.0 - distance], [1.0 - distance, 1.0]])
        assert Factor(H).pivot == pytest.approx(2 * distance, rel=0.01)


def test_large_nearly_singular_matrix_keeps_its_cholesky_factor(monkeypatch):
    """A spectral factor would take minutes there."""
    monkeypatch.setattr(spd, "MAX_EIGH", 4)
    H = np.eye(5) + 1e-17
    H[:2, :2] = [[1.0, 1 - 2.0**-52], [1 - 2.0**-52, 1.0]]
    factor = Factor(H)
    assert factor.pivot > 0
    assert np.isfinite(factor.solve(np.ones(5))).all()


def test_missed_energy_is_that_of_what_the_matrix_is_blind_to(rng):
    H = gram(30, 6)
    g = rng.standard_normal((6, 2))
    assert Factor(H).missed(g) == 0
    H[2], H[:, 2] = 0, 0
    assert Factor(H).missed(g) > 1e10
    g[2] = 0
    assert Factor(H).missed(g) == 0


@pytest.mark.parametrize("columns", [(), (3,)])
def test_missed_energy_of_a_singular_matrix(columns, rng):
    """None for a right-hand side in its range, up to rounding; much for another."""
    H = gram(4, 8)
    inside = H @ rng.standard_normal((8, *columns))
    assert Factor(H).missed(inside) == 0
    assert Factor(H).missed(rng.standard_normal((8, *columns))) > 1e10


def test_strict_namespace_gives_the_same_numbers(rng):
    xp = array_api_strict
    empty = np.diag([1.0, 2.0, 0.0, 3.0, 4.0, 5.0])
    for H in (gram(30, 6), gram(4, 6), empty):
        g = H @ rng.standard_normal((6, 2))
        solved = Factor(xp.asarray(H)).solve(xp.asarray(g))
        assert_allclose(as_numpy(solved), Factor(H).solve(g), 1e-7, 1e-9)
        g[0] += 1.0
        missed = Factor(xp.asarray(H)).missed(xp.asarray(g))
        assert missed == pytest.approx(Factor(H).missed(g), rel=1e-6)


# ------------------------------------------------------------------ single precision


@pytest.mark.parametrize("size", [1e-200, 1.0, 1e200])
def test_single_factor_solves_right_hand_sides_of_any_size(size, rng):
    H, unit = gram(200, 20, 3), np.logspace(-3, 3, 20)
    G = size * rng.standard_normal((20, 2)) * unit[:, None]
    S = (H / np.outer(unit, unit)).astype(np.float32)
    solved = single_factor(S, unit).solve(G)
    expected = np.linalg.solve(H, G)
    error = np.abs((solved - expected) * unit[:, None]).max()
    # eps of float32 times a condition of about four
    assert error <= 2e-6 * np.abs(expected * unit[:, None]).max()


@pytest.mark.parametrize("smallest", [-1e-3, 0.0, 1e-7])
def test_single_factor_is_refused_where_it_means_nothing(smallest):
    S = np.eye(5, dtype=np.float32)
    S[3, 3] = smallest
    assert single_factor(S, np.ones(5)) is None


@pytest.mark.parametrize("columns", [(), (2,)])
@pytest.mark.parametrize("apart", [0.0, 1e-9, 1e-3])
def test_gradient_that_a_factor_hides(apart, columns, rng):
    """Columns 1e-9 apart are one to their Gram matrix, but not to a gradient."""
    Z, D = rng.standard_normal((2, 60, 4))
    A = np.hstack([Z, Z + apart * D])
    factor, g = Factor(A.T @ A), A.T @ rng.standard_normal((60, *columns))
    assert factor.hides(g) == (apart == 1e-9)
    for solver in (factor, Factor(A.T @ A, sees=True)):
        left = g - A.T @ (A @ solver.solve(g))
        assert np.linalg.norm(left) <= 1e-6 * np.linalg.norm(g)
    blind = Factor(A.T @ A, sees=False).solve(g)
    if apart == 1e-9:
        assert 1e3 * np.abs(blind).max() < np.abs(factor.solve(g)).max()
    else:
        assert_allclose(blind, factor.solve(g), 1e-9, 1e-9)
