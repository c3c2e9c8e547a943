"""LIBLINEAR's trust-region Newton method, by its own package liblinear-official.

Option -R leaves the intercept out of the penalty, so that the objective is ours:
C = 1 / (n mu) for the logistic loss (-s 0), and C = 1 / (2 n mu) for squared
residuals (-s 11 with -p 0). The fit includes putting X in the library's format, by way
of CSR: its own conversion of arrays is a loop in Python.
"""

from functools import partial

import numpy as np
from scipy.sparse import csr_matrix

from libraries import TOLERANCES, Entrant, Solution, installed

name = "liblinear-official"


def available():
    return installed("liblinear")


def entrants(problem):
    from liblinear.liblinearutil import parameter, train
    from liblinear.liblinearutil import problem as in_its_format

    total = len(problem.y) * problem.mu
    logistic = problem.task == "logistic"
    loss = f"-s 0 -c {1 / total!r}" if logistic else f"-s 11 -p 0 -c {0.5 / total!r}"

    def fit(tol):
        data = in_its_format(problem.y, csr_matrix(problem.X), bias=1)
        model = train(data, parameter(f"{loss} -e {tol} -B 1 -R -q"))
        coef, intercept = model.get_decfun()  # of the label 1 where there are labels
        return Solution(np.array(coef), intercept)

    for tol in TOLERANCES:
        yield Entrant("newton", tol, partial(fit, tol))
