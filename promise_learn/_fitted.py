"""What a fitted estimator minimised."""

import copy

from sklearn.utils.validation import check_is_fitted

from .solvers import Solver, Step


def fitted_objective(estimator, X, y, sample_weight=None):
    """Objective that a fitted estimator minimised, and its coefficients as the point.

    Parameters
    ----------
    estimator : Ridge, RidgeClassifier or LogisticRegression
        Fitted; it is not changed.
    X, y, sample_weight
        What it was fitted to.

    Returns
    -------
    f : Objective
        On the mean-loss scale, of X as the fit saw it: dense columns centred where
        there is an intercept.
    w : array
        The coefficients, the intercept last.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.
    """
    check_is_fitted(estimator)
    recorder, twin = _Recorder(), copy.copy(estimator)
    settings = {"warm_start": True, "solver": recorder, "preconditioner": "auto"}
    twin.set_params(**settings).fit(X, y, sample_weight)
    return recorder.f, recorder.w


class _Recorder(Solver):
    """Solver that keeps the objective and the start, and is content with it."""

    name = "recorder"
    yields_start = True

    def iterate(self, f, w, rng):
        """Yield the start as a solution."""
        self.f, self.w = f, w
        yield Step(w, gap=0.0, reliable=True)
