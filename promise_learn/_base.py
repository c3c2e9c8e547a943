"""The one fit path: validate, build the objective, minimise, store, warn."""

import math
import sys
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from ._arrays import as_numpy, cast, current, is_sparse, like, namespace, take
from ._compat import (
    boolean,
    check_parameters,
    check_same_namespace,
    choice,
    instance,
    integer,
    none,
    random_source,
    real,
    validate,
)
from .design import Design, faster_storage, nonempty_columns
from .losses import Logistic, Loss, Multinomial
from .objective import Objective
from .preconditioners import Preconditioner, resolve_preconditioner
from .solvers import SOLVERS, Solver, Status, minimize, resolve_solver

COMMON = {
    "fit_intercept": boolean,
    "tol": real(0, math.inf, "neither"),
    "max_iter": integer(1) | none,
    "solver": choice("auto", *SOLVERS) | instance(Solver),
    "preconditioner": instance(str, Preconditioner) | none,
    "warm_start": boolean,
    "random_state": random_source,
    "verbose": boolean | integer(0),
}

CENTRE_ROWS = 1000

SEPARATED = 1e-6
"""Mean loss below which perfectly separated classes are worth a warning."""


def check_common(estimator, extra):
    """Validate the parameters of an estimator; names of preconditioners as well."""
    check_parameters(estimator, COMMON | extra)
    if estimator.preconditioner != "auto":
        resolve_preconditioner(estimator.preconditioner)


def generator(random_state):
    """Return the NumPy Generator of an int, None, RandomState or Generator."""
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(2**31, size=4))
    return np.random.default_rng(random_state)


@contextmanager
def unchanged_on_failure(estimator):
    """Give back the estimator's attributes where the block raises, also Ctrl-C."""
    before = dict(estimator.__dict__)
    try:
        yield
    except BaseException:
        estimator.__dict__.clear()
        estimator.__dict__.update(before)
        raise


@dataclass
class Task:
    """What an estimator asks to be minimised.

    Attributes
    ----------
    X : validated array or CSR matrix (n, p)
    y : array (n,) or (n, K)
        As the loss takes it.
    loss : Loss
    weights : array (n,)
        Sample weights, not normalised.
    strength : float or array (K,)
        Total penalty: alpha of Ridge, 1 / C of logistic regression.
    columns : int or None
        Columns of the coefficients, None where they are a vector.
    """

    X: Any
    y: Any
    loss: Loss
    weights: Any
    strength: Any
    columns: int | None = None


def fit_objective(estimator, task):
    """Minimise, and store on the estimator what happened.

    Parameters
    ----------
    estimator : BaseEstimator
        Carries the parameters of ``COMMON``; gets ``solver_``, ``history_`` and
        ``n_iter_``.
    task : Task

    Returns
    -------
    coef : array (p,) or (p, K)
    intercept : array () or (K,), or 0.0 where none is fitted
    """
    X, kept = nonempty_columns(task.X)
    f, origin = _objective(replace(task, X=X), estimator.fit_intercept)
    solver = resolve_solver(estimator.solver, estimator.preconditioner, f)
    result = minimize(
        f,
        solver,
        _start(estimator, f, origin, task.X.shape[1], kept),
        tol=estimator.tol,
        max_iter=estimator.max_iter,
        rng=generator(estimator.random_state) if solver.draws else None,
        callback=_printer(solver) if estimator.verbose else None,
    )
    estimator.solver_ = solver.name
    estimator.history_ = result.history
    estimator.n_iter_ = max(result.n_iter, 1)
    _warn(estimator, f, solver, result)
    coef, intercept = f.design.inner(result.w)
    if kept is not None:
        found, coef = coef, np.zeros((task.X.shape[1], *coef.shape[1:]))
        coef[kept] = found
    return coef, intercept + origin


def _objective(task, fit_intercept):
    """Objective of a task, and the origin that the intercept is measured from.

    With an intercept, dense columns are centred lazily (sparse data keep their zeros)
    and the targets by what their loss says: neither changes the coefficients, and both
    spare the digits that a large offset would take. For columns the means of some rows
    are as good for that as those of all, without a pass over X.
    """
    total = float(namespace(task.weights).sum(task.weights))
    weights = task.weights / total
    X, y, origin = faster_storage(task.X), task.y, 0.0
    design = Design(X, intercept=fit_intercept)
    if fit_intercept and not is_sparse(X):
        centre = _centre(design.rows, weights)
        design = Design(design.rows, centre, intercept=True)
    if fit_intercept:
        y, weights, origin = task.loss.centred(y, weights)
    dim = design.shape[1]
    penalty = np.zeros((dim, *np.shape(task.strength)))
    penalty[: X.shape[1]] = task.strength / total
    penalty = like(penalty, design.rows.zeros((1,)))
    shape = (dim,) if task.columns is None else (dim, task.columns)
    return Objective(design, y, task.loss, weights, penalty, shape), origin


def _centre(rows, weights):
    """Means of the columns over rows in equal steps, those without weight left out."""
    chosen = np.arange(0, rows.shape[0], max(1, rows.shape[0] // CENTRE_ROWS))
    if len(chosen) < rows.shape[0]:
        s = take(weights, chosen)
        if bool(namespace(s).any(s > 0)):
            return rows.subset(chosen).means(s)
    return rows.means(weights)


def _start(estimator, f, origin, p, kept):
    """Previous solution in the coordinates of f; None if there is none that fits."""
    if not estimator.warm_start or not hasattr(estimator, "coef_"):
        return None
    coef = np.atleast_2d(as_numpy(estimator.coef_)).T.astype(float)
    if coef.shape != (p, f.n_columns):
        return None
    if kept is not None:
        coef = coef[kept]
    if f.design.intercept:
        intercept = as_numpy(estimator.intercept_) - as_numpy(origin)
        if f.design.shift is not None:
            intercept = intercept + as_numpy(f.design.shift) @ coef
        row = np.broadcast_to(intercept, (1, f.n_columns))
        coef = np.concatenate([coef, row])
    return like(coef.reshape(f.shape), f.zeros())


def _printer(solver):
    def show(row):
        print(
            f"[{solver.name}] pass {row['passes']:8.1f}  {row['seconds']:8.2f} s  "
            f"objective {row['objective']:.10e}  gap {row['gap']:.1e}"
        )

    return show


def _warn(estimator, f, solver, result):
    """Warn at most once: of a tol not reached, of perfect separation, or of both."""
    advice = _separation(f, result) or result.status.advice
    if result.status is not Status.CONVERGED:
        advice = (
            f"{solver.name} {result.status.value} after {result.n_iter} iterations "
            f"({result.n_passes:.0f} passes over the data): estimated relative "
            f"suboptimality {result.gap:.1e}, requested tol {estimator.tol:.1e}. "
        ) + advice
    if advice:
        warnings.warn(advice, ConvergenceWarning, stacklevel=_caller_level())


def _separation(f, result):
    """Advice for classes that a plane separates while hardly any penalty binds.

    A row on the wrong side has a loss of log 2 at least, so a mean loss below log 2
    times the smallest weight proves separation.
    """
    value = np.fmin.reduce(result.history["objective"], initial=math.inf)
    if not isinstance(f.loss, Logistic | Multinomial) or value >= SEPARATED:
        return ""
    weights = as_numpy(f.weights)
    if value >= math.log(2) * weights[weights > 0].min():
        return ""
    return (
        "The classes are separated perfectly, so only the penalty bounds the "
        "coefficients: decrease C for a meaningful model."
    )


def _caller_level():
    """Stack level, for a warning of the function that asks, of the user's line."""
    package, level, frame = __name__.partition(".")[0] + ".", 1, sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").startswith(package):
        level, frame = level + 1, frame.f_back
    return level


def score_on_host(metric, estimator, X, y, sample_weight):
    """Score predictions by a metric's name; the metrics take no arrays of a device."""
    from sklearn import metrics  # as slow to import as the rest, and rarely needed

    if sample_weight is not None:
        sample_weight = as_numpy(sample_weight)
    metric, prediction = getattr(metrics, metric), as_numpy(estimator.predict(X))
    return metric(as_numpy(y), prediction, sample_weight=sample_weight)


def margins(estimator, X, method):
    """Decision values X coef' + intercept, in the namespace of X.

    Parameters
    ----------
    estimator : BaseEstimator
        Fitted or not; NotFittedError if not.
    X : array-like or sparse matrix
    method : str
        Called by the user, for the error message.

    Returns
    -------
    array (n,) or (n, K)
    """
    check_is_fitted(estimator)
    with current(X):
        X = validate(estimator, X, reset=False)
        coef, intercept = estimator.coef_, estimator.intercept_
        check_same_namespace(X, coef, estimator, method)
        coef = coef if coef.ndim == 1 else coef.T
        feature_map = getattr(estimator, "feature_map_", None)
        if feature_map is None:
            return X @ coef + intercept
        from .design import FeatureRows

        # in the type of X: single precision would depend on the order of its rows
        feature_map, folded = feature_map.fold(coef, X.dtype)
        scores = FeatureRows(X, feature_map).dot(folded)
        return cast(scores, coef.dtype) + intercept
