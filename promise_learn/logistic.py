"""Logistic regression, binary and multinomial."""

import math

from sklearn.base import BaseEstimator

from ._arrays import beside, current, like, namespace
from ._base import Task, check_common, fit_objective, unchanged_on_failure
from ._classes import CLASS_WEIGHT, LinearClassifier, class_weights, encode
from ._compat import real, validate, validate_weights
from .losses import Logistic, Multinomial


class LogisticBase(LinearClassifier, BaseEstimator):
    """Fit of the log loss to class numbers, and probabilities of the classes."""

    def __sklearn_tags__(self):
        """Sparse input and array namespaces are supported."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.array_api_support = True
        return tags

    def _fit_codes(self, X, codes, weights, rows=None):
        """Minimise for class numbers; two classes become one column of signs.

        The rows of the design are those of X, or features of them.
        """
        K = self.classes_.shape[0]
        if K == 2:
            targets, loss, columns = 2.0 * codes - 1.0, Logistic(), None
        else:
            targets, loss, columns = codes.astype(float), Multinomial(), K
        targets, rows = like(targets, weights), X if rows is None else rows
        task = Task(rows, targets, loss, weights, 1.0 / self.C, columns)
        coef, intercept = fit_objective(self, task)
        xp = namespace(coef)
        self.coef_ = xp.astype(coef[None, :] if K == 2 else coef.T, X.dtype)
        if not self.fit_intercept:
            self.intercept_ = xp.zeros_like(self.coef_[:, 0])
        elif K == 2:
            self.intercept_ = xp.asarray(intercept, dtype=X.dtype)[None]
        else:
            self.intercept_ = xp.astype(intercept - xp.mean(intercept), X.dtype)
        self.n_iter_ = like([self.n_iter_], self.coef_, xp.int32)

    def predict_proba(self, X):
        """Probabilities of the classes, in the order of ``classes_``.

        Parameters
        ----------
        X : array or CSR matrix (n_samples, n_features)

        Returns
        -------
        array (n_samples, n_classes)
        """
        with current(X):
            logs = self._log_proba(X, "predict_proba")
            return namespace(logs).exp(logs)

    def predict_log_proba(self, X):
        """Logarithms of the probabilities of the classes.

        Parameters
        ----------
        X : array or CSR matrix (n_samples, n_features)

        Returns
        -------
        array (n_samples, n_classes)
        """
        with current(X):
            return self._log_proba(X, "predict_log_proba")

    def _log_proba(self, X, method):
        scores = self._scores(X, method)
        xp = namespace(scores)
        if scores.ndim == 1:
            scores = xp.stack([xp.zeros_like(scores), scores], axis=1)
        scores = scores - xp.max(scores, axis=1, keepdims=True)
        return scores - xp.log(xp.sum(xp.exp(scores), axis=1, keepdims=True))


class LogisticRegression(LogisticBase):
    r"""Logistic regression with an L2 penalty.

    .. math:: \min_{w, b} \; C \sum_i s_i \, \ell(x_i \cdot w + b, y_i)
              + \tfrac12 \|w\|^2

    with the log loss for two classes and the cross entropy of the softmax, one row of
    ``coef_`` a class, for more. The intercept is not penalised; weights s multiplied by
    k ask for C / k. No column needs scaling.

    Of scikit-learn's parameters, ``penalty``, ``l1_ratio`` and ``dual`` are absent (the
    penalty is L2; ``C=inf`` for none), and so are ``intercept_scaling`` (the intercept
    is not penalised) and ``n_jobs`` (threads follow threadpoolctl). Solvers have names
    of their own.

    Parameters
    ----------
    C : float, default=1.0
        Inverse of the penalty, positive; ``inf`` for none.
    fit_intercept : bool, default=True
    class_weight : dict or "balanced", default=None
        Factors of the sample weights by class; "balanced" gives all classes the same
        total weight.
    tol : float, default=1e-6
        Relative suboptimality (F - F*) / F of the objective at which the fit stops; the
        same meaning for every solver, unchanged by the scale of a column.
    max_iter : int, default=None
        Iterations (batch solvers) or epochs (stochastic ones); None for the solver's
        own limit.
    solver : str or Solver, default="auto"
        "auto", "newton-cholesky", "newton-cg", "sketchy-sgd", "sketchy-svrg",
        "sketchy-saga", "sketchy-katyusha", "lbfgs", a method to compare with (see
        doc/methods.md), or an object of
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
    coef_ : array (1, n_features) or (n_classes, n_features)
    intercept_ : array (1,) or (n_classes,)
    classes_ : array (n_classes,)
    n_iter_ : ndarray (1,) of int
    n_features_in_ : int
    solver_ : str
        Name of the solver that ran.
    history_ : dict of ndarray
        "passes", "seconds", "objective", "gap", "step_size", "refreshes" after every
        iteration; the objective is the one above divided by C times the sum of weights,
        the gap relative to it.

    Raises
    ------
    ValueError
        For parameters or data out of range, as scikit-learn's LogisticRegression.

    Warns
    -----
    ConvergenceWarning
        Where ``tol`` was not reached, with the gap that was; and where the classes are
        separated perfectly, so that nothing but the penalty bounds the coefficients.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from promise_learn import LogisticRegression
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> round(LogisticRegression().fit(X, y).score(X, y), 2)
    0.96
    """

    def __init__(
        self,
        C=1.0,
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
        self.C = C
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
            NumPy, SciPy, CuPy or any array-API namespace; float32 and float64 are kept.
        y : array (n_samples,)
            Class labels, at least two.
        sample_weight : array (n_samples,), default=None
            Not negative, not all zero.

        Returns
        -------
        LogisticRegression
            Itself.
        """
        check_common(
            self, {"C": real(0, math.inf, "right"), "class_weight": CLASS_WEIGHT}
        )
        with unchanged_on_failure(self), current(X):
            X, y = validate(self, X, y)
            weights = validate_weights(sample_weight, X)
            classes, codes = encode(y)
            weights = class_weights(self.class_weight, classes, codes, weights)
            self.classes_ = beside(classes, y)
            self._fit_codes(X, codes, weights)
        return self
