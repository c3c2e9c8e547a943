"""The one fit path: validate, build the objective, minimise, store, warn."""

import math
import warnings
from contextlib import contextmanager

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from ._arrays import as_numpy, is_sparse, like, namespace
from ._compat import (
    boolean,
    check_parameters,
    choice,
    class_weights,
    instance,
    integer,
    none,
    random_source,
    real,
    validate,
    validate_weights,
)
from .design import Design
from .objective import Objective
from .preconditioners import Preconditioner, resolve_preconditioner
from .solvers import Solver, Status, minimize, resolve_solver

COMMON = {
    "fit_intercept": boolean,
    "tol": real(0, math.inf, "neither"),
    "max_iter": integer(1) | none,
    "solver": choice("auto") | instance(str, Solver),
    "preconditioner": instance(str, Preconditioner) | none,
    "warm_start": boolean,
    "random_state": random_source,
    "verbose": boolean | integer(0),
}


def generator(random_state):
    """Return the NumPy Generator of an int, None, RandomState or Generator."""
    if isinstance(random_state, np.random.Generator):
        return random_state
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


def design_of(X, weights, fit_intercept):
    """Lazily centred design matrix; sparse data keep their own origin."""
    shift = None
    design = Design(X)
    if fit_intercept and not is_sparse(X):
        shift = design.rows.means(weights)
    return Design(design.rows, shift, intercept=fit_intercept)


def fit_objective(estimator, X, y, loss, weights, strength, n_columns):
    """Minimise, and store coefficients and what happened on the estimator.

    Parameters
    ----------
    estimator : BaseEstimator
        Carries ``COMMON`` parameters.
    X : validated array or CSR
    y : array (n,) or (n, K)
        As the loss takes it.
    loss : Loss
    weights : array (n,)
        Sample weights, not normalised.
    strength : float or array (K,)
        Total penalty: alpha of Ridge, 1 / C of logistic regression.
    n_columns : int or None
        Columns of w, None where w is a vector.

    Returns
    -------
    coef : array (p,) or (p, K)
    intercept : array () or (K,)
    """
    total = float(namespace(weights).sum(weights))
    weights = weights / total
    design = design_of(X, weights, estimator.fit_intercept)
    f = Objective(
        design, y, loss, weights,
        _penalty(design, strength, total),
        (design.shape[1],) if n_columns is None else (design.shape[1], n_columns),
    )
    solver = resolve_solver(estimator.solver, estimator.preconditioner, f)
    result = minimize(
        f, solver, _start(estimator, f), tol=estimator.tol,
        max_iter=estimator.max_iter, rng=generator(estimator.random_state),
        callback=_printer(solver) if estimator.verbose else None,
    )
    estimator.solver_ = solver.name
    estimator.history_ = result.history
    estimator.n_iter_ = max(result.n_iter, 1)
    _warn(estimator, solver, result)
    u, offset = design.inner(result.w)
    return u, offset


def _penalty(design, strength, total):
    """Curvature of the ridge term for every coefficient, 0 at the intercept."""
    rows = design.rows
    p = rows.shape[1]
    per_target = np.ndim(strength) > 0
    host = np.zeros((design.shape[1], np.size(strength)) if per_target else design.shape[1])
    host[:p] = np.asarray(strength, dtype=float) / total
    return like(host, rows.zeros((1,)))


def _start(estimator, f):
    """Previous solution in the coordinates of f, where warm_start finds one that fits."""
    if not estimator.warm_start or not hasattr(estimator, "coef_"):
        return None
    anchor = f.zeros()
    coef = as_numpy(estimator.coef_)
    coef = coef.T.reshape(coef.T.shape if len(f.shape) > 1 else (-1,))
    p = f.design.rows.shape[1]
    if coef.shape != (p, *f.shape[1:]):
        return None
    if not f.design.intercept:
        return like(coef, anchor)
    intercept = np.reshape(as_numpy(np.asarray(estimator.intercept_)), (1, *f.shape[1:]))
    if f.design.shift is not None:
        intercept = intercept + as_numpy(f.design.shift) @ coef
    return like(np.concatenate([coef, intercept]), anchor)


def _printer(solver):
    def show(row):
        print(
            f"[{solver.name}] pass {row['passes']:8.1f}  {row['seconds']:8.2f} s  "
            f"objective {row['objective']:.10e}  gap {row['gap']:.1e}"
        )

    return show


def _warn(estimator, solver, result):
    if result.status is Status.CONVERGED:
        return
    warnings.warn(
        f"{solver.name} {result.status.value} after {result.n_iter} iterations "
        f"({result.n_passes:.0f} passes over the data): estimated relative "
        f"suboptimality {result.gap:.1e}, requested tol {estimator.tol:.1e}. "
        f"{result.status.advice}",
        ConvergenceWarning,
        stacklevel=5,
    )


def margins(estimator, X):
    """Decision values X coef' + intercept, in the namespace of X."""
    check_is_fitted(estimator)
    X = validate(estimator, X, reset=False)
    coef, intercept = estimator.coef_, estimator.intercept_
    return X @ (coef if coef.ndim == 1 else coef.T) + intercept


def check_common(estimator, extra):
    """Validate the parameters of an estimator; names of preconditioners as well."""
    check_parameters(estimator, COMMON | extra)
    if estimator.preconditioner != "auto":
        resolve_preconditioner(estimator.preconditioner)


__all__ = [
    "check_common",
    "class_weights",
    "fit_objective",
    "margins",
    "unchanged_on_failure",
    "validate",
    "validate_weights",
]
