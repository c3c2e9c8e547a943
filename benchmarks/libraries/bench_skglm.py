"""skglm: its elastic net at l1_ratio = 0 and alpha = mu, the intercept not penalised.

Its LBFGS fits no intercept and is left out.
"""

from functools import partial

from libraries import TOLERANCES, Entrant, installed, of_estimator

name = "skglm"


def available():
    return installed("skglm")


def entrants(problem):
    from skglm import GeneralizedLinearEstimator
    from skglm.datafits import Logistic, Quadratic
    from skglm.penalties import L1_plus_L2
    from skglm.solvers import AndersonCD, ProxNewton

    logistic = problem.task == "logistic"
    datafit = Logistic if logistic else Quadratic
    for kind in (ProxNewton, AndersonCD) if logistic else (AndersonCD,):
        for tol in TOLERANCES:
            parts = datafit(), L1_plus_L2(problem.mu, 0.0), kind(tol=tol)
            make = partial(GeneralizedLinearEstimator, *parts)
            yield Entrant(kind.__name__, tol, of_estimator(make, problem))
