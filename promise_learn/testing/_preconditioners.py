"""What every preconditioner must do."""

from itertools import product

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from .._arrays import as_numpy, dense, is_sparse, like

SHAPES = ((40, 12), (7, 12), (1, 9), (9, 1), (1, 1))


def check_preconditioner(spec, xp=np):
    r"""Check that a preconditioner keeps the contract.

    For row blocks with more and with fewer rows than columns, of one row and of one
    column, with a zero and a duplicated column, dense and CSR, float64 and float32,
    with and without equilibration: P is symmetric positive definite, ``apply`` is its
    dense inverse (1e-10 of the norm in float64) for vectors and for blocks, keeps dtype
    and namespace, ``build`` changes neither the specification nor the rows, repeats
    itself from the same generator, and returns an immutable object.

    Parameters
    ----------
    spec : str, Preconditioner or None
        What the user would pass.
    xp : module, default=numpy
        Namespace of the arrays, such as ``cupy``. CSR blocks are checked for NumPy.

    Raises
    ------
    AssertionError
        If a property fails.

    Examples
    --------
    >>> from promise_learn.testing import check_preconditioner
    >>> check_preconditioner("nystrom")
    """
    from ..preconditioners import resolve_preconditioner

    spec = resolve_preconditioner(spec)
    storages = ("dense", "csr") if xp is np else ("dense",)
    for shape, dtype in product(SHAPES, ("float64", "float32")):
        for storage, with_diagonal in product(storages, (False, True)):
            A, diagonal = row_block(shape, dtype, storage, xp)
            label = f"{spec} on {shape} {dtype} {storage}, diagonal={with_diagonal}"
            _check_build(spec, A, diagonal if with_diagonal else None, label)


def row_block(shape, dtype="float64", storage="dense", xp=np, seed=0):
    """Half-empty row block with a zero and a duplicated column, and a diagonal.

    Parameters
    ----------
    shape : tuple (b, dim)
    dtype : str
        Of the values.
    storage : {"dense", "csr"}
        CSR for NumPy only.
    xp : module
        Namespace of the result.
    seed : int
        Of the values.

    Returns
    -------
    A : row block of the given shape
    diagonal : array of shape (dim,)
        Of a Hessian of which A'A is an estimate; positive except at the zero column.
    """
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(shape) * (rng.random(shape) < 0.5)
    values[0, 0] = 1.0
    values *= np.geomspace(1, 30, shape[1]) / np.sqrt(shape[0])
    if shape[1] > 4:
        values[:, 1] = 0.0
        values[:, 3] = values[:, 2]
    diagonal = np.sum(values**2, axis=0) * rng.uniform(0.5, 2.0, shape[1])
    A = xp.asarray(values, dtype=getattr(xp, dtype))
    if storage == "csr":
        from scipy import sparse

        A = sparse.csr_array(A)
    return A, like(diagonal, A)


def _check_build(spec, A, diagonal, label):
    rho, params, before = 0.1, spec.get_params(), _copy(A)
    inverse = spec.build(A, rho, np.random.default_rng(1), diagonal)
    Y, d = spec.terms(A, rho, np.random.default_rng(1), diagonal)
    Y = as_numpy(dense(Y)).astype(float)
    P = Y.T @ Y + np.diag(as_numpy(d))
    tol = 1e-10 if before.dtype == np.float64 else 2e-4
    expected = np.linalg.inv(P)
    norm = np.linalg.norm(expected, 2)
    actual = as_numpy(inverse.to_dense())
    assert_allclose(actual, expected, 0, tol * norm, err_msg=f"{label}: P^-1")
    assert np.linalg.eigvalsh((actual + actual.T) / 2)[0] > 0, f"{label}: not SPD"
    _check_apply(inverse, A, actual, tol * norm, label)
    assert_array_equal(_copy(A), before, err_msg=f"{label}: build changed its rows")
    assert spec.get_params() == params, f"{label}: build changed the specification"
    again = spec.build(A, rho, np.random.default_rng(1), diagonal)
    same = as_numpy(again.to_dense())
    assert_array_equal(same, actual, err_msg=f"{label}: same rng, another result")
    _check_immutable(inverse, A, actual, label)


def _check_apply(inverse, A, matrix, atol, label):
    """Blocks, columns, dtype and namespace of ``apply``."""
    host = np.random.default_rng(2).standard_normal((A.shape[1], 3))
    block = like(host, A)
    result = inverse.apply(block)
    assert result.dtype == block.dtype, f"{label}: apply changes the dtype"
    assert type(result) is type(block), f"{label}: apply changes the array type"
    columns = [as_numpy(inverse.apply(block[:, k])) for k in range(3)]
    message = f"{label}: apply to a block differs from apply to its columns"
    atol = 10 * atol
    assert_allclose(as_numpy(result), np.stack(columns, 1), 0, atol, err_msg=message)
    message = f"{label}: apply differs from to_dense"
    assert_allclose(as_numpy(result), matrix @ host, 0, atol, err_msg=message)


def _check_immutable(inverse, A, matrix, label):
    """No attribute can be set, and later changes of the rows leave the factors be."""
    try:
        inverse.t = None
    except AttributeError:
        pass
    else:
        raise AssertionError(f"{label}: attributes of the inverse can be set")
    if is_sparse(A):
        A.data[:] = 0
    else:
        A[:, :] = 0
    message = f"{label}: the inverse shares memory with the rows"
    assert_array_equal(as_numpy(inverse.to_dense()), matrix, err_msg=message)


def _copy(A):
    """Host copy of a row block as a dense array."""
    return np.array(as_numpy(dense(A)))
