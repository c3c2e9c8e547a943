"""Every registered solver keeps the contract, and what each one promises besides."""

import numpy as np
import pytest
from _cases import half_empty, problem, store
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from promise_learn.design import Design
from promise_learn.objective import Objective
from promise_learn.solvers import (
    LBFGS,
    SOLVERS,
    Direct,
    NewtonCG,
    NewtonCholesky,
    NystromPCG,
    Status,
    line_search,
    minimize,
    resolve_solver,
    row_space,
)
from promise_learn.solvers._handoff import generated
from promise_learn.testing import SOLVER_CASES, check_solver, solver_case

STOCHASTIC = [name for name in SOLVERS if name.startswith("sketchy-")]
CASES = pytest.mark.parametrize("case", SOLVER_CASES, ids=", ".join)


# ------------------------------------------------------------------ the contract


@CASES
@pytest.mark.parametrize("name", [name for name in SOLVERS if name not in STOCHASTIC])
def test_contract(name, case):
    check_solver(SOLVERS[name](), [case])


@CASES
@pytest.mark.parametrize("name", STOCHASTIC)
def test_contract_of_stochastic_solvers(name, case):
    """At tol=1e-6 instead of 1e-9, which they are not made for."""
    tol = 1e-3 if name == "sketchy-sgd" else 1e-6
    check_solver(SOLVERS[name](), [case], tol=tol, max_iter=1000)
