"""Parameters of features, the map they draw, and what both estimators share."""

import math

import joblib
from sklearn.utils.validation import check_memory

from .._arrays import cast, is_sparse, namespace, row_squares, row_sums
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
EXACT = 2**18  # features that may have the type of X, since they take little
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


def draw(estimator, X, dtype, weights):
    """Width gamma and feature map that an estimator's parameters ask for.

    Rows count for the variance by their weights, as many rows of weight one would.
    """
    gamma = estimator.gamma
    if gamma == "scale" and estimator.scale == "paper":
        gamma = PAPER_GAMMA
    elif gamma == "scale":
        variance = _variance(X, weights)
        gamma = 1.0 / (X.shape[1] * variance) if variance > 0 else 1.0
    rng = generator(estimator.random_state)
    shape = (estimator.n_components, estimator.kernel, gamma, estimator.degree)
    kind = kind_of(estimator, X.shape[1])
    if kind == "nystrom":
        drawn = draw_landmarks(X, *shape, rng, dtype)
    else:
        drawn = draw_map(X, *shape, kind, estimator.scale, rng, dtype)
    return float(gamma), drawn


def _variance(X, weights):
    """Variance of all entries of X, in blocks of rows, with weights of the rows."""
    n, p = X.shape
    origin = 0.0 if is_sparse(X) else float(namespace(X).mean(X[0, :]))
    total = squares = 0.0
    step = max(1, VARIANCE_ENTRIES // max(1, X.nnz // n if is_sparse(X) else p))
    for lo in range(0, n, step):
        hi = min(n, lo + step)
        Z, s = X[lo:hi, :], weights[lo:hi]
        Z = cast(Z, s.dtype) if is_sparse(Z) else cast(Z, s.dtype) - origin
        total += float(namespace(s).sum(s * row_sums(Z)))
        squares += float(namespace(s).sum(s * row_squares(Z)))
    if not math.isfinite(squares):
        raise ValueError("The variance of X, for gamma='scale', overflows: scale X.")
    size = p * float(namespace(weights).sum(weights))
    return max(squares / size - (total / size) ** 2, 0.0)


class OnFeatures:
    """What both estimators share: the map, and the storage of its features."""

    def _rows(self, X, n_columns, cacheable, weights):
        """Rows of the design; a warm start keeps the features that it had.

        The Gram matrix of a loss whose curvature changes is not worth keeping.
        """
        size = (self.n_components, kind_of(self, X.shape[1]), n_columns)
        budget = features_budget(X, *size, self.memory)
        few = X.shape[0] * self.n_components <= EXACT
        dtype = X.dtype if few else namespace(X).float32
        parameters = (getattr(self, name) for name in FEATURES)
        drawn = (namespace(X).__name__, X.shape[1], *parameters)
        if not (self.warm_start and getattr(self, "_drawn", None) == drawn):
            self.gamma_, self.feature_map_ = draw(self, X, dtype, weights)
            self._drawn = drawn
        elif self.feature_map_.dtype != dtype:
            self.feature_map_ = self.feature_map_.astype(dtype)
        cache = None
        if self.cache is not None and cacheable:
            cache = check_memory(self.cache)
        rows = design_rows(X, self.feature_map_, budget, cache)
        self.stored_ = rows.stored
        return rows
