"""Array namespaces, devices and the few operations that differ between them.

Everything follows the type of X: NumPy stays NumPy, CuPy stays on its device, a strict
array-API array stays in its namespace. A *row block* below is a dense (b, p) array or a
CSR matrix of SciPy or CuPyX; the functions that take one hide which it is.
"""

from contextlib import nullcontext
from functools import cache

import numpy as np
import scipy.linalg
import scipy.sparse
from scipy.linalg import blas, lapack

INT32_MAX = 2**31 - 1
FEW = 4  # columns, up to which trsv takes less time than potrs, whose time is constant


@cache
def compat():
    """array_api_compat; importing it takes a quarter of the package's own import."""
    import array_api_compat

    return array_api_compat


def is_sparse(X):
    """Whether X is a compressed sparse matrix or array, of SciPy or CuPyX."""
    return type(X) is not np.ndarray and hasattr(X, "indptr")


def namespace(X):
    """Array namespace of X: that of its values when X is sparse."""
    if is_numpy(X):  # NumPy 2 follows the standard without wrappers
        return np
    return compat().array_namespace(X.data if is_sparse(X) else X)


def device(X):
    """Device that holds X."""
    return "cpu" if is_numpy(X) else compat().device(X.data if is_sparse(X) else X)


def current(X):
    """Context in which X's device is the current one; only CuPy knows such a thing."""
    return device(X) if is_cupy(X) else nullcontext()


def is_numpy(X):
    """Whether X lives in host memory as NumPy or SciPy data."""
    if isinstance(X, np.ndarray):
        return True
    return is_sparse(X) and isinstance(X.data, np.ndarray)


def is_cupy(X):
    """Whether X lives on a GPU as CuPy or CuPyX data."""
    return not is_numpy(X) and compat().is_cupy_array(X.data if is_sparse(X) else X)


def as_numpy(x):
    """Array or numbers as a NumPy array on the host (no copy when it is one)."""
    known = isinstance(x, np.ndarray | np.generic | float | int)
    if known or not compat().is_array_api_obj(x):
        return np.asarray(x)
    if is_cupy(x):
        return x.get()
    host = namespace(x).__array_namespace_info__().default_device()
    return np.asarray(compat().to_device(x, host))


def like(values, X, dtype=None):
    """Array of any kind, or numbers, in X's namespace, device and dtype."""
    dtype = dtype or X.dtype
    if type(values) is type(X) is np.ndarray:
        return values.astype(dtype, copy=False)
    xp = namespace(X)
    if type(values) is type(X) and device(values) == device(X):
        return xp.astype(values, dtype, copy=False)
    return xp.asarray(as_numpy(values), dtype=dtype, device=device(X))


def beside(values, X):
    """Array of any kind, or numbers, in X's namespace and device; dtype kept."""
    return namespace(X).asarray(as_numpy(values), device=device(X))


def zeros(shape, X, dtype=None):
    """Zeros of X's namespace, device and dtype."""
    return namespace(X).zeros(shape, dtype=dtype or X.dtype, device=device(X))


def normal(rng, shape, X):
    """Draw standard normal numbers on the host, so that every device sees the same."""
    return like(rng.standard_normal(shape), X)


def read_only(x):
    """View that cannot be written, so that kernels are compiled once for both kinds."""
    view = np.asarray(x).view()
    view.flags.writeable = False
    return view


def csr_parts(X):
    """Read-only indptr, indices and values of a host CSR matrix.

    The indices are unsigned, so that compiled code need not check them for a sign.
    """
    indptr, indices = (x.view(f"u{x.itemsize}") for x in (X.indptr, X.indices))
    return tuple(map(read_only, (indptr, indices, X.data)))


def take(x, rows):
    """Rows of a vector, matrix or row block at the given host indices."""
    if is_numpy(x) or is_sparse(x):
        return x[rows]
    xp = namespace(x)
    return xp.take(x, xp.asarray(rows, device=device(x)), axis=0)


def put_back(x, rows):
    """Return what `take` made of all rows, in another order, to the order before."""
    if is_numpy(x):
        out = np.empty_like(x)
        out[rows] = x
        return out
    place = np.empty_like(rows)
    place[rows] = np.arange(len(rows))
    return take(x, place)


def inner(u, v):
    """Sum of the products of the entries of two arrays, a float."""
    products = u * v
    if type(products) is np.ndarray:  # namespaces take three times as long
        return float(np.add.reduce(products, axis=None))
    return float(namespace(products).sum(products))


def sum_rows(x):
    """Sum over the first axis."""
    if type(x) is np.ndarray:  # namespaces take three times as long
        return np.add.reduce(x, axis=0)
    return namespace(x).sum(x, axis=0)


def diagonal(A):
    """Diagonal of a square matrix."""
    return A.diagonal() if type(A) is np.ndarray else namespace(A).linalg.diagonal(A)


def column(v, X):
    """Vector v shaped to broadcast over the columns of X: (n,) or (n, 1)."""
    return v if X.ndim == 1 else v[:, None]


def dense(A):
    """Row block as a dense array."""
    return A.toarray() if is_sparse(A) else A


def compact(A):
    """CSR without duplicates, 32-bit indices where they fit; copied only if changed."""
    if not A.has_canonical_format:
        A = A.copy()
        A.sum_duplicates()
    if A.indices.dtype != np.int32 and max(A.nnz, *A.shape) <= INT32_MAX:
        small = (A.data, A.indices.astype(np.int32), A.indptr.astype(np.int32))
        A = type(A)(small, shape=A.shape)
    return A


def scale_rows(A, v):
    """Row block diag(v) A."""
    if not is_sparse(A):
        return A * v[:, None]
    B = A.copy()
    B.data *= v[A.tocoo(copy=False).row]
    return B


def scale_columns(A, v):
    """Row block A diag(v)."""
    if not is_sparse(A):
        return A * v[None, :]
    B = A.copy()
    B.data *= v[A.indices]
    return B


def entry_squares(A):
    """Row block of the squared entries; the index arrays are those of A."""
    if not is_sparse(A):
        return A * A
    return type(A)((A.data * A.data, A.indices, A.indptr), shape=A.shape)


def column_squares(A):
    """Diagonal of A'A, shape (p,)."""
    squares = entry_squares(A)
    if is_sparse(A):
        return namespace(A).asarray(squares.sum(axis=0)).reshape(-1)
    return namespace(A).sum(squares, axis=0)


def row_squares(A):
    """Diagonal of AA', shape (b,)."""
    squares = entry_squares(A)
    if is_sparse(A):
        return namespace(A).asarray(squares.sum(axis=1)).reshape(-1)
    return namespace(A).sum(squares, axis=1)


def row_sums(A):
    """Sum of every row of A, shape (b,)."""
    if is_sparse(A):
        return namespace(A).asarray(A.sum(axis=1)).reshape(-1)
    return namespace(A).sum(A, axis=1)


def cast(A, dtype):
    """Array or row block with values of the given dtype (itself when they have it)."""
    if A.dtype == dtype:
        return A
    return A.astype(dtype) if is_sparse(A) else namespace(A).astype(A, dtype)


def nbytes(A):
    """Bytes that an array or a row block occupies."""
    if type(A) is np.ndarray:
        return A.nbytes
    if is_sparse(A):
        return A.data.nbytes + A.indices.nbytes + A.indptr.nbytes
    return A.size * (namespace(A).finfo(A.dtype).bits // 8)


def from_triplets(values, rows, columns, shape, X):
    """Matrix with host values at (rows, columns), made to multiply X from the left.

    CSR where the library of X has it (NumPy, CuPy), dense elsewhere; values at a
    repeated position add up.
    """
    sparse = _sparse_library(X)
    if sparse is None:
        host = np.zeros(shape)
        np.add.at(host, (rows, columns), values)
        return like(host, X)
    where = (values, (rows, columns))
    if not is_numpy(X):
        where = (like(values, X), (like(rows, X, "int32"), like(columns, X, "int32")))
    return sparse.csr_matrix(where, shape=shape, dtype=X.dtype)


def identity(dim, X):
    """Identity of order dim as a row block: CSR when X is, else dense."""
    if is_sparse(X):
        return _sparse_library(X).identity(dim, dtype=X.dtype, format="csr")
    return namespace(X).eye(dim, dtype=X.dtype, device=device(X))


def solve_triangular(L, B, transposed=False):
    """L^-1 B, or L'^-1 B, for a lower triangular L and B of shape (n,) or (n, k).

    The array standard has no triangular solve; where there is none LU factors serve.
    """
    if is_numpy(L):
        linalg = scipy.linalg
    elif is_cupy(L):
        from cupyx.scipy import linalg
    else:
        return namespace(L).linalg.solve(L.T if transposed else L, B)
    trans = int(transposed)
    return linalg.solve_triangular(L, B, trans, lower=True, check_finite=False)


def cholesky_solve(L, B):
    """(L L')^-1 B for a lower triangular L and B of shape (n,) or (n, k)."""
    if not is_numpy(L):
        return solve_triangular(L, solve_triangular(L, B), transposed=True)
    # L.T is column-major where L is row-major: BLAS and LAPACK read it without a copy
    single = L.dtype == np.float32
    if B.ndim == 2 and B.shape[1] > FEW:
        potrs = lapack.spotrs if single else lapack.dpotrs
        return potrs(L.T, B, lower=0)[0]
    if B.ndim == 2:
        return np.stack([cholesky_solve(L, b) for b in B.T], axis=1)
    trsv = blas.strsv if single else blas.dtrsv
    return trsv(L.T, trsv(L.T, B, trans=1), overwrite_x=1)


def add_diagonal(A, v, overwrite=False):
    """Return A + diag(v) for a square dense A and v of shape (n,); A if it may be."""
    if not is_numpy(A):
        return A + identity(A.shape[0], A) * v[:, None]
    out = A if overwrite and A.flags.c_contiguous else np.array(A, order="C")
    out.reshape(-1)[:: A.shape[0] + 1] += v
    return out


def _sparse_library(X):
    """Return the sparse matrices that go with X, None where there are none."""
    if is_numpy(X):
        return scipy.sparse
    if is_cupy(X):
        from cupyx.scipy import sparse

        return sparse
    return None


def append_row(x, last):
    """Vector or block x with one more entry, or row, of its dtype."""
    if type(x) is np.ndarray:  # namespaces take three times as long
        out = np.empty((len(x) + 1, *x.shape[1:]), x.dtype)
        out[:-1], out[-1] = x, last
        return out
    xp = namespace(x)
    row = xp.asarray(last, dtype=x.dtype, device=device(x))
    return xp.concat([x, xp.reshape(row, (1, *x.shape[1:]))], axis=0)


def append_column(A, v):
    """Row block [A, v]."""
    xp = namespace(A)
    if not is_sparse(A):
        return xp.concat([A, v[:, None]], axis=1)
    sparse = _sparse_library(A)
    return sparse.hstack([A, sparse.csr_matrix(v[:, None])], format="csr")
