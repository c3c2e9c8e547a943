"""How much memory random features may take, whether they are stored, what is kept."""

from .._arrays import device, is_cupy, is_numpy
from .compiled import DenseRows
from .features import PARTS, FeatureRows, block_rows

SHARE = 1 / 16
"""Share of the available memory that ``memory="auto"`` stands for."""

VECTORS, MARGINS = 12, 8  # arrays of the size of coefficients and margins in a fit


def design_rows(X, feature_map, n_columns, memory, cache=None):
    """Storage of random features: in memory where they fit, else generated every pass.

    Parameters
    ----------
    X : array (n, d) or CSR matrix
    feature_map : FeatureMap
    n_columns : int
        Targets or classes.
    memory : float or "auto"
        Bytes beside X and y that the fit may take.
    cache : joblib.Memory, optional
        Keeps Gram matrices for later fits of the same features.

    Returns
    -------
    Rows

    Raises
    ------
    ValueError
        Where not even a fit with generated features would fit.
    """
    budget = SHARE * available(X) if isinstance(memory, str) else float(memory)
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
    stored = rows.nbytes + factor + least <= budget
    if cache is None or not is_numpy(X):
        return rows.store() if stored else rows
    return StoredFeatures(rows, cache) if stored else CachedFeatures(rows, cache)


def working_bytes(n_rows, feature_map, n_columns):
    """Bytes of a fit that generates its features: buffers, sums and vectors."""
    from ..kernels import _threads

    m = feature_map.n_components
    # of the machine, not of the limit now: samples, and so results, follow the budget
    threads = min(PARTS, _threads._cores())
    buffers = threads * block_rows(feature_map) * m
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


class CachedFeatures(FeatureRows):
    """Generated features whose Gram matrices are kept by a joblib.Memory."""

    def __init__(self, rows, cache):
        super().__init__(rows.X, rows.map, rows.budget)
        self.cache = cache

    def gram(self, d, shift, intercept, factor=None):
        """Z' diag(d) Z, looked up by X, the map and the arguments."""
        return _cached(self.cache, super().gram, self, d, shift, intercept, factor)

    def subset(self, rows):
        """Storage of the given rows alone; stored where they are few."""
        few = len(rows) <= self.storable
        small = FeatureRows(self.X[rows], self.map, self.budget)
        return (StoredFeatures if few else CachedFeatures)(small, self.cache)


class StoredFeatures(DenseRows):
    """Stored features whose Gram matrices are kept by a joblib.Memory."""

    def __init__(self, rows, cache):
        super().__init__(rows.features())
        self.source, self.cache = rows, cache

    def gram(self, d, shift, intercept, factor=None):
        """Z' diag(d) Z, looked up by the data the features are made of."""
        source = self.source
        return _cached(self.cache, super().gram, source, d, shift, intercept, factor)

    def subset(self, rows):
        """Storage of the given rows alone."""
        source = self.source
        small = FeatureRows(source.X[rows], source.map, source.budget)
        return StoredFeatures(small, self.cache)


def _cached(cache, compute, rows, d, shift, intercept, factor):
    call = cache.cache(_gram, ignore=["compute"])
    return call(compute, rows.X, rows.map, d, shift, intercept, factor)


def _gram(compute, X, feature_map, d, shift, intercept, factor):
    return compute(d, shift, intercept, factor)
