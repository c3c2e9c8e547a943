"""scikit-learn: C = 1 / (n mu), alpha = n mu; every solver that suits the data.

Its liblinear penalises the intercept and is not here: see bench_liblinear. Direct
solvers are left out where they would form a dense matrix that is too large.
"""

from functools import partial

from scipy.sparse import issparse
from sklearn.linear_model import LogisticRegression, Ridge

from libraries import TOLERANCES, Entrant, installed, of_estimator

name = "scikit-learn"
LARGEST_DIRECT = 5_000
LARGEST_SVD = 2_000
PASSES = 200  # of saga, which may stay far from the minimum for ever
ITERATIONS = 5_000


def available():
    return installed("sklearn")


def entrants(problem):
    total = len(problem.y) * problem.mu
    logistic = problem.task == "logistic"
    for solver in (_logistic if logistic else _ridge)(problem.X):
        direct = solver in ("cholesky", "svd")
        for tol in TOLERANCES[-1:] if direct else TOLERANCES:
            options = {"solver": solver, "tol": tol, "random_state": 0}
            if not direct:
                options["max_iter"] = PASSES if "sag" in solver else ITERATIONS
            if logistic:
                kind, options["C"] = LogisticRegression, 1 / total
            else:
                kind, options["alpha"] = Ridge, total
            yield Entrant(solver, tol, of_estimator(partial(kind, **options), problem))


def _logistic(X):
    direct = ["newton-cholesky"] if X.shape[1] <= LARGEST_DIRECT else []
    return [*direct, "lbfgs", "newton-cg", "saga"]


def _ridge(X):
    if issparse(X):  # it refuses the direct solvers where an intercept is fitted
        return ["sparse_cg", "lsqr"]
    limits = {"cholesky": LARGEST_DIRECT, "svd": LARGEST_SVD}
    direct = [solver for solver, limit in limits.items() if X.shape[1] <= limit]
    return [*direct, "sparse_cg", "lsqr"]
