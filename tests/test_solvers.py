"""Every registered solver keeps the contract, and what each one promises besides."""

from functools import cache

import numpy as np
import pytest
from _hard import HARD
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.base import clone

from promise_learn.design import Design, rates
from promise_learn.losses import Logistic, SquaredError
from promise_learn.objective import Objective
from promise_learn.preconditioners import PRECONDITIONERS
from promise_learn.solvers import (
    LBFGS,
    PCG,
    SOLVERS,
    Direct,
    NewtonCG,
    NewtonCholesky,
    NystromPCG,
    Status,
    minimize,
    resolve_solver,
)
from promise_learn.solvers._costs import factor_is_dear
from promise_learn.solvers.auto import choose
from promise_learn.testing import (
    SOLVER_CASES,
    DenseProblem,
    check_solver,
    solver_case,
)

STOCHASTIC = [name for name, solver in SOLVERS.items() if solver.stochastic]
TALL = [case for case in SOLVER_CASES if "n > p" in case]
CASES = pytest.mark.parametrize("case", SOLVER_CASES, ids=", ".join)


# ------------------------------------------------------------------ the contract


@CASES
@pytest.mark.parametrize("name", [name for name in SOLVERS if name not in STOCHASTIC])
def test_contract(name, case):
    check_solver(SOLVERS[name](), [case])


@pytest.mark.parametrize("case", TALL, ids=", ".join)
@pytest.mark.parametrize("name", STOCHASTIC)
def test_contract_of_stochastic_solvers(name, case):
    """On more rows than columns, at tol=1e-6 (SGD 1e-3): they are made for no more."""
    tol = 1e-3 if name == "sketchy-sgd" else 1e-6
    check_solver(SOLVERS[name](), [case], tol=tol, max_iter=1000)


# ------------------------------------------------------------------ truth at the edge


@cache
def hard(name):
    f, reference = HARD[name]()
    return f, reference, reference.minimum


def is_minimum(reference, w, minimum, tol):
    """Whether the gap is 10 tol of F, or none beside F(0)."""
    value = reference.value(w)
    return value - minimum <= max(10 * tol * value, 1e-22 * reference.value(0 * w))


@pytest.mark.parametrize("problem", HARD)
@pytest.mark.parametrize("solver", [Direct, PCG, NystromPCG, NewtonCholesky, NewtonCG])
def test_hard_problems_are_solved(solver, problem):
    f, reference, minimum = hard(problem)
    if solver in (Direct, PCG, NystromPCG) and not f.quadratic:
        return
    result = minimize(f, solver(), tol=1e-6)
    assert result.status is Status.CONVERGED
    assert is_minimum(reference, result.w, minimum, 1e-6)


@pytest.mark.parametrize("problem", HARD)
@pytest.mark.parametrize("name", ["lbfgs", *STOCHASTIC])
def test_first_order_solvers_tell_the_truth_on_hard_problems(name, problem):
    """They need not get there in 300 iterations, but must not claim that they did."""
    f, reference, minimum = hard(problem)
    result = minimize(f, SOLVERS[name](), tol=1e-4, max_iter=300)
    assert np.isfinite(result.w).all()
    if result.status is Status.CONVERGED:
        assert is_minimum(reference, result.w, minimum, 1e-4)


def test_saturated_start_is_not_called_converged():
    """All margins so far on the wrong side that every curvature underflows to zero."""
    f, reference, minimum = hard("logistic, sorted rows")
    start = f.zeros()
    start[0] = -3000.0
    for solver in (NewtonCholesky(), NewtonCG(), LBFGS()):
        result = minimize(f, solver, start, max_iter=100)
        true = is_minimum(reference, result.w, minimum, 1e-6)
        assert true or result.status is not Status.CONVERGED


@pytest.mark.parametrize("preconditioner", ["auto", "nystrom", None])
@pytest.mark.parametrize("seed", [1, 2])
def test_newton_cg_tells_the_truth_of_as_many_rows_as_unknowns(seed, preconditioner):
    """The smallest curvature is far below what the first iterations of CG see."""
    n, p, rng = 61, 60, np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * np.geomspace(1, 1000, p)
    X *= rng.random((n, p)) < 0.5
    scores = X @ rng.standard_normal(p) / np.linalg.norm(X) * n**0.5
    y = np.where(scores + 0.5 * rng.standard_normal(n) > 0, 1.0, -1.0)
    Z = np.column_stack([X, np.ones(n)])
    penalty = np.append(np.full(p, 1e-6), 0.0)
    weights = np.full(n, 1 / n)
    reference = DenseProblem(Z, y, "logistic", weights, penalty, (p + 1,))
    f = reference.objective(X, intercept=True)
    result = minimize(f, NewtonCG(preconditioner), tol=1e-4)
    assert result.status is Status.CONVERGED
    assert reference.gap(result.w) <= 2e-4


# ------------------------------------------------------------------ names and checks


def test_registry_names_agree():
    assert all(name == solver.name for name, solver in SOLVERS.items())
    for solver in SOLVERS.values():
        assert clone(solver()).get_params() == solver().get_params()


def test_nested_parameters_can_be_set():
    from promise_learn.preconditioners import Nystrom

    solver = NystromPCG(Nystrom(rank=5)).set_params(preconditioner__rank=7)
    assert solver.preconditioner.rank == 7


@pytest.mark.parametrize("name", ["direct", "pcg", "nystrom-pcg"])
def test_ridge_solvers_refuse_other_losses(name):
    f, _ = solver_case("logistic", "dense", "n > p")
    with pytest.raises(ValueError, match=r"squared-error problems only.*auto"):
        minimize(f, SOLVERS[name]())


@pytest.mark.parametrize("name", ["direct", "newton-cholesky"])
def test_dense_solvers_refuse_what_does_not_fit_in_memory(name):
    f, _ = solver_case("ridge", "dense", "n > p")
    with pytest.raises(ValueError, match=r"21 x 21 matrix.*auto.*memory_limit"):
        minimize(f, SOLVERS[name](memory_limit=1000))


@pytest.mark.parametrize("patience", [0, -1.0, float("nan")])
def test_patience_must_be_positive(patience):
    f, _ = solver_case("ridge", "dense", "n > p")
    with pytest.raises(ValueError, match=r"patience=.*positive"):
        minimize(f, PCG(patience=patience))


def test_resolve_says_what_is_wrong():
    f, _ = solver_case("ridge", "dense", "n > p")
    with pytest.raises(ValueError, match=r"solver='cholesky' is not known.*'direct'"):
        resolve_solver("cholesky", "auto", f)
    with pytest.raises(ValueError, match=r"uses no preconditioner.*newton-cg"):
        resolve_solver("direct", "nystrom", f)
    with pytest.raises(ValueError, match="set it on the object"):
        resolve_solver(NewtonCG(), "nystrom", f)
    assert resolve_solver("auto", "nystrom", f).uses_preconditioner
    solver = NewtonCG()
    assert resolve_solver(solver, "auto", f) is solver
    given = resolve_solver("newton-cg", None, f)
    assert given.preconditioner is None


@pytest.mark.parametrize("preconditioner", [None, "auto", *PRECONDITIONERS])
@pytest.mark.parametrize("case", TALL, ids=", ".join)
def test_preconditioned_solvers_take_every_preconditioner(preconditioner, case):
    f, reference = solver_case(*case)
    solvers = [PCG, NewtonCG] if f.quadratic else [NewtonCG]
    for solver in solvers:
        result = minimize(f, solver(preconditioner), tol=1e-8)
        assert result.status is Status.CONVERGED
        assert reference.gap(result.w) <= 1e-7


# ------------------------------------------------------------------ the choice


def text(n, p, entries=30, targets=()):
    """Ridge objective of normalised text, and its dense formula."""
    rng = np.random.default_rng(0)
    columns = (p * rng.random((n, entries)) ** 2).astype(int)
    rows = np.repeat(np.arange(n), entries)
    X = sparse.csr_matrix((np.full(n * entries, 0.2), (rows, columns.ravel())), (n, p))
    y = X @ rng.standard_normal((p, *targets)) + rng.standard_normal((n, *targets))
    weights, penalty = np.full(n, 1 / n), np.full(p, 0.01 / n)
    return Objective(Design(X), y, SquaredError(), weights, penalty, (p, *targets))


def exact(f):
    """Minimiser by a dense solve."""
    X, n = f.design.rows.X.toarray(), f.n_rows
    return np.linalg.solve(X.T @ X / n + np.diag(f.penalty), X.T @ f.y / n)


@pytest.mark.parametrize("targets", [(), (3,)], ids=["one", "three"])
@pytest.mark.parametrize("shape", [(300, 500), (500, 300)], ids=["wide", "tall"])
def test_what_patience_does_not_allow_is_factored(shape, targets):
    f = text(*shape, targets=targets)
    result = minimize(f, PCG(preconditioner=None, patience=4), tol=1e-10)
    assert result.status is Status.CONVERGED
    assert 5 <= result.n_iter <= 7  # four of CG, then those of the factor
    assert_allclose(result.w, exact(f), 1e-6, 1e-8)
    assert np.all(np.diff(result.history["passes"]) >= 0)


def test_sparse_x_is_factored_where_that_is_cheap_and_else_after_some_products():
    assert isinstance(choose(text(3000, 200)), Direct)
    for shape in ((3000, 2500), (2000, 9000)):
        solver = choose(text(*shape)).then
        assert isinstance(solver, PCG)
        assert 30 < solver.patience < 2000


def test_products_of_rows_serve_all_factors_of_a_fit():
    """Few long rows of a sparse X: one product of rows, then factors of order n."""
    rng = np.random.default_rng(0)
    X = sparse.random(400, 8000, 0.1, "csr", random_state=rng)
    y = np.where(rng.random(400) < 0.5, -1.0, 1.0)
    rest = (np.full(400, 1 / 400), np.full(8000, 1 / 400), (8000,))
    f = Objective(Design(X), y, Logistic(), *rest)
    assert not factor_is_dear(f)
    assert isinstance(choose(f), NewtonCholesky)


def test_sparse_products_of_rows_cost_the_more_the_sparser_they_are():
    seconds = [rates.pair_seconds(500, density) for density in (1.0, 0.1, 0.01, 0.001)]
    assert seconds == sorted(seconds)
    assert seconds[0] < 1.5 * rates.SPARSE_GRAM
    assert rates.pair_seconds(2000, 0.001) < rates.pair_seconds(5000, 0.001)
    assert rates.pair_seconds(7000, 0.0) == rates.pair_seconds(10**6, 0.0)


def test_no_factor_is_dear_that_has_no_room():
    assert factor_is_dear(text(7000, 5500))
    assert not factor_is_dear(text(7000, 6500))


def test_dense_x_of_few_rows_is_factored_and_else_after_some_products():
    X = np.empty((5000, 8000), np.float32)  # its values are not looked at
    for shape, kind in (((300, 8000), Direct), ((5000, 8000), PCG)):
        assert isinstance(choose(nothing(X, *shape)), kind)
    X = np.empty((1500, 2000))  # a factor in single precision is cheaper
    assert isinstance(choose(nothing(X, 1500, 2000)), PCG)


def nothing(X, n, p):
    """Ridge objective of a part of X and zeros."""
    part = (Design(X[:n, :p]), np.zeros(n), SquaredError(), np.full(n, 1 / n))
    return Objective(*part, np.ones(p), (p,))
