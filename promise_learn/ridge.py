"""Ridge regression and the classifier that regresses on class codes."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MultiOutputMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets

from ._arrays import as_numpy, like, namespace
from ._base import (
    check_common,
    class_weights,
    fit_objective,
    margins,
    unchanged_on_failure,
    validate,
    validate_weights,
)
from ._compat import array, choice, instance, none, real
from .losses import SquaredError


class _RidgeBase(BaseEstimator):
    def _fit_targets(self, X, Y, weights):
        """Minimise for targets Y (n,) or (n, K); coef_ is (p,) or (K, p)."""
        alpha = self.alpha
        columns = None if Y.ndim == 1 else Y.shape[1]
        if np.ndim(alpha) > 0:
            alpha = np.asarray(as_numpy(alpha), dtype=float).reshape(-1)
            if len(alpha) not in (1, columns or 1):
                raise ValueError(
                    "Number of targets and number of penalties do not correspond: "
                    f"{columns or 1} != {len(alpha)}"
                )
            if (alpha < 0).any():
                raise ValueError(f"alpha must not be negative, got {alpha.min()}.")
            if columns is None or len(alpha) == 1:
                alpha = float(alpha[0])
        dtype = X.dtype
        coef, intercept = fit_objective(
            self, X, Y, SquaredError(), weights, alpha, columns
        )
        xp = namespace(coef)
        self.coef_ = xp.astype(coef if columns is None else coef.T, dtype)
        self.intercept_ = 0.0
        if self.fit_intercept:
            self.intercept_ = (
                xp.astype(intercept, dtype) if columns else intercept_of(intercept)
            )
        return self


def intercept_of(value):
    """Scalar intercept as scikit-learn stores it: a NumPy float, or a 0-d array."""
    return np.float64(value) if isinstance(value, (float, np.ndarray)) else value


class Ridge(MultiOutputMixin, RegressorMixin, _RidgeBase):
    r"""Linear least squares with an L2 penalty.

    .. math:: \min_{w, b} \; \sum_i s_i (y_i - x_i \cdot w - b)^2 + \alpha \|w\|^2

    The intercept b is not penalised. Small problems are solved by Cholesky factors of
    the smaller side, large ones by Nystrom-preconditioned conjugate gradients; neither
    needs scaled columns, and X is neither copied nor made dense.

    Parameters
    ----------
    alpha : float or array (n_targets,), default=1.0
        Penalty, one for all targets or one each; not negative.
    fit_intercept : bool, default=True
    tol : float, default=1e-6
        Relative suboptimality (F - F*) / F of the objective at which the fit stops; the
        same meaning for every solver, unchanged by the scale of a column.
    max_iter : int, default=None
        Iterations (batch solvers) or epochs (stochastic ones); None for the solver's
        own limit.
    solver : str or Solver, default="auto"
        "auto", "direct", "nystrom-pcg", "newton-cholesky", "newton-cg", "sketchy-sgd",
        "sketchy-svrg", "sketchy-saga", "sketchy-katyusha", "lbfgs", or an object of
        `promise_learn.solvers`.
    preconditioner : str, Preconditioner or None, default="auto"
        For solvers that use one: "nystrom", "ssn", "sassn-c", "sassn-r", "diagonal",
        None, or an object of `promise_learn.preconditioners`.
    warm_start : bool, default=False
        Start from the previous solution.
    random_state : int, RandomState, Generator or None, default=None
    verbose : int, default=0
        One line a pass when positive.

    Attributes
    ----------
    coef_ : array (n_features,) or (n_targets, n_features)
    intercept_ : float or array (n_targets,)
    n_iter_ : int
    n_features_in_ : int
    solver_ : str
        Name of the solver that ran.
    history_ : dict of ndarray
        "passes", "seconds", "objective", "gap", "step_size", "refreshes" after every
        iteration; the objective is on the mean-loss scale, (1/S) sum_i s_i/2 (...)^2 +
        alpha/(2S) |w|^2 with S the sum of weights, the gap relative to it.

    Raises
    ------
    ValueError
        For parameters or data out of range, as scikit-learn's Ridge.

    Warns
    -----
    ConvergenceWarning
        Where ``tol`` was not reached, with the gap that was.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from promise_learn import Ridge
    >>> X, y = load_diabetes(return_X_y=True)
    >>> round(Ridge(alpha=0.1).fit(X, y).score(X, y), 3)
    0.513
    """

    def __init__(
        self,
        alpha=1.0,
        *,
        fit_intercept=True,
        tol=1e-6,
        max_iter=None,
        solver="auto",
        preconditioner="auto",
        warm_start=False,
        random_state=None,
        verbose=0,
    ):
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.max_iter = max_iter
        self.solver = solver
        self.preconditioner = preconditioner
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self):
        """Sparse input and array namespaces are supported."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.array_api_support = True
        return tags

    def fit(self, X, y, sample_weight=None):
        """Fit the model.

        Parameters
        ----------
        X : array or CSR matrix (n_samples, n_features)
            NumPy, SciPy, CuPy or any array-API namespace; float32 and float64 are kept.
        y : array (n_samples,) or (n_samples, n_targets)
        sample_weight : array (n_samples,), default=None
            Not negative, not all zero.

        Returns
        -------
        Ridge
            Itself.
        """
        check_common(self, {"alpha": real(0) | array})
        with unchanged_on_failure(self):
            X, y = validate(self, X, y, multi_output=True, y_numeric=True)
            weights = validate_weights(sample_weight, X)
            return self._fit_targets(X, as_vectors(y, weights), weights)

    def predict(self, X):
        """Predicted targets.

        Parameters
        ----------
        X : array or CSR matrix (n_samples, n_features)

        Returns
        -------
        array (n_samples,) or (n_samples, n_targets)
        """
        return margins(self, X)


def as_vectors(y, weights):
    """Targets in the dtype and namespace of the weights."""
    if isinstance(weights, np.ndarray):
        return np.ascontiguousarray(y, dtype=weights.dtype)
    xp = namespace(weights)
    return xp.astype(xp.asarray(y), weights.dtype)


class RidgeClassifier(ClassifierMixin, _RidgeBase):
    r"""Classification by ridge regression on codes -1 and +1, one column a class.

    .. math:: \min_{W, b} \; \sum_i s_i \| y_i - W x_i - b \|^2 + \alpha \|W\|^2

    Parameters
    ----------
    alpha : float, default=1.0
        Penalty, not negative.
    fit_intercept : bool, default=True
    class_weight : dict or "balanced", default=None
    tol, max_iter, solver, preconditioner, warm_start, random_state, verbose
        As in `Ridge`.

    Attributes
    ----------
    coef_ : array (1, n_features) or (n_classes, n_features)
    intercept_ : array (1,) or (n_classes,)
    classes_ : array (n_classes,)
    n_iter_, n_features_in_, solver_, history_
        As in `Ridge`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from promise_learn import RidgeClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> round(RidgeClassifier().fit(X, y).score(X, y), 2)
    0.85
    """

    def __init__(
        self,
        alpha=1.0,
        *,
        fit_intercept=True,
        class_weight=None,
        tol=1e-6,
        max_iter=None,
        solver="auto",
        preconditioner="auto",
        warm_start=False,
        random_state=None,
        verbose=0,
    ):
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.tol = tol
        self.max_iter = max_iter
        self.solver = solver
        self.preconditioner = preconditioner
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self):
        """Sparse input is supported."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def fit(self, X, y, sample_weight=None):
        """Fit the model.

        Parameters
        ----------
        X : array or CSR matrix (n_samples, n_features)
        y : array (n_samples,)
            Class labels, at least two.
        sample_weight : array (n_samples,), default=None

        Returns
        -------
        RidgeClassifier
            Itself.
        """
        check_common(
            self, {"alpha": real(0), "class_weight": instance(dict) | balanced | none}
        )
        with unchanged_on_failure(self):
            X, y = validate(self, X, y)
            weights = validate_weights(sample_weight, X)
            self.classes_, codes = encode(y)
            weights = class_weights(self.class_weight, self.classes_, codes, weights)
            K = len(self.classes_)
            chosen = codes[:, None] == (np.arange(K) if K > 2 else np.array([1]))
            Y = like(np.where(chosen, 1.0, -1.0), weights)
            return self._fit_targets(X, Y, weights)

    def decision_function(self, X):
        """Signed scores, one column a class; one value a row for two classes.

        Parameters
        ----------
        X : array or CSR matrix (n_samples, n_features)

        Returns
        -------
        array (n_samples,) or (n_samples, n_classes)
        """
        scores = margins(self, X)
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def predict(self, X):
        """Class labels with the largest score.

        Parameters
        ----------
        X : array or CSR matrix (n_samples, n_features)

        Returns
        -------
        array (n_samples,)
        """
        return labels_of(self.classes_, self.decision_function(X))


balanced = choice("balanced")


def encode(y):
    """Classes and the number of every row's class, on the host.

    Two numeric labels are told apart in one pass; anything else is sorted.

    Raises
    ------
    ValueError
        For continuous targets, or fewer than two classes.
    """
    y = as_numpy(y)
    if y.dtype.kind in "iufb" and y.size:
        low, high = y.min(), y.max()
        codes = y == high
        if low != high and low == np.floor(low) and high == np.floor(high):
            if (codes | (y == low)).all():
                return np.array([low, high]), codes.astype(np.intp)
    check_classification_targets(y)
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            "This solver needs samples of at least 2 classes in the data, but the data "
            f"contains only one class: {classes[0]!r}"
        )
    return classes, codes.reshape(-1)


def labels_of(classes, scores):
    """Label of the largest score of every row."""
    scores = as_numpy(scores)
    codes = (scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)
    return classes[codes]
