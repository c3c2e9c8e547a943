"""Regression that bounds the influence of outliers."""

import math

from sklearn.base import BaseEstimator

from ._arrays import current, like
from ._base import check_common, unchanged_on_failure
from ._compat import real, validate, validate_weights
from ._regressors import LinearPrediction, LinearRegressor
from .losses import Huber


class HuberRegressor(LinearPrediction, LinearRegressor, BaseEstimator):
    r"""Linear regression by the Huber loss of a fixed threshold, with an L2 penalty.

    .. math:: \min_{w, b} \; \sum_i s_i H_\delta(y_i - x_i \cdot w - b)
              + \tfrac{\alpha}{2} \|w\|^2, \qquad
              H_\delta(r) = \begin{cases} r^2 / 2 & |r| \le \delta \\
              \delta (|r| - \delta / 2) & |r| > \delta \end{cases}

    The intercept is not penalised. The threshold is in the units of y: 1.35 times the
    standard deviation of the noise keeps 95 % of the efficiency of least squares where
    the noise is normal (Huber, 1964). A large one gives `Ridge` with the same alpha, a
    small one the median regression, which takes many more iterations.

    scikit-learn's class of this name estimates the scale of the noise along with the
    coefficients, and its ``epsilon`` is relative to that scale. To solve its problem,
    give delta = epsilon * scale_ and alpha * scale_.

    Parameters
    ----------
    delta : float, default=1.35
        Threshold of the residual, positive, in the units of y.
    alpha : float, default=0.0001
        Penalty, not negative.
    fit_intercept : bool, default=True
    tol : float, default=1e-6
        Relative suboptimality (F - F*) / F of the objective at which the fit stops.
    max_iter : int, default=None
        Iterations (batch solvers) or epochs (stochastic ones); None for the solver's
        own limit.
    solver : str or Solver, default="auto"
        As in `LogisticRegression`.
    preconditioner : str, Preconditioner or None, default="auto"
        As in `LogisticRegression`.
    warm_start : bool, default=False
        Start from the previous solution.
    random_state : int, RandomState, Generator or None, default=None
    verbose : int, default=0
        One line a pass when positive.

    Attributes
    ----------
    coef_ : array (n_features,)
    intercept_ : float, 0.0 where none is fitted
    n_iter_ : int
    n_features_in_ : int
    solver_ : str
        Name of the solver that ran.
    history_ : dict of ndarray
        As in `Ridge`; the objective is the one above divided by the sum of weights.

    Raises
    ------
    ValueError
        For parameters or data out of range.

    Warns
    -----
    ConvergenceWarning
        Where ``tol`` was not reached, with the gap that was.

    References
    ----------
    Huber, "Robust estimation of a location parameter", 1964.

    Examples
    --------
    >>> import numpy as np
    >>> from promise_learn import HuberRegressor
    >>> X = np.arange(6.0)[:, None]
    >>> y = np.array([0.0, 2.0, 4.0, 6.0, 8.0, 100.0])
    >>> HuberRegressor(delta=0.5).fit(X, y).predict([[2.0]]).round(1)
    array([4.1])
    """

    def __init__(
        self,
        *,
        delta=1.35,
        alpha=0.0001,
        fit_intercept=True,
        tol=1e-6,
        max_iter=None,
        solver="auto",
        preconditioner="auto",
        warm_start=False,
        random_state=None,
        verbose=0,
    ):
        self.delta = delta
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
        y : array (n_samples,)
        sample_weight : array (n_samples,), default=None
            Not negative, not all zero.

        Returns
        -------
        HuberRegressor
            Itself.
        """
        check_common(self, {"delta": real(0, math.inf, "neither"), "alpha": real(0)})
        with unchanged_on_failure(self), current(X):
            X, y = validate(self, X, y, y_numeric=True)
            weights = validate_weights(sample_weight, X)
            y = like(y, weights)
            return self._fit_loss(Huber(self.delta), X, y, weights, self.alpha)
