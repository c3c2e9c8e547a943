"""Storages of X and problems that the tests of the core share."""

import numpy as np
from scipy import sparse

from promise_learn.testing import DenseProblem, design_matrix

DENSE = ("C", "F", "strided", "read-only", "memory-mapped")
SPARSE = ("csr_matrix", "csr_array", "csr_int64", "csr_read-only", "csr_unsorted")


def half_empty(n, p, seed=0, dtype="float64"):
    """Matrix half of zeros, with a zero row, and columns of scales 1 to 30."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * (rng.random((n, p)) < 0.5)
    X[n // 2] = 0.0
    return (X * np.geomspace(1, 30, p)).astype(dtype)


def store(X, storage, folder=None):
    """X in the given storage; a memory-mapped one lives in ``folder``."""
    if storage in SPARSE:
        return _store_sparse(X, storage)
    if storage == "F":
        return np.asfortranarray(X)
    if storage == "strided":
        return np.repeat(X, 2, axis=1)[:, ::2]
    if storage == "memory-mapped":
        np.save(folder / "X.npy", X)
        return np.load(folder / "X.npy", mmap_mode="r")
    X = np.ascontiguousarray(X)
    X.flags.writeable = storage != "read-only"
    return X


def _store_sparse(X, storage):
    A = sparse.csr_matrix(X) if storage == "csr_matrix" else sparse.csr_array(X)
    if storage == "csr_int64":
        A.indices, A.indptr = A.indices.astype(np.int64), A.indptr.astype(np.int64)
    if storage == "csr_unsorted":
        backwards = A[:, ::-1]
        backwards.indices = (X.shape[1] - 1 - backwards.indices).astype(np.int32)
        A = sparse.csr_array(
            (backwards.data, backwards.indices, backwards.indptr), shape=X.shape
        )
        A.has_sorted_indices = False
    if storage == "csr_read-only":
        for part in (A.data, A.indices, A.indptr):
            part.flags.writeable = False
    return A


def targets(loss, X, n_columns=3, seed=0):
    """Targets as the loss takes them, and the trailing shape of w."""
    rng, p = np.random.default_rng(seed), X.shape[1]
    scores = X @ rng.standard_normal((p, n_columns)) / np.sqrt(p)
    scores = scores / scores.std() + 0.5 * rng.standard_normal(scores.shape)
    return {
        "squared_error": (scores[:, 0], ()),
        "targets": (scores, (n_columns,)),
        "logistic": (np.where(scores[:, 0] > 0.3, 1.0, -1.0), ()),
        "multinomial": (np.argmax(scores, axis=1).astype(float), (n_columns,)),
    }[loss]


LOSSES = ("squared_error", "targets", "logistic", "multinomial")


def problem(loss, X, mu=1e-3, intercept=True, weights=None, per_target=False, seed=0):
    """Dense reference of a problem on X as it stands, neither centred nor scaled."""
    y, columns = targets(loss, X, seed=seed)
    s = np.ones(len(X)) if weights is None else weights
    penalty = np.append(np.full(X.shape[1], mu), [0.0] * intercept)
    if per_target:
        penalty = penalty[:, None] * np.geomspace(0.1, 10, *columns)
    return DenseProblem(
        design_matrix(X, intercept=intercept),
        y,
        "squared_error" if loss == "targets" else loss,
        s / s.sum(),
        penalty,
        (X.shape[1] + intercept, *columns),
    )
