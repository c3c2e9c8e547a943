"""Ridge regression and the classifier that regresses on class codes."""

import numpy as np
from sklearn.base import BaseEstimator, MultiOutputMixin

from ._arrays import as_numpy, beside, current, is_numpy, like, namespace
from ._base import (
    Task,
    check_common,
    fit_objective,
    unchanged_on_failure,
)
from ._classes import CLASS_WEIGHT, LinearClassifier, class_weights, encode
from ._compat import array, real, validate, validate_weights
from ._regressors import LinearPrediction
from .losses import SquaredError

PENALTIES = real(0) | array


class RidgeBase(BaseEstimator):
    """Fit of the squared error to one or many targets."""

    def __sklearn_tags__(self):
        """Sparse input and array namespaces are supported."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.array_api_support = True
        return tags

    def _fit_targets(self, X, Y, weights, alpha, rows=None):
        """Minimise for targets Y (n,) or (n, K); coef_ is (p,) for one, else (K, p).

        The rows of the design are those of X, or features of them.
        """
        shape = Y.shape[1:]
        if shape == (1,):
            Y = Y[:, 0]
        columns = Y.shape[1] if Y.ndim > 1 else None
        alpha = penalties(alpha, columns or 1)
        rows = X if rows is None else rows
        task = Task(rows, Y, SquaredError(), weights, alpha, columns)
        coef, intercept = fit_objective(self, task)
        xp = namespace(coef)
        self.coef_ = xp.astype(coef if columns is None else coef.T, X.dtype)
        if not self.fit_intercept:
            self.intercept_ = 0.0
        elif is_numpy(X) and not shape:
            self.intercept_ = X.dtype.type(intercept)
        else:
            self.intercept_ = xp.reshape(xp.astype(intercept, X.dtype), shape)
        return self


def penalties(alpha, n_targets):
    """Alpha as one number, or as an array (n_targets,) where targets differ."""
    if np.ndim(alpha) == 0:
        return float(alpha)
    alpha = np.asarray(as_numpy(alpha), dtype=float)
    if alpha.shape not in ((1,), (n_targets,)):
        raise ValueError(
            "Number of targets and number of penalties do not correspond: alpha has "
            f"shape {alpha.shape}, and there are {n_targets} targets."
        )
    if not np.isfinite(alpha).all() or (alpha < 0).any():
        raise ValueError(f"alpha must be finite and not negative, got {alpha}.")
    return float(alpha[0]) if (alpha == alpha[0]).all() else alpha


def signs(codes, n_classes):
    """Codes +1 for the class of a row and -1 elsewhere, (n, K); (n, 1) for two."""
    columns = np.arange(n_classes) if n_classes > 2 else np.array([1])
    return np.where(codes[:, None] == columns, 1.0, -1.0)


class Ridge(MultiOutputMixin, LinearPrediction, RidgeBase):
    r"""Linear least squares with an L2 penalty.

    .. math:: \min_{w, b} \; \sum_i s_i (y_i - x_i \cdot w - b)^2 + \alpha \|w\|^2

    The intercept b is not penalised; weights s multiplied by k ask for k alpha. Small
    problems are solved by Cholesky factors of the smaller side, large ones by
    preconditioned conjugate gradients; neither needs scaled columns, and X is
    neither copied nor made dense.

    Of scikit-learn's parameters, ``positive`` is absent (no bound on coefficients) and
    so is ``copy_X`` (X is never written to). Solvers have names of their own.

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
        "auto", "direct", "pcg", "dual-cg", "nystrom-pcg", "newton-cholesky",
        "newton-cg", "sketchy-sgd", "sketchy-svrg", "sketchy-saga", "sketchy-katyusha",
        "lbfgs", a method to compare with (see doc/methods.md), or an object of
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
    coef_ : array (n_features,) for one target, else (n_targets, n_features)
    intercept_ : float or array (n_targets,), 0.0 where none is fitted
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
        check_common(self, {"alpha": PENALTIES})
        with unchanged_on_failure(self), current(X):
            X, y = validate(self, X, y, multi_output=True, y_numeric=True)
            weights = validate_weights(sample_weight, X)
            y = like(y, weights)
            if is_numpy(y):
                y = np.ascontiguousarray(y)
            return self._fit_targets(X, y, weights, self.alpha)


class RidgeClassifier(LinearClassifier, RidgeBase):
    r"""Classification by ridge regression on codes -1 and +1, one column a class.

    .. math:: \min_{W, b} \; \sum_i s_i \| y_i - W x_i - b \|^2 + \alpha \|W\|^2

    Two classes share one column. Of scikit-learn's parameters, ``positive`` and
    ``copy_X`` are absent, as in `Ridge`; y has one label a row (no multilabel targets).

    Parameters
    ----------
    alpha : float, default=1.0
        Penalty, not negative.
    fit_intercept : bool, default=True
    class_weight : dict or "balanced", default=None
        Factors of the sample weights by class; "balanced" gives all classes the same
        total weight.
    tol, max_iter, solver, preconditioner, warm_start, random_state, verbose
        As in `Ridge`.

    Attributes
    ----------
    coef_ : array (n_features,) for two classes, else (n_classes, n_features)
    intercept_ : array (1,) or (n_classes,), 0.0 where none is fitted
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
        check_common(self, {"alpha": real(0), "class_weight": CLASS_WEIGHT})
        with unchanged_on_failure(self), current(X):
            X, y = validate(self, X, y)
            weights = validate_weights(sample_weight, X)
            classes, codes = encode(y)
            weights = class_weights(self.class_weight, classes, codes, weights)
            self.classes_, K = beside(classes, y), len(classes)
            Y = like(signs(codes, K), weights)
            return self._fit_targets(X, Y, weights, self.alpha)
