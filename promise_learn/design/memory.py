"""How much memory features may take, whether they are stored, what is kept."""

from functools import cached_property

import joblib

from .._arrays import device, is_cupy, is_numpy, is_sparse
from ..kernels import _threads
from .compiled import DenseRows
from .features import DOUBLE_BYTES, PARTS, FeatureRows, block_rows
from .landmarks import landmark_bytes, value_bytes
from .maps import map_bytes, padded

SHARE = 1 / 10
"""Share of the available memory that ``memory="auto"`` stands for."""

VECTORS, MARGINS = 12, 8  # arrays of the size of coefficients and margins in a fit
SAMPLES = 0.7  # copies of stored rows that a fit holds, as a share of all; measured
ITEMSIZE = 4  # of the estimators' features


def features_budget(X, n_components, kind, n_columns, memory):
    """Bytes that a fit on features of X may take beside what any fit needs.

    To be asked before the features are drawn.

    Parameters
    ----------
    X : array (n, d) or CSR matrix
    n_components : int
        m.
    kind : {"gaussian", "orthogonal", "sorf", "nystrom"}
        Projection of random features, or Nyström features.
    n_columns : int
        Targets or classes.
    memory : float or "auto"
        Bytes beside X and y that the fit may take.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        Where not even a fit with generated features would fit.
    """
    budget = SHARE * available(X) if isinstance(memory, str) else float(memory)
    least = working_bytes(X, n_components, kind, n_columns)
    if least > budget:
        raise ValueError(
            f"A fit of n_components={n_components:,} features to {X.shape[0]:,} rows "
            f"and {n_columns} column(s) needs {least / 1e9:.2f} GB beside X, and "
            f"memory={memory!r} allows {budget / 1e9:.2f} GB: lower n_components or "
            f"set memory to at least {1.1 * least:.1e} (bytes)."
        )
    return budget - least


def design_rows(X, feature_map, budget, cache=None):
    """Storage of features: in memory where they fit, else generated every pass.

    Those of as many rows as the budget has room for are generated once.

    Parameters
    ----------
    X : array (n, d) or CSR matrix
    feature_map : FeatureMap or NystromMap
    budget : float
        Of `features_budget`.
    cache : joblib.Memory, optional
        Keeps Gram matrices and sketches for later fits of the same features.

    Returns
    -------
    Rows
    """
    rows = FeatureRows(X, feature_map, budget)
    factor = DOUBLE_BYTES * min(rows.shape) ** 2
    stored = (1 + SAMPLES) * rows.nbytes + factor <= budget
    cached = cache is not None and is_numpy(X)
    if stored:
        return StoredFeatures(rows, cache) if cached else rows.store()
    rows = CachedFeatures(rows, cache) if cached else rows
    rows.keep()
    return rows


def working_bytes(X, n_components, kind, n_columns):
    """Bytes of a fit that generates its features: map, buffers, sums and vectors."""
    (n, d), m = X.shape, n_components
    # of the machine, not of the limit now: samples, and so results, follow the budget
    threads, width, values = min(PARTS, _threads.cores()), m, 0
    if kind == "nystrom":
        width, values = 2 * m + d, value_bytes(d, m)
    elif kind == "sorf" or not is_sparse(X):
        width += d if kind != "sorf" else 2 * padded(d)
    buffers = threads * (ITEMSIZE * block_rows(m, ITEMSIZE) * width + values)
    vectors = VECTORS * m + MARGINS * n + PARTS * m
    if kind == "nystrom":
        drawn = landmark_bytes(d, m, ITEMSIZE)
    else:
        drawn = map_bytes(d, m, kind, ITEMSIZE)
    return drawn + buffers + 8 * vectors * n_columns


def available(X):
    """Bytes free on the device of X."""
    if is_cupy(X):
        return device(X).mem_info[0]
    if not is_numpy(X):
        return float("inf")
    from psutil import virtual_memory

    return virtual_memory().available


class Kept:
    """Features whose Gram matrices, diagonals and sketches a joblib.Memory keeps.

    They are looked up by what the features are made of, and by the arguments.
    """

    keeps = True
    gram_cost = 0.0  # as later fits find it: every penalty then asks for the same one

    @cached_property
    def made_of(self):
        """Hash of X, of the rows picked and of the map."""
        source = self.source
        return joblib.hash((source.X, source.picked, source.map))

    def gram(self, d, shift, intercept, factor=None):
        """Z' diag(d) Z; see `Rows.gram`."""
        return self._kept(super().gram, d, shift, intercept, factor)

    def squares(self, d, shift):
        """Diagonal of Z' diag(d) Z."""
        return self._kept(super().squares, d, shift)

    def sketched(self, d, V, offset):
        """See `Rows.sketched`."""
        return self._kept(super().sketched, d, V, offset)

    def low_rank(self, sketch):
        """Eigenvalues and eigenvectors that a sketch gives; see `Rows.low_rank`."""
        return self._kept(super().low_rank, sketch)

    def _kept(self, compute, *arguments):
        call = self.cache.cache(_call, ignore=["compute"])
        return call(compute, compute.__name__, self.made_of, *arguments)


def _call(compute, name, made_of, *arguments):
    return compute(*arguments)


class CachedFeatures(Kept, FeatureRows):
    """Generated features."""

    def __init__(self, rows, cache):
        super().__init__(rows.X, rows.map, rows.budget, rows.picked)
        self.source, self.cache = rows, cache

    def subset(self, rows):
        """Storage of the given rows alone; stored where they are few."""
        few = len(rows) <= self.storable
        small = FeatureRows(self.X, self.map, self.room, self._pick(rows))
        return (StoredFeatures if few else CachedFeatures)(small, self.cache)


class StoredFeatures(Kept, DenseRows):
    """Stored features."""

    def __init__(self, rows, cache):
        super().__init__(rows.features(), rows.budget - rows.nbytes)
        self.source, self.cache = rows, cache

    def subset(self, rows):
        """Storage of the given rows alone."""
        source = self.source
        picked = source._pick(rows)
        small = FeatureRows(source.X, source.map, source.budget, picked)
        return StoredFeatures(small, self.cache)
