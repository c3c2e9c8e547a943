"""scikit-learn-intelex, on dense data; it hands sparse data back to scikit-learn.

The parameters are scikit-learn's: C = 1 / (n mu), alpha = n mu.
"""

from functools import partial

from scipy.sparse import issparse

from libraries import TOLERANCES, Entrant, installed, of_estimator

name = "scikit-learn-intelex"
LARGEST_DIRECT = 5_000
ITERATIONS = 5_000


def available():
    return installed("sklearnex")


def entrants(problem):
    from sklearnex.linear_model import LogisticRegression, Ridge

    if issparse(problem.X):
        return
    total = len(problem.y) * problem.mu
    if problem.task == "ridge":
        if problem.X.shape[1] <= LARGEST_DIRECT:
            fit = of_estimator(partial(Ridge, alpha=total), problem)
            yield Entrant("normal equations", None, fit)
        return
    for solver in ("lbfgs", "newton-cg"):
        for tol in TOLERANCES:
            options = {"C": 1 / total, "max_iter": ITERATIONS}
            options |= {"solver": solver, "tol": tol}
            make = partial(LogisticRegression, **options)
            yield Entrant(solver, tol, of_estimator(make, problem))
