"""Randomised Nystrom approximation: every property of algorithm 2.1."""

import array_api_strict
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from promise_learn._arrays import as_numpy
from promise_learn.linalg import LowRank, Sketch, error_norm, nystrom
from promise_learn.linalg.cholesky import cholesky, shifted_inverse

NAMESPACES = pytest.mark.parametrize(
    "xp", [np, array_api_strict], ids=["numpy", "strict"]
)
DTYPES = pytest.mark.parametrize("dtype", ["float64", "float32"])


def rng(seed=0):
    return np.random.default_rng(seed)


def psd(eigenvalues, seed=0):
    """Symmetric matrix with the given eigenvalues and random eigenvectors."""
    p = len(eigenvalues)
    Q = np.linalg.qr(rng(seed).standard_normal((p, p)))[0]
    return (Q * eigenvalues) @ Q.T


def approximate(H, rank, xp=np, dtype="float64", seed=1):
    """Nystrom approximation of a host matrix, back on the host in float64."""
    H = xp.asarray(H, dtype=getattr(xp, dtype))
    low = nystrom(lambda V: H @ V, H.shape[0], rank, rng(seed), H)
    assert low.U.dtype == low.eigenvalues.dtype == H.dtype
    return LowRank(
        as_numpy(low.U).astype(float), as_numpy(low.eigenvalues).astype(float)
    )


def matrix(low):
    return (low.U * low.eigenvalues) @ low.U.T


@NAMESPACES
@DTYPES
def test_approximation_lies_between_zero_and_the_operator(xp, dtype):
    spectrum = np.geomspace(1e3, 1e-3, 200)
    H = psd(spectrum)
    low = approximate(H, 20, xp, dtype)
    eps = np.finfo(dtype).eps
    # the shift is sqrt(p) eps ||Y||_F, and products of the dtype err as much
    slack = 10 * np.sqrt(200) * eps * spectrum[0]
    assert np.linalg.eigvalsh(H - matrix(low))[0] >= -slack
    assert np.all(low.eigenvalues >= 0)
    assert np.all(np.diff(low.eigenvalues) <= 0)
    assert np.all(low.eigenvalues <= spectrum[:20] + slack)
    assert_allclose(low.U.T @ low.U, np.eye(20), atol=100 * eps)


@NAMESPACES
def test_exact_when_the_rank_suffices(xp):
    spectrum = np.r_[np.linspace(5, 1, 8), np.zeros(42)]
    H = psd(spectrum)
    # relative error of the shift: sqrt(p) eps ||Y||_F is 2e-14
    assert_allclose(matrix(approximate(H, 12, xp)), H, atol=1e-12)


@pytest.mark.parametrize("rank", [5, 9])
def test_rank_of_the_order_or_more_is_exact(rank):
    H = psd([4.0, 3.0, 2.0, 1.0, 0.5])
    low = approximate(H, rank)
    assert low.rank == 5
    assert_allclose(matrix(low), H, atol=1e-13)


@NAMESPACES
@DTYPES
def test_zero_operator(xp, dtype):
    low = approximate(np.zeros((6, 6)), 3, xp, dtype)
    assert_array_equal(low.eigenvalues, 0)
    assert_allclose(low.U.T @ low.U, np.eye(3), atol=1e-5)


@NAMESPACES
@pytest.mark.parametrize("scale", [1.0, 1e-150, 1e150])
def test_one_dimension_at_any_scale(xp, scale):
    low = approximate(np.array([[3.0 * scale]]), 4, xp)
    assert_allclose(low.eigenvalues, [3.0 * scale], rtol=1e-14)


def test_range_is_that_of_the_sketch():
    H = psd(np.geomspace(1, 1e-4, 40))
    sketch = Sketch.empty(40, H).grow(lambda V: H @ V, 6, rng(1))
    low = sketch.low_rank()
    outside = sketch.image - low.U @ (low.U.T @ sketch.image)
    assert_allclose(outside, 0, atol=1e-13)


def test_invariant_to_the_basis_of_the_test_vectors():
    H = psd(np.geomspace(1, 1e-4, 40))
    sketch = Sketch.empty(40, H).grow(lambda V: H @ V, 6, rng(1))
    R = np.linalg.qr(rng(2).standard_normal((6, 6)))[0]
    turned = Sketch(sketch.test @ R, sketch.image @ R)
    assert_allclose(matrix(turned.low_rank()), matrix(sketch.low_rank()), atol=1e-13)


@NAMESPACES
def test_growing_computes_new_products_only(xp):
    H = xp.asarray(psd(np.geomspace(1, 1e-4, 30)))
    blocks = []

    def product(V):
        blocks.append(V.shape[1])
        return H @ V

    small = Sketch.empty(30, H).grow(product, 4, rng(1))
    large = small.grow(product, 10, rng(2))
    assert blocks == [4, 6]
    assert large.grow(product, 7, rng(3)) is large
    test, image = as_numpy(large.test), as_numpy(large.image)
    assert_allclose(test.T @ test, np.eye(10), atol=1e-14)
    assert_allclose(image, as_numpy(H) @ test, atol=1e-14)
    assert_array_equal(as_numpy(large.test[:, :4]), as_numpy(small.test))


def test_growing_improves_and_ends_exact():
    H = psd(np.geomspace(1, 1e-6, 25))
    sketch, errors = Sketch.empty(25, H), []
    for rank in (3, 6, 12, 24, 48):
        sketch = sketch.grow(lambda V: H @ V, rank, rng(rank))
        errors.append(np.linalg.norm(H - matrix(sketch.low_rank()), 2))
    assert sketch.rank == 25
    assert np.all(np.diff(errors) < 0)
    assert errors[-1] < 1e-13


def test_failed_factor_shifts_sketch_and_core():
    # eigenvalue -1e-6 is far below the shift, so the first Cholesky fails
    spectrum = np.r_[np.linspace(3, 1, 9), -1e-6]
    H = psd(spectrum)
    low = approximate(H, 10)
    # at full rank the approximation of H + shift I minus the shift is H itself, clipped
    assert_allclose(matrix(low), psd(np.maximum(spectrum, 0)), atol=2e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_products_that_are_not_finite_raise(bad):
    with pytest.raises(np.linalg.LinAlgError, match="not finite"):
        nystrom(lambda V: V + bad, 4, 2, rng(), np.eye(4))


@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array, sparse.csr_matrix])
def test_from_row_blocks(storage):
    A = rng().standard_normal((50, 12)) * (rng(1).random((50, 12)) < 0.3)
    A = storage(A)
    low = nystrom(lambda V: A.T @ (A @ V), 12, 12, rng(2), A)
    assert_allclose(matrix(low), (A.T @ A) @ np.eye(12), atol=1e-12)


@NAMESPACES
def test_products_and_rows_agree_with_the_matrix(xp):
    H = xp.asarray(psd(np.geomspace(1, 1e-4, 20)))
    low = nystrom(lambda V: H @ V, 20, 5, rng(1), H)
    U, values, rows = map(as_numpy, (low.U, low.eigenvalues, low.rows()))
    V = rng(2).standard_normal((20, 3))
    assert_allclose(rows.T @ rows, (U * values) @ U.T, atol=1e-14)
    block = as_numpy(low.product(xp.asarray(V)))
    assert_allclose(block, (U * values) @ U.T @ V, atol=1e-14)
    one = as_numpy(low.product(xp.asarray(V[:, 0])))
    assert_allclose(one, block[:, 0], atol=1e-14)


@NAMESPACES
def test_error_norm_is_close_from_below(xp):
    H = psd(np.geomspace(1, 1e-4, 60))
    X = xp.asarray(H)
    low = nystrom(lambda V: X @ V, 60, 10, rng(1), X)
    exact = np.linalg.norm(
        H - (as_numpy(low.U) * as_numpy(low.eigenvalues)) @ as_numpy(low.U).T, 2
    )
    estimate = error_norm(lambda v: X @ v, low, rng(2))
    # ten power iterations; the docstring asks for a factor of up to 2
    assert 0.5 * exact <= estimate <= exact * (1 + 1e-12)


@pytest.mark.parametrize("rank", [5, 15, 40])
@pytest.mark.parametrize("mu", [1e-1, 1e-3, 1e-5])
def test_condition_number_is_bounded_by_the_error(rank, mu):
    p = 80
    H = psd(np.geomspace(1, 1e-6, p))
    low = approximate(H, rank)
    last = low.eigenvalues[-1]
    # PCG form: P = U (L + mu) U' / (lambda_r + mu) + (I - U U')
    weights = np.sqrt((last + mu) / (low.eigenvalues + mu)) - 1
    root = np.eye(p) + (low.U * weights) @ low.U.T
    eigenvalues = np.linalg.eigvalsh(root @ (H + mu * np.eye(p)) @ root)
    error = np.linalg.norm(H - matrix(low), 2)
    kappa = eigenvalues[-1] / eigenvalues[0]
    assert kappa <= (last + mu + error) / mu * (1 + 1e-8)


@NAMESPACES
def test_cholesky_says_when_there_is_none(xp):
    assert cholesky(xp.asarray(-np.eye(2))) is None
    L = cholesky(xp.asarray(4.0 * np.eye(2)))
    assert_allclose(as_numpy(L), 2 * np.eye(2))


@NAMESPACES
def test_shifted_inverse_raises_the_damping_until_it_can(xp):
    G = xp.asarray(np.diag([3.0, -5.0]))  # I + G / boost is definite from boost 8 on
    inverse, boost = shifted_inverse(G)
    assert boost == 8.0
    assert_allclose(as_numpy(inverse), np.diag([8 / 11, 8 / 3]))


def test_shifted_inverse_gives_up_after_five_doublings():
    with pytest.raises(np.linalg.LinAlgError, match="not finite"):
        shifted_inverse(np.diag([1.0, -100.0]))
