"""Numerics of the inverse: small damping, float32, rows that are not finite."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse

from promise_learn._arrays import dense
from promise_learn.preconditioners import (
    LessUniformSketch,
    Nystrom,
    SparseSignSketch,
    SubsampledNewton,
    woodbury,
)
from promise_learn.testing import row_block


def rng(seed=0):
    return np.random.default_rng(seed)


SPECS = [SubsampledNewton(), Nystrom(20), SparseSignSketch(20), LessUniformSketch(20)]


@pytest.mark.parametrize("spec", SPECS, ids=str)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("shape", [(30, 60), (90, 60)])
@pytest.mark.parametrize("rho", [1e-40, 1e-14, 1e-8, 1e-4, 1.0])
@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
def test_positive_definite_however_small_rho(spec, dtype, shape, rho, storage):
    values = rng(1).standard_normal(shape) * np.geomspace(1, 1e-4, 60)
    A = storage(values.astype(dtype))
    inverse = spec.build(A, rho, rng())
    # float64 algebra on the stored factors, to see them and not the rounding of apply
    Y = dense(inverse.Y).astype(float)
    P = np.diag(inverse.t.astype(float)) - Y.T @ inverse.M.astype(float) @ Y
    assert np.linalg.eigvalsh((P + P.T) / 2)[0] > 0
    applied = inverse.to_dense().astype(float)
    assert np.linalg.eigvalsh((applied + applied.T) / 2)[0] > 0


@pytest.mark.parametrize("rho", [1e-4, 1e-8, 1e-12])
def test_dense_woodbury_keeps_its_digits(rho):
    """The top direction has 1 / (lambda + rho) although 1 / rho cancels."""
    U = np.linalg.qr(rng(1).standard_normal((60, 20)))[0]
    V = np.linalg.qr(rng(2).standard_normal((20, 20)))[0]
    eigenvalues = np.geomspace(1, 1e-10, 20)
    inverse = woodbury(V * np.sqrt(eigenvalues) @ U.T, np.full(60, rho))
    top = U[:, 0] @ inverse.apply(U[:, 0])
    # eps lambda / rho is 2e-4 at the smallest rho, and lost when squared
    assert top == pytest.approx(1 / (1 + rho), rel=1e-2)


def test_csr_damping_is_raised_where_woodbury_cannot_resolve_it():
    A = sparse.csr_array(np.eye(3, 6))
    inverse = woodbury(A, np.full(6, 1e-12))
    raised = 1 / inverse.t[-1]
    assert 1e-12 < raised < 1e-6
    expected = np.r_[np.full(3, 1 / (1 + raised)), np.full(3, 1 / raised)]
    assert_allclose(np.diag(inverse.to_dense()), expected, rtol=1e-2)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("shape", [(3, 5), (5, 3)])
def test_rows_that_are_not_finite_raise(bad, shape):
    with (
        pytest.raises(np.linalg.LinAlgError, match="not finite"),
        np.errstate(invalid="ignore"),
    ):
        woodbury(np.full(shape, bad), np.ones(shape[1]))


def test_dense_float32_factors_stay_float32():
    A, _ = row_block((7, 12), "float32")
    inverse = SubsampledNewton().build(A, 0.1, rng())
    assert {inverse.t.dtype, inverse.Y.dtype, inverse.M.dtype} == {A.dtype}
    double = inverse.astype(np.float64)
    assert double.Y.dtype == np.float64
    assert inverse.astype(np.float32) is inverse


def test_square_inverse_has_the_common_form():
    A, _ = row_block((40, 12))
    inverse = SubsampledNewton().build(A, 0.1, rng())
    assert inverse.square
    common = np.diag(inverse.t) - inverse.Y.T @ inverse.M @ inverse.Y
    assert_allclose(common, inverse.to_dense(), atol=1e-14)
