"""Speeds that the cost model assumes, measured by benchmarks/calibrate.py.

On two cores; those named DEVICE_ on one H100. Only their ratios matter: costs are in
passes over X. A machine with other ratios makes "auto" choose a little early or late,
never a wrong answer.
"""

DENSE_PASS = 20e9  # bytes of a dense X that a product and its adjoint read, a second
WIDE_GRAM = 80e9  # n p^2 a second of X' D X in float64; twice that in float32
NARROW_GRAM = 40e9  # the same for up to `NARROW` columns
NARROW = 128
SPARSE_PASS = 1.0e-9  # seconds a nonzero
SPARSE_GRAM = 0.25e-9  # seconds a pair of nonzeros of a row that is dense
SPARSE_SCATTER = 1.5e-9  # what a pair takes beside, where rows are the sparser the more
SCATTERED, CACHED_ORDER, FARTHEST = 40, 2000, 3
FACTOR = 100e9  # n^3 / 3 a second of a Cholesky factor in float32; half in float64
PROJECTION = 200e9  # flops a second of random features in float32; half in float64
FEATURE = 0.3e-9  # seconds a float32 feature: its cosine, and products with two vectors
CALL = 2e-4  # seconds that an iteration takes beside its pass over X
SMALL = 2.0  # seconds of a Gram matrix that no estimate is worth that may avoid it
DEVICE_PASS = 1.2e12  # bytes of a dense X, as DENSE_PASS
DEVICE_SPARSE_PASS = 5e-11  # seconds a nonzero, as SPARSE_PASS
DEVICE_GRAM = 2e13  # n p^2 a second of X' D X
DEVICE_ENTRY = 2e-11  # seconds an entry of X in X' D X, beside that
DEVICE_EXPANDED = 1.3e-10  # the same of a CSR X, all entries of whose blocks are made
DEVICE_FACTOR = 3e12  # n^3 / 3 a second of a Cholesky factor in float32
DEVICE_CALL = 1e-3  # seconds, as CALL
DEVICE_SMALL = 0.05  # seconds, as SMALL


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
        entries = nnz / max(n_rows, 1)
        pair = pair_seconds(n_columns, entries / max(n_columns, 1))
        return 0.5 * entries * pair / SPARSE_PASS
    rate = NARROW_GRAM if n_columns < NARROW else WIDE_GRAM
    return n_columns * DENSE_PASS / (rate * itemsize)


def pair_seconds(order, density):
    """Time of a pair of nonzeros in a sparse X' D X.

    Neighbours in dense rows share what is read of the matrix; in sparse ones each pair
    waits for the cache, and longer where a matrix is larger than that. Fitted to random
    and real X of 100 to 5,000 columns, densities of 0.003 to 1 (to a factor of two).

    Parameters
    ----------
    order : int
        Of the matrix.
    density : float
        Share of nonzeros in X.

    Returns
    -------
    float
        Seconds.
    """
    distance = min(max(order / CACHED_ORDER, 1.0), FARTHEST)
    return SPARSE_GRAM + SPARSE_SCATTER * distance / (1 + SCATTERED * density)
