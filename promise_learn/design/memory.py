"""How much memory random features may take, and whether they are stored."""

from .._arrays import device, is_cupy, is_numpy
from .features import PARTS, FeatureRows, block_rows

SHARE = 1 / 16
"""Share of the available memory that ``memory="auto"`` stands for."""

VECTORS, MARGINS = 12, 8  # arrays of the size of coefficients and margins in a fit


def design_rows(X, feature_map, n_columns, memory):
    """Storage of random features: in memory where they fit, else generated every pass.

    Parameters
    ----------
    X : array (n, d) or CSR matrix
    feature_map : FeatureMap
    n_columns : int
        Targets or classes.
    memory : float or "auto"
        Bytes beyond X and y that the fit may take.

    Returns
    -------
    Rows

    Raises
    ------
    ValueError
        Where not even a fit with generated features would fit.
    """
    auto = isinstance(memory, str)
    budget = SHARE * available(X) if auto else float(memory)
    n, m, itemsize = X.shape[0], feature_map.n_components, feature_map.itemsize
    least = working_bytes(n, feature_map, n_columns)
    if least > budget:
        raise ValueError(
            f"A fit of n_components={m:,} features to {n:,} rows and {n_columns} "
            f"column(s) needs {least / 1e9:.2f} GB beside X, and memory={memory!r} "
            f"allows {budget / 1e9:.2f} GB: lower n_components or set memory to at "
            f"least {1.1 * least:.1e} (bytes)."
        )
    rows = FeatureRows(X, feature_map, budget - least)
    factor = 2 * itemsize * min(m, n) ** 2
    return rows.store() if rows.nbytes + factor + least <= budget else rows


def working_bytes(n_rows, feature_map, n_columns):
    """Bytes of a fit that generates its features: buffers, sums and vectors."""
    from ..kernels import _threads

    m = feature_map.n_components
    buffers = _threads.thread_limit() * block_rows(feature_map) * m
    vectors = VECTORS * m + MARGINS * n_rows + PARTS * m
    return feature_map.nbytes + buffers * feature_map.itemsize + 8 * vectors * n_columns


def available(X):
    """Bytes free on the device of X."""
    if is_cupy(X):
        return device(X).mem_info[0]
    if not is_numpy(X):
        return float("inf")
    from psutil import virtual_memory

    return virtual_memory().available
