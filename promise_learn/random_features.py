"""Random features: a transformer, and the estimators that never need to store them."""

import math

import joblib
import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    MultiOutputMixin,
    RegressorMixin,
    TransformerMixin,
)
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, check_memory

from ._arrays import beside, current, is_numpy, is_sparse, like, namespace
from ._base import (
    check_common,
    generator,
    margins,
    score_on_host,
    unchanged_on_failure,
)
from ._classes import CLASS_WEIGHT, class_weights, encode
from ._compat import (
    InvalidParameterError,
    array,
    check_parameters,
    check_same_namespace,
    choice,
    instance,
    integer,
    none,
    random_source,
    real,
    validate,
    validate_weights,
)
from .design import FeatureRows, design_rows, draw_map
from .logistic import LogisticBase
from .ridge import RidgeBase, signs

FEATURES = {
    "n_components": integer(1),
    "kernel": choice("rbf", "laplacian", "arccos"),
    "gamma": real(0, math.inf, "neither") | choice("scale"),
    "degree": integer(0, 1, "both"),
    "projection": choice("gaussian", "orthogonal", "sorf"),
    "scale": choice("kernel", "paper"),
}
MEMORY = {
    "memory": real(0, math.inf, "right") | choice("auto"),
    "cache": instance(str, joblib.Memory) | none,
}
VARIANCE_ROWS = 4096
PAPER_GAMMA = 0.5  # bandwidth 1


def _check_kernel(estimator):
    """Raise where the kernel's parameters contradict each other."""
    kernel = estimator.kernel
    if kernel == "arccos" and estimator.gamma != "scale":
        raise InvalidParameterError(
            "kernel='arccos' has no gamma: leave gamma='scale' or use kernel='rbf'."
        )
    if kernel != "laplacian":
        return
    for name, value in (("projection", "gaussian"), ("scale", "kernel")):
        if getattr(estimator, name) != value:
            raise InvalidParameterError(
                f"kernel='laplacian' takes {name}={value!r} only: its weights are "
                "independent Cauchy numbers."
            )


def _draw(estimator, X, dtype):
    """Width gamma and feature map that an estimator's parameters ask for."""
    gamma = estimator.gamma
    if gamma == "scale" and estimator.scale == "paper":
        gamma = PAPER_GAMMA
    elif gamma == "scale":
        variance = _variance(X)
        gamma = 1.0 / (X.shape[1] * variance) if variance > 0 else 1.0
    rng = generator(estimator.random_state)
    shape = (estimator.degree, estimator.projection, estimator.scale)
    drawn = draw_map(
        X, estimator.n_components, estimator.kernel, gamma, *shape, rng, dtype
    )
    return float(gamma), drawn


def _variance(X):
    """Variance of all entries of X, in blocks of rows."""
    xp, (n, d) = namespace(X), X.shape
    if is_sparse(X):
        total = float(X.data.sum(dtype=xp.float64))
        squares = float((X.data * X.data).sum(dtype=xp.float64))
        return max(squares / (n * d) - (total / (n * d)) ** 2, 0.0)
    first = float(xp.mean(X[0, :]))
    total = squares = 0.0
    for lo in range(0, n, VARIANCE_ROWS):
        hi = min(n, lo + VARIANCE_ROWS)
        Z = xp.astype(X[lo:hi, :], xp.float64) - first
        total, squares = total + float(xp.sum(Z)), squares + float(xp.sum(Z * Z))
    return max(squares / (n * d) - (total / (n * d)) ** 2, 0.0)


class RandomFeatures(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    r"""Random features whose inner products approximate a kernel.

    .. math:: \varphi(x) = c \, h(x W + b), \qquad
              \varphi(x) \cdot \varphi(x') \approx k(x, x')

    * ``"rbf"``, exp(-gamma |x - x'|^2): h is the cosine, W normal with variance
      2 gamma, b uniform in [0, 2 pi), c = sqrt(2 / m).
    * ``"laplacian"``, exp(-gamma |x - x'|_1): the same with Cauchy W of width gamma.
    * ``"arccos"`` of degree 0 or 1, 1 - theta / pi and
      |x| |x'| (sin theta + (pi - theta) cos theta) / pi with theta the angle between x
      and x': h is the step or the rectifier max(t, 0), W standard normal, no b,
      c = sqrt(2 / m).

    The error of an inner product falls as 1 / sqrt(m). The same seed gives the same
    features on every storage, type and device, up to rounding.

    Parameters
    ----------
    n_components : int, default=1000
        Number of features, m.
    kernel : {"rbf", "laplacian", "arccos"}, default="rbf"
    gamma : float or "scale", default="scale"
        "scale" is 1 / (n_features * X.var()). The arc-cosine kernel has none.
    degree : {0, 1}, default=1
        Of the arc-cosine kernel; other kernels ignore it, as scikit-learn's do.
    projection : {"gaussian", "orthogonal", "sorf"}, default="gaussian"
        Columns of W: independent; orthogonal in blocks of n_features, with a smaller
        error; or products of random signs and Hadamard matrices (structured orthogonal
        random features), which cost log(n_features) a feature instead of n_features.
    scale : {"kernel", "paper"}, default="kernel"
        "paper" divides W by sqrt(m), takes c = 1 for the rectifier, and gamma = 0.5 for
        "scale", as the experiments of PROMISE do.
    random_state : int, RandomState, Generator or None, default=None

    Attributes
    ----------
    feature_map_ : FeatureMap
        W, b and c, drawn.
    gamma_ : float
        The gamma in use.
    n_features_in_ : int

    Raises
    ------
    ValueError
        For parameters or data out of range, or that contradict each other.

    References
    ----------
    Rahimi and Recht, Random features for large-scale kernel machines (2007); Cho and
    Saul, Kernel methods for deep learning (2009); Yu et al., Orthogonal random features
    (2016).

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.pipeline import make_pipeline
    >>> from promise_learn import RandomFeatures, Ridge
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = make_pipeline(RandomFeatures(300, random_state=0), Ridge(alpha=0.1))
    >>> round(model.fit(X, y).score(X, y), 1)
    0.6
    """

    def __init__(
        self,
        n_components=1000,
        *,
        kernel="rbf",
        gamma="scale",
        degree=1,
        projection="gaussian",
        scale="kernel",
        random_state=None,
    ):
        self.n_components = n_components
        self.kernel = kernel
        self.gamma = gamma
        self.degree = degree
        self.projection = projection
        self.scale = scale
        self.random_state = random_state

    def __sklearn_tags__(self):
        """Sparse input and array namespaces are supported; types are kept."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.array_api_support = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @property
    def _n_features_out(self):
        return self.feature_map_.n_components

    def fit(self, X, y=None):
        """Draw the features.

        Parameters
        ----------
        X : array or CSR matrix (n_samples, n_features)
            Gives the number of columns and the variance.
        y : None
            Not used.

        Returns
        -------
        RandomFeatures
            Itself.
        """
        check_parameters(self, FEATURES | {"random_state": random_source})
        _check_kernel(self)
        with unchanged_on_failure(self), current(X):
            X = validate(self, X)
            self.gamma_, self.feature_map_ = _draw(self, X, X.dtype)
        return self

    def transform(self, X):
        """Features of X.

        Parameters
        ----------
        X : array or CSR matrix (n_samples, n_features)

        Returns
        -------
        array (n_samples, n_components)
            Dense, of the type of X.
        """
        check_is_fitted(self)
        with current(X):
            X = validate(self, X, reset=False)
            drawn = self.feature_map_
            check_same_namespace(X, drawn.drawn, self, "transform")
            return FeatureRows(X, drawn.astype(X.dtype)).features()


class _Features:
    """What both estimators share: the map, and the storage of its features."""

    def _rows(self, X, n_columns):
        """Rows of the design; a warm start keeps the features that it had."""
        drawn = (X.shape[1], *(getattr(self, name) for name in FEATURES))
        if not (self.warm_start and getattr(self, "_drawn", None) == drawn):
            dtype = namespace(X).float32
            self.gamma_, self.feature_map_ = _draw(self, X, dtype)
            self._drawn = drawn
        cache = None if self.cache is None else check_memory(self.cache)
        rows = design_rows(X, self.feature_map_, n_columns, self.memory, cache)
        self.stored_ = rows.stored
        return rows


class RandomFeaturesRegressor(MultiOutputMixin, RegressorMixin, _Features, RidgeBase):
    r"""Ridge regression on random features, which need not fit into memory.

    .. math:: \min_{w, b} \; \sum_i s_i (y_i - \varphi(x_i) \cdot w - b)^2
              + \alpha \|w\|^2

    with the features of `RandomFeatures`. They are stored where memory allows, else
    generated a block of rows at a time in every pass over the data; X may be a memory
    map. Features are float32 whatever the type of X; sums are float64.

    Parameters
    ----------
    n_components : int, default=1000
        Number of features, m.
    kernel, gamma, degree, projection, scale
        As in `RandomFeatures`.
    alpha : float or array (n_targets,), default=1.0
        Penalty, one for all targets or one each; not negative.
    fit_intercept : bool, default=True
    memory : float or "auto", default="auto"
        Bytes beside X and y that a fit may take; "auto" is a sixteenth of the memory
        available. Features are stored where that fits, with the solver's factor.
    cache : str or joblib.Memory, default=None
        Folder that keeps Gram matrices, the costly part of a fit, as `Pipeline` keeps
        fitted steps. A search over ``alpha`` then forms one for each split and
        ``gamma``; set an integer ``random_state``.
    tol, max_iter, solver, preconditioner, warm_start, random_state, verbose
        As in `Ridge`. A warm start keeps the features. Solvers that visit rows at
        random ("sketchy-...") need stored features.

    Attributes
    ----------
    coef_ : array (n_components,) for one target, else (n_targets, n_components)
    intercept_ : float or array (n_targets,), 0.0 where none is fitted
    feature_map_, gamma_
        As in `RandomFeatures`.
    stored_ : bool
        Whether features were stored, not generated in every pass.
    n_iter_, n_features_in_, solver_, history_
        As in `Ridge`; a pass generates every feature once.

    Raises
    ------
    ValueError
        As `Ridge` and `RandomFeatures`; and, before any work, where the fit would need
        more than ``memory``.

    Warns
    -----
    ConvergenceWarning
        Where ``tol`` was not reached, with the gap that was.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from promise_learn import RandomFeaturesRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = RandomFeaturesRegressor(300, alpha=0.1, random_state=0)
    >>> round(model.fit(X, y).score(X, y), 1)
    0.6
    """

    def __init__(
        self,
        n_components=1000,
        *,
        kernel="rbf",
        gamma="scale",
        degree=1,
        projection="gaussian",
        scale="kernel",
        alpha=1.0,
        fit_intercept=True,
        memory="auto",
        cache=None,
        tol=1e-6,
        max_iter=None,
        solver="auto",
        preconditioner="auto",
        warm_start=False,
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.kernel = kernel
        self.gamma = gamma
        self.degree = degree
        self.projection = projection
        self.scale = scale
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.memory = memory
        self.cache = cache
        self.tol = tol
        self.max_iter = max_iter
        self.solver = solver
        self.preconditioner = preconditioner
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X, y, sample_weight=None):
        """Fit the model.

        Parameters
        ----------
        X : array or CSR matrix (n_samples, n_features)
            May be a memory map.
        y : array (n_samples,) or (n_samples, n_targets)
        sample_weight : array (n_samples,), default=None
            Not negative, not all zero.

        Returns
        -------
        RandomFeaturesRegressor
            Itself.
        """
        check_common(self, {"alpha": real(0) | array} | FEATURES | MEMORY)
        _check_kernel(self)
        with unchanged_on_failure(self), current(X):
            X, y = validate(self, X, y, multi_output=True, y_numeric=True)
            weights = validate_weights(sample_weight, X)
            y = like(y, weights)
            if is_numpy(y):
                y = np.ascontiguousarray(y)
            rows = self._rows(X, y.shape[1] if y.ndim > 1 else 1)
            return self._fit_targets(X, y, weights, self.alpha, rows)

    def predict(self, X):
        """Predicted targets; features are generated a block at a time.

        Parameters
        ----------
        X : array or CSR matrix (n_samples, n_features)

        Returns
        -------
        array (n_samples,) or (n_samples, n_targets)
        """
        return margins(self, X, "predict")

    def score(self, X, y, sample_weight=None):
        """Coefficient of determination, computed on the host wherever X lives.

        Parameters
        ----------
        X : array or CSR matrix (n_samples, n_features)
        y : array (n_samples,) or (n_samples, n_targets)
        sample_weight : array (n_samples,), default=None

        Returns
        -------
        float
        """
        return score_on_host("r2_score", self, X, y, sample_weight)


def _has_probabilities(estimator):
    """Whether the loss is the log loss; an AttributeError if not."""
    if estimator.loss != "log_loss":
        raise AttributeError(f"loss={estimator.loss!r} gives no probabilities")
    return True


class RandomFeaturesClassifier(_Features, LogisticBase, RidgeBase):
    r"""Logistic regression, or ridge regression on codes, on random features.

    .. math:: \min_{W, b} \; C \sum_i s_i \, \ell(W \varphi(x_i) + b, y_i)
              + \tfrac12 \|W\|^2

    with the features of `RandomFeatures`, stored where memory allows, else generated
    in every pass, as in `RandomFeaturesRegressor`.

    Parameters
    ----------
    n_components : int, default=1000
        Number of features, m.
    kernel, gamma, degree, projection, scale
        As in `RandomFeatures`.
    loss : {"log_loss", "squared_error"}, default="log_loss"
        The log loss (cross entropy of the softmax for more than two classes), or half
        the squared error to codes -1 and +1, one column a class.
    C : float, default=1.0
        Inverse of the penalty, positive; ``inf`` for none.
    fit_intercept : bool, default=True
    class_weight : dict or "balanced", default=None
        Factors of the sample weights by class; "balanced" gives all classes the same
        total weight.
    memory : float or "auto", default="auto"
        Bytes beside X and y that a fit may take; "auto" is a sixteenth of the memory
        available.
    cache : str or joblib.Memory, default=None
        Folder that keeps Gram matrices, as in `RandomFeaturesRegressor`; of use for the
        squared error.
    tol, max_iter, solver, preconditioner, warm_start, random_state, verbose
        As in `LogisticRegression`. A warm start keeps the features. Solvers that visit
        rows at random ("sketchy-...") need stored features.

    Attributes
    ----------
    coef_ : array (1, n_components) or (n_classes, n_components)
    intercept_ : array (1,) or (n_classes,)
    classes_ : array (n_classes,)
    feature_map_, gamma_, stored_
        As in `RandomFeaturesRegressor`.
    n_iter_, n_features_in_, solver_, history_
        As in `LogisticRegression`; a pass generates every feature once.

    Raises
    ------
    ValueError
        As `LogisticRegression` and `RandomFeaturesRegressor`.

    Warns
    -----
    ConvergenceWarning
        Where ``tol`` was not reached, with the gap that was; and where the classes are
        separated perfectly, so that nothing but the penalty bounds the coefficients.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from promise_learn import RandomFeaturesClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = RandomFeaturesClassifier(200, random_state=0).fit(X, y)
    >>> round(model.score(X, y), 2)
    0.97
    """

    def __init__(
        self,
        n_components=1000,
        *,
        kernel="rbf",
        gamma="scale",
        degree=1,
        projection="gaussian",
        scale="kernel",
        loss="log_loss",
        C=1.0,
        fit_intercept=True,
        class_weight=None,
        memory="auto",
        cache=None,
        tol=1e-6,
        max_iter=None,
        solver="auto",
        preconditioner="auto",
        warm_start=False,
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.kernel = kernel
        self.gamma = gamma
        self.degree = degree
        self.projection = projection
        self.scale = scale
        self.loss = loss
        self.C = C
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.memory = memory
        self.cache = cache
        self.tol = tol
        self.max_iter = max_iter
        self.solver = solver
        self.preconditioner = preconditioner
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X, y, sample_weight=None):
        """Fit the model.

        Parameters
        ----------
        X : array or CSR matrix (n_samples, n_features)
            May be a memory map.
        y : array (n_samples,)
            Class labels, at least two.
        sample_weight : array (n_samples,), default=None
            Not negative, not all zero.

        Returns
        -------
        RandomFeaturesClassifier
            Itself.
        """
        own = {
            "C": real(0, math.inf, "right"),
            "class_weight": CLASS_WEIGHT,
            "loss": choice("log_loss", "squared_error"),
        }
        check_common(self, own | FEATURES | MEMORY)
        _check_kernel(self)
        with unchanged_on_failure(self), current(X):
            X, y = validate(self, X, y)
            weights = validate_weights(sample_weight, X)
            classes, codes = encode(y)
            weights = class_weights(self.class_weight, classes, codes, weights)
            self.classes_, K = beside(classes, y), len(classes)
            rows = self._rows(X, K if K > 2 else 1)
            if self.loss == "log_loss":
                self._fit_codes(X, codes, weights, rows)
            else:
                Y = like(signs(codes, K), weights)
                self._fit_targets(X, Y, weights, 1.0 / self.C, rows)
                self.coef_ = self.coef_ if K > 2 else self.coef_[None, :]
        return self

    @available_if(_has_probabilities)
    def predict_proba(self, X):
        """Probabilities of the classes, in the order of ``classes_``; of the log loss.

        Parameters
        ----------
        X : array or CSR matrix (n_samples, n_features)

        Returns
        -------
        array (n_samples, n_classes)
        """
        return super().predict_proba(X)

    @available_if(_has_probabilities)
    def predict_log_proba(self, X):
        """Logarithms of the probabilities of the classes; of the log loss.

        Parameters
        ----------
        X : array or CSR matrix (n_samples, n_features)

        Returns
        -------
        array (n_samples, n_classes)
        """
        return super().predict_log_proba(X)
