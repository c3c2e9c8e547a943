"""Preconditioners: the contract for all of them, and what each one promises."""

import pickle

import array_api_strict
import numpy as np
import pytest
import scipy.linalg
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.base import clone

from promise_learn._arrays import as_numpy, dense
from promise_learn.preconditioners import (
    PRECONDITIONERS,
    Diagonal,
    Identity,
    LessUniformSketch,
    Nystrom,
    Preconditioner,
    SparseSignSketch,
    SubsampledNewton,
    resolve_preconditioner,
    woodbury,
)
from promise_learn.testing import check_preconditioner, row_block

ALL = pytest.mark.parametrize("name", list(PRECONDITIONERS))
STORAGE = pytest.mark.parametrize("storage", ["dense", "csr"])
WITH_ROWS = ["nystrom", "sassn-c", "sassn-r", "ssn"]
SMALL_RANK = [Nystrom(5), SparseSignSketch(5), LessUniformSketch(5)]


def rng(seed=0):
    return np.random.default_rng(seed)


def store(A, storage):
    return sparse.csr_array(A) if storage == "csr" else A


def matrix(inverse):
    """Dense P."""
    return np.linalg.inv(as_numpy(inverse.to_dense()).astype(float))


# ------------------------------------------------------------------ the contract


@pytest.mark.parametrize("xp", [np, array_api_strict], ids=["numpy", "strict"])
@pytest.mark.parametrize("spec", [None, *PRECONDITIONERS, *SMALL_RANK], ids=str)
def test_contract(spec, xp):
    check_preconditioner(spec, xp)


@pytest.mark.parametrize("name", WITH_ROWS)
def test_contract_without_equilibration(name):
    check_preconditioner(PRECONDITIONERS[name](equilibrate=False))


def test_contract_check_notices_a_wrong_inverse():
    class Wrong(Preconditioner):
        def rows(self, A, rng):
            return A

        def build(self, A, rho, rng, diagonal=None):
            return woodbury(A, self.terms(A, 2 * rho, rng)[1])

    with pytest.raises(AssertionError, match=r"P\^-1"):
        check_preconditioner(Wrong())


def test_contract_check_notices_a_result_that_is_not_reproducible():
    seeds = iter(range(10**6))

    class Wilful(Nystrom):
        def build(self, A, rho, rng, diagonal=None):
            wrong = np.random.default_rng(next(seeds))
            Y, d = super().terms(A, rho, rng, diagonal)
            return woodbury(Y, d + 1e-14 * wrong.random(d.shape[0]))

    with pytest.raises(AssertionError, match="same rng"):
        check_preconditioner(Wilful(equilibrate=False))


@ALL
def test_resolve_by_name(name):
    assert type(resolve_preconditioner(name)) is PRECONDITIONERS[name]


def test_resolve_keeps_instances_and_takes_none():
    spec = Nystrom(rank=7)
    assert resolve_preconditioner(spec) is spec
    assert isinstance(resolve_preconditioner(None), Identity)


@pytest.mark.parametrize("spec", ["nystrm", 3, Nystrom])
def test_resolve_lists_the_names(spec):
    with pytest.raises(ValueError, match=r"'nystrom'.*'sassn-r'.*'ssn'"):
        resolve_preconditioner(spec)


@ALL
def test_specifications_clone_and_inverses_pickle(name):
    spec = PRECONDITIONERS[name]()
    assert clone(spec).get_params() == spec.get_params()
    A, _ = row_block((7, 12))
    inverse = spec.build(A, 0.1, rng())
    again = pickle.loads(pickle.dumps(inverse))
    assert_allclose(again.to_dense(), inverse.to_dense(), rtol=0, atol=0)


@ALL
@pytest.mark.parametrize("rho", [0.0, -1.0, np.nan])
def test_rho_must_be_positive(name, rho):
    with pytest.raises(ValueError, match="rho must be positive"):
        PRECONDITIONERS[name]().build(np.ones((2, 2)), rho, rng())


@pytest.mark.parametrize("spec", [Nystrom(0), SparseSignSketch(5, nonzeros=-1)])
def test_sizes_must_be_positive(spec):
    with pytest.raises(ValueError, match="must be at least 1"):
        spec.build(np.ones((2, 2)), 1.0, rng())


# ------------------------------------------------- independent formula of each P


@STORAGE
@pytest.mark.parametrize("shape", [(40, 12), (7, 12)])
def test_ssn_is_the_damped_sampled_hessian(storage, shape):
    A, _ = row_block(shape)
    inverse = SubsampledNewton().build(store(A, storage), 0.1, rng())
    P = A.T @ A + 0.1 * np.eye(12)
    assert_allclose(inverse.to_dense() @ P, np.eye(12), atol=1e-10)


@STORAGE
def test_ssn_with_all_rows_gives_newtons_step(storage):
    A, _ = row_block((40, 12))
    mu, target = 1e-3, rng(3).standard_normal(40)
    gradient = -A.T @ target
    inverse = SubsampledNewton().build(store(A, storage), mu, rng())
    w = -inverse.apply(gradient)
    # one step from zero solves ridge regression: the gradient there vanishes
    residual = A.T @ (A @ w - target) + mu * w
    assert np.linalg.norm(residual) <= 1e-10 * np.linalg.norm(gradient)


@STORAGE
@pytest.mark.parametrize("diagonal", [False, True])
def test_nystrom_of_full_rank_is_ssn(storage, diagonal):
    A, h = row_block((7, 12))
    A, h = store(A, storage), h if diagonal else None
    ssn = SubsampledNewton().build(A, 0.1, rng(), h)
    nystrom = Nystrom(rank=7).build(A, 0.1, rng(), h)
    assert_allclose(nystrom.to_dense(), ssn.to_dense(), atol=1e-10)


@pytest.mark.parametrize("sketch", ["sassn-c", "sassn-r"])
def test_sketch_of_no_more_rows_than_its_rank_is_ssn(sketch):
    A, _ = row_block((7, 12))
    inverse = PRECONDITIONERS[sketch](rank=7).build(A, 0.1, rng())
    expected = SubsampledNewton().build(A, 0.1, rng()).to_dense()
    assert_allclose(inverse.to_dense(), expected, atol=1e-12)


def test_diagonal_is_jacobi():
    A, h = row_block((40, 12))
    inverse = Diagonal().build(A, 0.1, rng())
    assert_allclose(inverse.t, 1 / (np.sum(A * A, axis=0) + 0.1))
    h[1] = 2.0  # the zero column
    assert_allclose(Diagonal().build(A, 0.1, rng(), h).t, 1 / h)
    assert inverse.rank == 0


def test_identity():
    A, h = row_block((40, 12))
    assert_allclose(Identity().build(A, 0.1, rng(), h).to_dense(), np.eye(12))


# ----------------------------------------------------------------- equilibration


@pytest.mark.parametrize("name", WITH_ROWS)
@STORAGE
def test_equilibrated_formula(name, storage):
    A, h = row_block((20, 12))
    h[1] = 0.3
    spec = PRECONDITIONERS[name]()
    scale = np.sqrt(h)
    rho = 0.05
    Ys = dense(spec.rows(store(A / scale, storage), rng(1)))
    compensation = np.maximum(rho, 1 - np.sum(Ys * Ys, axis=0))
    P = scale[:, None] * (Ys.T @ Ys + np.diag(compensation)) * scale
    inverse = spec.build(store(A, storage), rho, rng(1), h)
    assert_allclose(inverse.to_dense() @ P, np.eye(12), atol=1e-8)


@ALL
@STORAGE
def test_rare_column_keeps_its_curvature(name, storage):
    A, h = row_block((20, 12))
    A[:, 5], h[5], h[1] = 0.0, 3.0, 0.2  # absent from the sample, present in the data
    P = matrix(PRECONDITIONERS[name]().build(store(A, storage), 1e-3, rng(), h))
    assert P[5, 5] >= 3.0 * (1 - 1e-10)
    assert np.all(np.diag(P) >= h * (1 - 1e-10))


@ALL
def test_scaling_a_column_scales_the_preconditioner(name):
    A, h = row_block((20, 12))
    h[1] = 0.2
    c = np.geomspace(1e-4, 1e4, 12)
    spec = PRECONDITIONERS[name]()
    one = spec.build(A, 1e-2, rng(1), h).to_dense()
    two = spec.build(A * c, 1e-2, rng(1), h * c * c).to_dense()
    scaled = two * c[:, None] * c
    assert_allclose(scaled, one, atol=1e-9 * np.abs(one).max())


@ALL
def test_column_without_curvature_hardly_moves(name):
    A, h = row_block((20, 12))
    assert h[1] == 0
    inverse = PRECONDITIONERS[name]().build(A, 1e-3, rng(), h)
    step = inverse.apply(np.eye(12)[1])
    assert np.all(np.isfinite(step))
    assert step[1] == pytest.approx(1 / h.max())


@ALL
def test_zero_rows_and_zero_diagonal(name):
    inverse = PRECONDITIONERS[name]().build(np.zeros((3, 4)), 0.5, rng(), np.zeros(4))
    assert_allclose(inverse.to_dense(), np.eye(4))
    inverse = PRECONDITIONERS[name]().build(np.zeros((3, 4)), 0.5, rng())
    assert_allclose(inverse.to_dense(), 2 * np.eye(4))


def test_spectral_approximation_of_the_whole_hessian():
    """A sample of ten rows a column brings the eigenvalues of P^-1 H close to 1."""
    X = rng(1).standard_normal((2000, 20)) * np.geomspace(1, 1e-2, 20)
    H = X.T @ X / 2000
    rows = rng(2).choice(2000, 400, replace=False)
    A = X[rows] / np.sqrt(400)
    for diagonal in (None, np.diag(H)):
        inverse = SubsampledNewton().build(A, 1e-6, rng(), diagonal)
        eigenvalues = scipy.linalg.eigvals(inverse.to_dense() @ H).real
        assert eigenvalues.min() > 0.5
        assert eigenvalues.max() < 2


# --------------------------------------------------------------- storage, memory


@pytest.mark.parametrize("name", ["ssn", "sassn-c", "sassn-r"])
def test_sparse_rows_stay_sparse(name):
    A = sparse.csr_array(np.where(rng(1).random((30, 500)) < 0.02, 1.5, 0.0))
    h = np.full(500, 1.0)
    for diagonal in (None, h):
        inverse = PRECONDITIONERS[name]().build(A, 0.1, rng(), diagonal)
        assert inverse.Y.format == "csr"
        assert inverse.nbytes < 30 * 500 * 8
    nystrom = Nystrom().build(A, 0.1, rng())
    assert isinstance(nystrom.Y, np.ndarray)


@pytest.mark.parametrize("index", ["int32", "int64"])
@pytest.mark.parametrize("name", WITH_ROWS)
def test_index_type_and_read_only_rows(name, index):
    A = sparse.csr_array(
        rng(1).standard_normal((30, 50)) * (rng(3).random((30, 50)) < 0.1)
    )
    A.indices, A.indptr = A.indices.astype(index), A.indptr.astype(index)
    expected = PRECONDITIONERS[name]().build(A.toarray(), 0.1, rng(2)).to_dense()
    A.data.flags.writeable = False
    actual = PRECONDITIONERS[name]().build(A, 0.1, rng(2)).to_dense()
    assert_allclose(actual, expected, atol=1e-10)
