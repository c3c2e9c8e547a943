"""What regressors share: predictions and scores, and the fit of one target."""

from sklearn.base import RegressorMixin

from ._arrays import is_numpy, namespace
from ._base import Task, fit_objective, margins, score_on_host


class LinearPrediction(RegressorMixin):
    """Predictions that are the linear function itself, on X or on its features."""

    def predict(self, X):
        """Predicted targets.

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


class LinearRegressor(RegressorMixin):
    """Linear model of one target: ``coef_`` (p,) and a scalar ``intercept_``."""

    def __sklearn_tags__(self):
        """Sparse input and array namespaces are supported."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.array_api_support = True
        return tags

    def _fit_loss(self, loss, X, y, weights, strength):
        """Minimise for a total penalty ``strength``, and store the coefficients."""
        coef, intercept = fit_objective(self, Task(X, y, loss, weights, strength))
        xp = namespace(coef)
        self.coef_ = xp.astype(coef, X.dtype)
        if not self.fit_intercept:
            self.intercept_ = 0.0
        elif is_numpy(X):
            self.intercept_ = X.dtype.type(intercept)
        else:
            self.intercept_ = xp.asarray(intercept, dtype=X.dtype)
        return self
