"""promise_learn: C = 1 / (n mu), alpha = n mu; the default fit, and a grid of tol."""

from functools import partial

from libraries import TOLERANCES, Entrant, of_estimator
from promise_learn import LogisticRegression, Ridge

name = "promise-learn"


def available():
    return True


def entrants(problem):
    total = len(problem.y) * problem.mu

    make = partial(Ridge, alpha=total, random_state=0)
    if problem.task == "logistic":
        make = partial(LogisticRegression, C=1 / total, random_state=0)
    yield Entrant("default", None, of_estimator(make, problem))
    for tol in TOLERANCES:
        yield Entrant("auto", tol, of_estimator(partial(make, tol=tol), problem))
