"""glum: half the mean unit deviance is the mean loss, so alpha = mu with l1_ratio = 0.

The binomial family takes labels 0 and 1. "irls-ls" forms a dense Hessian.
"""

from functools import partial

from libraries import TOLERANCES, Entrant, installed, of_estimator

name = "glum"
LARGEST_DIRECT = 5_000
ITERATIONS = 5_000


def available():
    return installed("glum")


def entrants(problem):
    from glum import GeneralizedLinearRegressor

    logistic = problem.task == "logistic"
    labels = (problem.y > 0).astype(float) if logistic else problem.y
    shared = {"family": "binomial" if logistic else "normal", "l1_ratio": 0}
    shared |= {"alpha": problem.mu, "max_iter": ITERATIONS}
    for solver in ("irls-ls", "lbfgs"):
        if solver == "irls-ls" and problem.X.shape[1] > LARGEST_DIRECT:
            continue
        for tol in TOLERANCES:
            options = {**shared, "solver": solver, "gradient_tol": tol}
            make = partial(GeneralizedLinearRegressor, **options)
            yield Entrant(solver, tol, of_estimator(make, problem, labels))
