r"""Row verbs: what a stochastic epoch does with the rows of X, by index.

An epoch is written once, as a plain function over these verbs. On NumPy data it is
compiled whole by Numba (:func:`compiled`), dense or CSR, and the verbs take the bodies
of ``_rows_numba``; on any other array namespace it runs as it stands with the bodies
below.

Rows are never copied or shuffled in memory: an epoch receives the order of its visits
(:func:`epoch_order`) and reads each row where it lies.

Notation: x_i is row i of X, and z_i the row that meets the coefficients: centred,
scaled and, with an intercept, one entry longer,

.. math:: z_i = ([x_i, 0] - \mathrm{shift}) / \mathrm{scale},

where shift holds the column means (zeros if not centred), then -1 if there is an
intercept, and scale the divisors of the columns, then 1.
"""

from collections import namedtuple
from functools import cache

import numpy as np

from .._arrays import (
    cast,
    column,
    csr_parts,
    is_numpy,
    is_sparse,
    namespace,
    read_only,
    take,
)

SQUARED, LOGISTIC, MULTINOMIAL, SQUARED_HINGE, HUBER, POISSON = range(6)

Dense = namedtuple("Dense", "values shift scale")
Dense.__doc__ = "Rows z_i of a dense (n, p) array; shift and scale of shape (dim,)."

Sparse = namedtuple("Sparse", "indptr indices values shift scale")
Sparse.__doc__ = "Rows z_i of a CSR matrix by its `csr_parts`; shift, scale (dim,)."

Factors = namedtuple("Factors", "t Y M")
Factors.__doc__ = """Parts of an inverse ``P^-1 g = t * g - Y'(M (Y g))``.

t (dim,), Y (r, dim) dense or Sparse (its shift and scale unused), M (r, r) symmetric. A
Y without rows beside an M of order dim stands for the identity.
"""

SMALL = 8 << 20  # bytes of X that stay in cache
RUN = 32 << 10  # bytes read in one go that hide the latency of memory
RUNS = 16  # least runs a batch, so that it stays mixed where rows are sorted
COPY = 256 << 20  # bytes of a column-ordered X that may be copied into row order


def row_view(X, shift, scale):
    """X (dense, or CSR on the host) as the verbs take it.

    Host arrays become read-only views, so that an epoch is compiled once for writable
    and read-only data.
    """
    if not is_numpy(X):
        return Dense(X, shift, scale)
    if is_sparse(X):
        return Sparse(*csr_parts(X), shift, scale)
    if X.nbytes <= COPY:
        X = np.ascontiguousarray(X)
    return Dense(read_only(X), shift, scale)


def factor_view(t, Y, M):
    """Parts of an inverse as an epoch takes them: dense Y and M in row order."""
    if is_sparse(Y):
        zero = t * 0
        return Factors(t, row_view(Y, zero, zero + 1), M)
    if is_numpy(Y):
        Y, M = np.ascontiguousarray(Y), np.ascontiguousarray(M)
    return Factors(t, Y, M)


def epoch_order(n, row_bytes, batch_size, rng):
    """Order in which an epoch visits the rows: a permutation of 0..n-1.

    While X is small (8 MB) it is a uniform permutation. Beyond that it is a random
    order of short runs of neighbouring rows, at a random offset: longer reads hide the
    latency of memory, and at least 16 runs a batch keep it mixed where rows are sorted.
    (Runs of twice the length took up to 1.7 times as many epochs on random features of
    ijcnn1, sorted by class and column.)

    Parameters
    ----------
    n, row_bytes, batch_size : int
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of shape (n,), int64
    """
    run = 1
    if n * row_bytes > SMALL:
        run = max(1, min(RUN // max(row_bytes, 1), batch_size // RUNS))
    if run == 1:
        return rng.permutation(n)
    starts = np.arange(-int(rng.integers(run)), n, run, dtype=np.int64)
    order = (rng.permutation(starts)[:, None] + np.arange(run)).reshape(-1)
    return order[(order >= 0) & (order < n)]


def dot(X, rows, w):
    """Margins of the given rows, ``z_i . w``.

    Parameters
    ----------
    X : Dense or Sparse
    rows : ndarray of shape (b,), int64
    w : array of shape (dim,) or (dim, K)

    Returns
    -------
    array of shape (b,) or (b, K)
    """
    block = take(_matrix(X), rows)
    u = w / column(X.scale, w)
    inside = cast(u[: block.shape[1], ...], block.dtype)
    return cast(block @ inside, w.dtype) - X.shift @ u


def adjoint(X, rows, r):
    """Sum of the given rows weighted by r, ``sum_i r_i z_i``.

    Parameters
    ----------
    X : Dense or Sparse
    rows : ndarray of shape (b,), int64
    r : array of shape (b,) or (b, K)

    Returns
    -------
    array of shape (dim,) or (dim, K)
    """
    block = take(_matrix(X), rows)
    out = -column(X.shift, r) * namespace(r).sum(r, axis=0)
    inside = out[: block.shape[1], ...]
    inside += cast(block.T @ cast(r, block.dtype), r.dtype)
    return out / column(X.scale, r)


def slope(loss, eta, y):
    """Slope of the loss: its derivative in the margins, finite at any margin.

    Parameters
    ----------
    loss : Loss, or the pair of its code and its parameter in compiled code
        The first entry is SQUARED, LOGISTIC or SQUARED_HINGE (y = +-1), MULTINOMIAL (y
        = class codes), HUBER or POISSON; the second one is the threshold of HUBER.
    eta : array of shape (b,) or (b, K)
    y : array of eta's shape, or (b,) for MULTINOMIAL

    Returns
    -------
    array of eta's shape
    """
    return loss.slope(eta, y)


def apply(P, g):
    """Preconditioned gradient ``P^-1 g = t * g - Y'(M (Y g))``, the shape of g.

    Parameters
    ----------
    P : Factors
    g : array of shape (dim,) or (dim, K)
    """
    out = column(P.t, g) * g
    if P.M.shape[0] == 0:
        return out
    Y = _matrix(P.Y)
    return out - (P.M @ g if Y.shape[0] == 0 else Y.T @ (P.M @ (Y @ g)))


@cache
def compiled(function):
    """Compile an epoch with Numba; machine code is kept on disk where possible."""
    from . import _rows_numba  # noqa: F401  gives the verbs their compiled bodies
    from ._jit import jit

    return jit(function)


def _matrix(X):
    """Dense array or CSR matrix of X itself."""
    if isinstance(X, Dense):
        return X.values
    if not isinstance(X, Sparse):
        return X
    from scipy.sparse import csr_matrix

    # as many columns as coefficients: the one of the intercept, if any, is empty
    shape = (X.indptr.shape[0] - 1, X.shift.shape[0])
    indptr, indices = (x.view(f"i{x.itemsize}") for x in (X.indptr, X.indices))
    return csr_matrix((X.values, indices, indptr), shape=shape)
