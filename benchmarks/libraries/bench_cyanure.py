"""cyanure: lambda_1 = mu; the intercept is not penalised, tol is a duality gap."""

from functools import partial

from libraries import TOLERANCES, Entrant, installed, of_estimator

name = "cyanure"
ITERATIONS = 5_000


def available():
    return installed("cyanure")


def entrants(problem):
    from cyanure.estimators import Classifier, Regression

    shared = {"penalty": "l2", "lambda_1": problem.mu, "fit_intercept": True}
    shared |= {"max_iter": ITERATIONS, "verbose": False}
    kind = Regression
    if problem.task == "logistic":
        kind, shared["loss"] = Classifier, "logistic"
    for solver in ("auto", "catalyst-svrg"):
        for tol in TOLERANCES:
            make = partial(kind, solver=solver, tol=tol, **shared)
            yield Entrant(solver, tol, of_estimator(make, problem))
