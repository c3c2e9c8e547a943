"""Regression of counts and frequencies."""

from sklearn.base import BaseEstimator
from sklearn.utils import check_consistent_length

from ._arrays import as_numpy, current, like, namespace
from ._base import check_common, margins, unchanged_on_failure
from ._compat import real, validate, validate_weights
from ._regressors import LinearRegressor
from .losses import Poisson

NOTHING = 1e-12
"""Deviance, relative to the mean, of a perfect prediction."""


class PoissonRegressor(LinearRegressor, BaseEstimator):
    r"""Poisson regression with the log link and an L2 penalty.

    .. math:: \min_{w, b} \; \frac{1}{2 S} \sum_i s_i \, d(y_i, e^{x_i \cdot w + b})
              + \tfrac{\alpha}{2} \|w\|^2, \qquad S = \sum_i s_i, \quad
              d(y, \mu) = 2 \big(y \log \tfrac{y}{\mu} - y + \mu\big)

    The objective is that of scikit-learn's class of this name. The intercept is not
    penalised. For counts over unequal exposures give the frequencies as y and the
    exposures as weights.

    Parameters
    ----------
    alpha : float, default=1.0
        Penalty on the scale of the mean deviance, not negative.
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
        As in `Ridge`; the objective is the one above.

    Raises
    ------
    ValueError
        For parameters or data out of range, as scikit-learn's PoissonRegressor: targets
        must not be negative.

    Warns
    -----
    ConvergenceWarning
        Where ``tol`` was not reached, with the gap that was.

    Examples
    --------
    >>> from promise_learn import PoissonRegressor
    >>> X, y = [[1, 2], [2, 3], [3, 4], [4, 3]], [12, 17, 22, 21]
    >>> model = PoissonRegressor().fit(X, y)
    >>> round(float(model.score(X, y)), 3)
    0.99
    """

    def __init__(
        self,
        *,
        alpha=1.0,
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
        """Targets are positive."""
        tags = super().__sklearn_tags__()
        tags.target_tags.positive_only = True
        return tags

    def fit(self, X, y, sample_weight=None):
        """Fit the model.

        Parameters
        ----------
        X : array or CSR matrix (n_samples, n_features)
            NumPy, SciPy, CuPy or any array-API namespace; float32 and float64 are kept.
        y : array (n_samples,)
            Not negative; whole numbers or not.
        sample_weight : array (n_samples,), default=None
            Not negative, not all zero.

        Returns
        -------
        PoissonRegressor
            Itself.
        """
        check_common(self, {"alpha": real(0)})
        with unchanged_on_failure(self), current(X):
            X, y = validate(self, X, y, y_numeric=True)
            weights = validate_weights(sample_weight, X)
            y = like(y, weights)
            _refuse_negative(y)
            strength = self.alpha * float(namespace(weights).sum(weights))
            return self._fit_loss(Poisson(), X, y, weights, strength)

    def predict(self, X):
        """Predicted means exp(X coef_ + intercept_).

        Parameters
        ----------
        X : array or CSR matrix (n_samples, n_features)

        Returns
        -------
        array (n_samples,)
        """
        with current(X):
            eta = margins(self, X, "predict")
            return namespace(eta).exp(eta)

    def score(self, X, y, sample_weight=None):
        """Share of the deviance that is explained, D^2 = 1 - D(y, mean) / D(y, mean y).

        Computed on the host wherever X lives. Where all targets are alike it is 1 for a
        perfect prediction, 0 for others.

        Parameters
        ----------
        X : array or CSR matrix (n_samples, n_features)
        y : array (n_samples,)
            Not negative.
        sample_weight : array (n_samples,), default=None

        Returns
        -------
        float
        """
        eta = as_numpy(margins(self, X, "score")).astype(float)
        y = as_numpy(y).astype(float)
        check_consistent_length(eta, y)
        _refuse_negative(y)
        weights = validate_weights(sample_weight, eta[:, None])
        weights = weights / weights.sum()
        relative, scaled, _ = Poisson().centred(y, weights)
        null = float(scaled @ Poisson().value(0 * eta, relative))
        deviance = float(weights @ Poisson().value(eta, y))
        level = float(scaled.sum())
        if null > NOTHING**2 * level:
            return 1 - deviance / null
        return float(deviance <= NOTHING * level)


def _refuse_negative(y):
    if bool(namespace(y).any(y < 0)):
        raise ValueError(
            "Some value(s) of y are out of the valid range of the loss "
            "'HalfPoissonLoss': counts must not be negative."
        )
