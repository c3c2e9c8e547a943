"""snapml: regularizer = n mu, dual coordinate descent.

It penalises the intercept b by mu/2 (b / s)^2, s the intercept_scaling: an
approximation of the objective, which the gap shows. Larger s come closer and converge
more slowly. It returns b / s. Its primal solver fits no intercept and is left out.
"""

from functools import partial

import numpy as np
from environment import threads

from libraries import TOLERANCES, Entrant, Solution, installed

name = "snapml"
SCALING = 10.0
ITERATIONS = 5_000


def available():
    return installed("snapml")


def entrants(problem):
    from snapml import LinearRegression, LogisticRegression

    kind = LogisticRegression if problem.task == "logistic" else LinearRegression
    options = {"regularizer": len(problem.y) * problem.mu, "random_state": 0}
    options |= {"fit_intercept": True, "intercept_scaling": SCALING}
    options |= {"max_iter": ITERATIONS, "n_jobs": threads()}

    def fit(tol):
        model = kind(tol=tol, **options).fit(problem.X, problem.y)
        return Solution(model.coef_, SCALING * np.asarray(model.intercept_))

    for tol in TOLERANCES:
        yield Entrant("dual", tol, partial(fit, tol))
