"""Speeds that the cost model assumes, measured on two cores by benchmarks/calibrate.py.

Only their ratios matter: costs are in passes over X. A machine with other ratios makes
"auto" choose a little early or late, never a wrong answer.
"""

DENSE_PASS = 20e9  # bytes of a dense X that a product and its adjoint read, a second
WIDE_GRAM = 80e9  # n p^2 a second of X' D X in float64; twice that in float32
NARROW_GRAM = 40e9  # the same for up to `NARROW` columns
NARROW = 128
SPARSE_PASS = 1.3e-9  # seconds a nonzero
SPARSE_GRAM = 0.9e-9  # seconds a pair of nonzeros of a row
SPARSE_GRAM_LARGE = 2e-9  # the same where the matrix is larger than the cache
CACHED_ORDER = 400
FACTOR = 100e9  # n^3 / 3 a second of a Cholesky factor in float32; half in float64
PROJECTION = 200e9  # flops a second of random features in float32; half in float64
FEATURE = 0.3e-9  # seconds a float32 feature: its cosine, and products with two vectors


def gram_cost(n_rows, n_columns, nnz, itemsize, sparse):
    """Time of X' D X in float64, in passes over X.

    Parameters
    ----------
    n_rows, n_columns, nnz : int
        Of X.
    itemsize : int
        Bytes of an entry.
    sparse : bool

    Returns
    -------
    float
    """
    if sparse:
        pairs = 0.5 * nnz / max(n_rows, 1)
        small = n_columns <= CACHED_ORDER
        return pairs * (SPARSE_GRAM if small else SPARSE_GRAM_LARGE) / SPARSE_PASS
    rate = NARROW_GRAM if n_columns < NARROW else WIDE_GRAM
    return n_columns * DENSE_PASS / (rate * itemsize)
