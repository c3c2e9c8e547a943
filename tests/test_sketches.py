"""Sketches: unbiased, the right number of entries, sparse where they should be."""

import array_api_strict
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from promise_learn._arrays import as_numpy, dense
from promise_learn.linalg import gaussian, less_uniform, sparse_sign

SKETCHES = pytest.mark.parametrize("sketch", [gaussian, sparse_sign, less_uniform])


def omega(sketch, rows, rank, rng, **options):
    """Sketch matrix itself: the sketch of the identity."""
    return sketch(np.eye(rows), rank, rng, **options)


@SKETCHES
def test_unbiased(sketch):
    m, rank, repeats = 6, 4, 4000
    rng = np.random.default_rng(0)
    options = {} if sketch is gaussian else {"nonzeros": 2}
    draws = np.stack([omega(sketch, m, rank, rng, **options) for _ in range(repeats)])
    products = np.einsum("kri,krj->kij", draws, draws)
    # five standard errors of the mean, entry by entry
    error = np.abs(products.mean(axis=0) - np.eye(m))
    assert np.all(error <= 5 * products.std(axis=0) / np.sqrt(repeats) + 1e-12)


@pytest.mark.parametrize(("rank", "zeta"), [(20, 8), (5, 5), (1, 1)])
def test_sparse_sign_has_zeta_entries_in_every_column(rank, zeta):
    matrix = omega(sparse_sign, 30, rank, np.random.default_rng(0))
    assert_array_equal(np.count_nonzero(matrix, axis=0), zeta)
    assert_allclose(np.abs(matrix[matrix != 0]), 1 / np.sqrt(zeta))


@pytest.mark.parametrize(("rows", "zeta"), [(30, 8), (5, 5), (1, 1)])
def test_less_uniform_has_zeta_entries_in_every_row(rows, zeta):
    matrix = omega(less_uniform, rows, 12, np.random.default_rng(0))
    assert_array_equal(np.count_nonzero(matrix, axis=1), zeta)
    assert_allclose(np.abs(matrix[matrix != 0]), np.sqrt(rows / (12 * zeta)))


def test_subsets_are_uniform():
    matrix = omega(less_uniform, 10, 20000, np.random.default_rng(0), nonzeros=3)
    counts = np.count_nonzero(matrix, axis=0) / 20000
    # each column is in a subset with chance 3/10; standard error 0.0032
    assert_allclose(counts, 0.3, atol=5 * 0.0033)
    assert_allclose(np.sign(matrix).sum() / np.count_nonzero(matrix), 0, atol=0.03)


@pytest.mark.parametrize("sketch", [sparse_sign, less_uniform])
@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csr_matrix])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_csr_stays_csr_and_equals_dense(sketch, kind, dtype):
    rng = np.random.default_rng(1)
    A = rng.standard_normal((40, 30)) * (rng.random((40, 30)) < 0.1)
    A = kind(A.astype(dtype))
    result = sketch(A, 7, np.random.default_rng(2))
    assert result.format == "csr"
    assert result.dtype == A.dtype
    assert result.shape == (7, 30)
    expected = sketch(A.toarray(), 7, np.random.default_rng(2))
    assert isinstance(expected, np.ndarray)
    assert_allclose(dense(result), expected, atol=1e-6)


@SKETCHES
def test_every_namespace_sees_the_same_sketch(sketch):
    A = np.random.default_rng(1).standard_normal((40, 5))
    strict = sketch(array_api_strict.asarray(A), 7, np.random.default_rng(2))
    host = sketch(A, 7, np.random.default_rng(2))
    assert_allclose(as_numpy(strict), host, atol=1e-14)
