"""Linear support vector classification with the squared hinge."""

import math
from copy import copy

import numpy as np
from sklearn.base import BaseEstimator

from ._arrays import beside, current, like, namespace
from ._base import Task, check_common, fit_objective, unchanged_on_failure
from ._classes import CLASS_WEIGHT, LinearClassifier, class_weights, encode
from ._compat import real, validate, validate_weights
from .losses import SquaredHinge

RUNNING = ("passes", "seconds", "refreshes")
"""Entries of the history that go on from one class to the next."""


class SquaredHingeClassifier(LinearClassifier, BaseEstimator):
    r"""Linear support vector machine: the squared hinge with an L2 penalty.

    .. math:: \min_{w, b} \; C \sum_i s_i \max(0, 1 - y_i (x_i \cdot w + b))^2
              + \tfrac12 \|w\|^2, \qquad y_i = \pm 1

    One problem for two classes; for more, one against the rest for each class, one
    after the other. This is the primal problem of scikit-learn's ``LinearSVC``, save
    that the intercept is not penalised (there ``intercept_scaling`` must be large for
    the same), and that with more than two classes the weight of a class counts in the
    problems of the others, too.

    Parameters
    ----------
    C : float, default=1.0
        Inverse of the penalty, positive; ``inf`` for none.
    fit_intercept : bool, default=True
    class_weight : dict or "balanced", default=None
        Factors of the sample weights by class; "balanced" gives all classes the same
        total weight.
    tol : float, default=1e-6
        Relative suboptimality (F - F*) / F of the objective at which a fit stops.
    max_iter : int, default=None
        Iterations (batch solvers) or epochs (stochastic ones) a class; None for the
        solver's own limit.
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
    coef_ : array (1, n_features) or (n_classes, n_features)
    intercept_ : array (1,) or (n_classes,)
    classes_ : array (n_classes,)
    n_iter_ : int
        The largest of all classes.
    n_features_in_ : int
    solver_ : str
        Name of the solver that ran.
    history_ : dict of ndarray
        As in `LogisticRegression`; the objective is the one above divided by 2 C times
        the sum of weights. With more than two classes, the entries of all of them in
        turn, and "class", the number of the row of ``coef_`` that each belongs to.

    Raises
    ------
    ValueError
        For parameters or data out of range.

    Warns
    -----
    ConvergenceWarning
        For each class where ``tol`` was not reached, with the gap that was.

    References
    ----------
    Chang, Hsieh and Lin, "Coordinate descent method for large-scale L2-loss linear
    support vector machines", JMLR 9, 2008, for the problem; Keerthi and DeCoste, "A
    modified finite Newton method for fast solution of large scale linear SVMs", JMLR 6,
    2005, for Newton's method with exact line search on it.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from promise_learn import SquaredHingeClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> round(SquaredHingeClassifier().fit(X, y).score(X, y), 2)
    0.97
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
        y : array (n_samples,)
            Class labels, at least two.
        sample_weight : array (n_samples,), default=None
            Not negative, not all zero.

        Returns
        -------
        SquaredHingeClassifier
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
            numbers = range(len(classes)) if len(classes) > 2 else [1]
            self._fit_each(X, [codes == k for k in numbers], weights)
        return self

    def _fit_each(self, X, members, weights):
        """Minimise for each class against the rest, and put the results together."""
        fits, solutions = self._copies(len(members)), []
        for fit, member in zip(fits, members, strict=True):
            targets = like(np.where(member, 1.0, -1.0), weights)
            task = Task(X, targets, SquaredHinge(), weights, 0.5 / self.C)
            solutions.append(fit_objective(fit, task))
        xp = namespace(solutions[0][0])
        coef = xp.stack([coef for coef, _ in solutions])
        self.coef_ = xp.astype(coef, X.dtype)
        self.intercept_ = xp.zeros_like(self.coef_[:, 0])
        if self.fit_intercept:
            intercepts = [xp.asarray(intercept) for _, intercept in solutions]
            self.intercept_ = xp.astype(xp.stack(intercepts), X.dtype)
        self.solver_ = fits[0].solver_
        self.n_iter_ = max(fit.n_iter_ for fit in fits)
        self.history_ = fits[0].history_
        if len(fits) > 1:
            self.history_ = _joined([fit.history_ for fit in fits])

    def _copies(self, count):
        """One estimator a problem, each with its row of an earlier solution."""
        copies = [copy(self) for _ in range(count)]
        if hasattr(self, "coef_"):
            fits = self.coef_.shape[0] == count
            for k, each in enumerate(copies):
                rows = slice(k, k + 1) if fits else slice(0)
                each.coef_ = self.coef_[rows, ...]
                each.intercept_ = self.intercept_[rows]
        return copies


def _joined(histories):
    """One history of several runs: passes, seconds and builds add up."""
    joined = {
        name: np.concatenate([history[name] for history in histories])
        for name in histories[0]
    }
    lengths = [len(history["passes"]) for history in histories]
    for name in RUNNING:
        ends = np.array([history[name][-1] for history in histories])
        joined[name] = joined[name] + np.repeat(np.cumsum(ends) - ends, lengths)
    joined["class"] = np.repeat(np.arange(len(histories)), lengths)
    return joined
