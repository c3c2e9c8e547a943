"""Logistic regression, and ridge regression on codes, on features of a kernel."""

import math

from sklearn.utils.metaestimators import available_if

from .._arrays import beside, current, like
from .._base import check_common, unchanged_on_failure
from .._classes import CLASS_WEIGHT, class_weights, encode
from .._compat import choice, real, validate, validate_weights
from ..logistic import LogisticBase
from ..ridge import RidgeBase, signs
from ._shared import FEATURES, MEMORY, OnFeatures, check_kernel


def _has_probabilities(estimator):
    """Whether the loss is the log loss; an AttributeError if not."""
    if estimator.loss != "log_loss":
        raise AttributeError(f"loss={estimator.loss!r} gives no probabilities")
    return True


class RandomFeaturesClassifier(OnFeatures, LogisticBase, RidgeBase):
    r"""Logistic regression, or ridge regression on codes, on features of a kernel.

    .. math:: \min_{W, b} \; C \sum_i s_i \, \ell(W \varphi(x_i) + b, y_i)
              + \tfrac12 \|W\|^2

    with the random or Nyström features of `RandomFeatures`, stored where memory allows,
    else generated in every pass, as in `RandomFeaturesRegressor`.

    Parameters
    ----------
    n_components : int, default=1000
        Number of features, m.
    approximation, kernel, gamma, degree, projection, scale
        As in `RandomFeatures`; rows count for the variance by their weights.
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
        Bytes beside X and y that a fit may take; "auto" is a tenth of the memory
        available.
    cache : str or joblib.Memory, default=None
        Folder that keeps Gram matrices and sketches, as in `RandomFeaturesRegressor`,
        of the squared error; those of the log loss change with the coefficients.
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
    >>> round(model.score(X, y), 1)
    1.0
    """

    def __init__(
        self,
        n_components=1000,
        *,
        approximation="random",
        kernel="rbf",
        gamma="scale",
        degree=1,
        projection="auto",
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
        self.approximation = approximation
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
        check_kernel(self)
        with unchanged_on_failure(self), current(X):
            X, y = validate(self, X, y)
            weights = validate_weights(sample_weight, X)
            classes, codes = encode(y)
            weights = class_weights(self.class_weight, classes, codes, weights)
            self.classes_, K = beside(classes, y), len(classes)
            quadratic = self.loss == "squared_error"
            rows = self._rows(X, K if K > 2 else 1, quadratic, weights)
            if not quadratic:
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
