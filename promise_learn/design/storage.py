"""What a fit stores instead of X where it is faster for that."""

import numpy as np

from .. import kernels
from .._arrays import dense, is_numpy, is_sparse

FULL = 0.4  # share of entries from which a dense X is read faster than CSR
CHUNK = 2**18  # entries whose columns are looked at at once
EMPTY = 32  # entries whose columns are renumbered in the time that an empty one takes


def faster_storage(X):
    """X, or a dense copy of CSR data that have few zeros and are not large."""
    n, p = X.shape
    if not is_sparse(X) or not is_numpy(X) or X.nnz < FULL * n * p:
        return X
    return dense(X) if n * p * X.dtype.itemsize <= kernels.rows.COPY else X


def nonempty_columns(X):
    """X without its empty columns, and the numbers of the others.

    Their coefficients are zero, but every vector of a fit has an entry for each of
    them. X and None where they are few: other column numbers take memory of their own.
    """
    n, p = X.shape
    if not is_sparse(X) or not is_numpy(X) or EMPTY * p < X.nnz:
        return X, None
    used, size = np.zeros(p, bool), X.nnz
    ranges = [slice(lo, min(size, lo + CHUNK)) for lo in range(0, size, CHUNK)]
    for part in ranges:  # NumPy makes an index array of 64 bits of each
        used[X.indices[part]] = True
    kept = np.flatnonzero(used)
    if not 0 < len(kept) <= p - size / EMPTY:
        return X, None
    number = np.empty(p, X.indices.dtype)  # only those of kept columns are asked for
    number[kept] = np.arange(len(kept))
    indices = np.empty(size, X.indices.dtype)
    for part in ranges:
        indices[part] = number[X.indices[part]]
    return type(X)((X.data[:size], indices, X.indptr), shape=(n, len(kept))), kept
