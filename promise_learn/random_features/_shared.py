"""Parameters of features, the map they draw, and what both estimators share."""

import math

import joblib
from sklearn.utils.validation import check_memory

from .._arrays import is_sparse, namespace
from .._base import generator
from .._compat import InvalidParameterError, choice, instance, integer, none, real
from ..design import design_rows, draw_landmarks, draw_map, features_budget

FEATURES = {
    "n_components": integer(1),
    "approximation": choice("random", "nystrom"),
    "kernel": choice("rbf", "laplacian", "arccos"),
    "gamma": real(0, math.inf, "neither") | choice("scale"),
    "degree": integer(0, 1, "both"),
    "projection": choice("auto", "gaussian", "orthogonal", "sorf"),
    "scale": choice("kernel", "paper"),
}
MEMORY = {
    "memory": real(0, math.inf, "right") | choice("auto"),
    "cache": instance(str, joblib.Memory) | none,
}
VARIANCE_ENTRIES = 2**20
PAPER_GAMMA = 0.5  # bandwidth 1
ORTHOGONAL_COLUMNS = 1000  # up to which the QR factors take little time


def check_kernel(estimator):
    """Raise where the kernel's parameters contradict each other."""
    kernel = estimator.kernel
    if kernel == "arccos" and estimator.gamma != "scale":
        raise InvalidParameterError(
            "kernel='arccos' has no gamma: leave gamma='scale' or use kernel='rbf'."
        )
    if estimator.approximation == "nystrom":
        given, projections = "approximation='nystrom'", ("auto",)
        why = "its features are made of rows of X."
    elif kernel == "laplacian":
        given, projections = "kernel='laplacian'", ("gaussian", "auto")
        why = "its weights are independent Cauchy numbers."
    else:
        return
    for name, values in (("projection", projections), ("scale", ("kernel",))):
        if getattr(estimator, name) not in values:
            raise InvalidParameterError(
                f"{given} takes {name}={values[0]!r} only: {why}"
            )


def kind_of(estimator, n_columns):
    """Kind of features, with the projection of random ones, where X has n_columns."""
    if estimator.approximation == "nystrom":
        return "nystrom"
    if estimator.projection != "auto":
        return estimator.projection
    plain = estimator.kernel == "laplacian" or estimator.scale == "paper"
    return "gaussian" if plain or n_columns > ORTHOGONAL_COLUMNS else "orthogonal"


def draw(estimator, X, dtype):
    """Width gamma and feature map that an estimator's parameters ask for."""
    gamma = estimator.gamma
    if gamma == "scale" and estimator.scale == "paper":
        gamma = PAPER_GAMMA
    elif gamma == "scale":
        variance = _variance(X)
        gamma = 1.0 / (X.shape[1] * variance) if variance > 0 else 1.0
    rng = generator(estimator.random_state)
    shape = (estimator.n_components, estimator.kernel, gamma, estimator.degree)
    kind = kind_of(estimator, X.shape[1])
    if kind == "nystrom":
        drawn = draw_landmarks(X, *shape, rng, dtype)
    else:
        drawn = draw_map(X, *shape, kind, estimator.scale, rng, dtype)
    return float(gamma), drawn


def _variance(X):
    """Variance of all entries of X, in blocks of rows."""
    xp, size = namespace(X), math.prod(X.shape)
    values, origin = X, 0.0
    if is_sparse(X):
        values = X.data[:, None]
    else:
        origin = float(xp.mean(X[0, :]))
    total = squares = 0.0
    n, step = values.shape[0], max(1, VARIANCE_ENTRIES // values.shape[1])
    for lo in range(0, n, step):
        Z = xp.astype(values[lo : min(n, lo + step), :], xp.float64) - origin
        total, squares = total + float(xp.sum(Z)), squares + float(xp.sum(Z * Z))
    return max(squares / size - (total / size) ** 2, 0.0)


class OnFeatures:
    """What both estimators share: the map, and the storage of its features."""

    def _rows(self, X, n_columns, cacheable):
        """Rows of the design; a warm start keeps the features that it had.

        The Gram matrix of a loss whose curvature changes is not worth keeping.
        """
        size = (self.n_components, kind_of(self, X.shape[1]), n_columns)
        budget = features_budget(X, *size, self.memory)
        drawn = (X.shape[1], *(getattr(self, name) for name in FEATURES))
        if not (self.warm_start and getattr(self, "_drawn", None) == drawn):
            dtype = namespace(X).float32
            self.gamma_, self.feature_map_ = draw(self, X, dtype)
            self._drawn = drawn
        cache = None
        if self.cache is not None and cacheable:
            cache = check_memory(self.cache)
        rows = design_rows(X, self.feature_map_, budget, cache)
        self.stored_ = rows.stored
        return rows
