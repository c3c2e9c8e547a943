"""Every registered solver keeps the contract, and what each one promises besides."""

from functools import cache

import numpy as np
import pytest
from _hard import HARD
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.base import clone

from promise_learn.design import Design, rates
from promise_learn.losses import Logistic, SquaredError, SquaredHinge
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
from promise_learn.solvers._costs import bare_iterations, factor_is_dear, spread
from promise_learn.solvers.auto import choose
from promise_learn.solvers.pcg import smallest_eigenvalue
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


NEWTON = [NewtonCholesky, NewtonCG]


@pytest.mark.parametrize("storage", ["dense", "csr"])
@pytest.mark.parametrize("shape", [(300, 10), (30, 40)], ids=["tall", "wide"])
@pytest.mark.parametrize("solver", [Direct, PCG, *NEWTON])
def test_curvature_that_rounding_hides_is_found(solver, shape, storage):
    """Columns in pairs, 1e-8 apart, whose difference is half of the answer."""
    (n, p), rng = shape, np.random.default_rng(0)
    Z, D = rng.standard_normal((2, n, p // 2))
    X = np.hstack([Z, Z + 1e-8 * D])
    y = Z.sum(axis=1) + D.sum(axis=1) + rng.standard_normal(n)
    weights, penalty = np.full(n, 1 / n), np.full(p, 1e-20)
    rows = sparse.csr_array(X) if storage == "csr" else X
    f = Objective(Design(rows), y, SquaredError(), weights, penalty, (p,))
    augmented = np.vstack([X / n**0.5, np.diag(penalty**0.5)])
    target = np.append(y / n**0.5, np.zeros(p))
    best = np.linalg.lstsq(augmented, target, rcond=None)[0]  # by SVD, of X itself
    result = minimize(f, solver(), tol=1e-6)
    assert result.status is Status.CONVERGED
    assert f.value(result.w) <= f.value(best) * (1 + 1e-5)


@pytest.mark.parametrize("solver", NEWTON)
@pytest.mark.parametrize("seed", range(3))
def test_curvature_that_rounding_hides_is_found_by_newton(solver, seed):
    """Pairs 3e-8 apart are as good as features and differences without a penalty."""
    n, rng = 500, np.random.default_rng(seed)
    Z, D = rng.standard_normal((2, n, 4))
    y = np.where(Z[:, 0] + D[:, 0] + rng.logistic(size=n) > 0, 1.0, -1.0)
    weights, penalty = np.full(n, 1 / n), np.full(8, 1e-22)
    pairs = np.hstack([Z, Z + 3e-8 * D])
    f = DenseProblem(pairs, y, "logistic", weights, penalty, (8,)).objective()
    apart = np.hstack([Z, D])
    reference = DenseProblem(apart, y, "logistic", weights, 0 * penalty, (8,))
    result = minimize(f, solver(), tol=1e-6)
    assert result.status is Status.CONVERGED
    assert f.value(result.w) <= reference.minimum * (1 + 1e-5)


@pytest.mark.parametrize("targets", [(), (3,)], ids=["one", "three"])
@pytest.mark.parametrize("rows", [2000, 300])
@pytest.mark.parametrize("solver", [Direct, NewtonCholesky])
def test_columns_that_depend_on_each_other_take_one_step(solver, rows, targets):
    """Dummies of every level, without a penalty: nothing is hidden, w stays small."""
    rng = np.random.default_rng(0)
    X = np.hstack(
        [np.eye(10)[rng.integers(0, 10, rows)], rng.standard_normal((rows, 5))]
    )
    X = np.hstack([X, X[:, 10:12]])
    y, weights = rng.standard_normal((rows, *targets)), np.full(rows, 1 / rows)
    design = Design(X, shift=X.mean(axis=0), intercept=True)
    f = Objective(design, y, SquaredError(), weights, np.zeros(18), (18, *targets))
    result = minimize(f, solver(), tol=1e-6)
    assert result.status is Status.CONVERGED
    assert result.n_iter <= 2
    best = np.linalg.lstsq(np.hstack([X, np.ones((rows, 1))]), y, rcond=None)[0]
    residual = y - np.hstack([X, np.ones((rows, 1))]) @ best
    assert f.value(result.w) <= 0.5 * np.sum(residual**2) / rows * (1 + 1e-10)
    assert np.abs(result.w).max() < 10


@pytest.mark.parametrize("solver", [Direct, NewtonCholesky])
def test_rows_that_are_repeated_take_one_step_without_a_penalty(solver):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((50, 300)), rng.standard_normal(50)
    X, y = np.vstack([X, X]), np.concatenate([y, y + rng.standard_normal(50)])
    weights = np.full(100, 0.01)
    f = Objective(Design(X), y, SquaredError(), weights, np.zeros(300), (300,))
    result = minimize(f, solver(), tol=1e-6)
    assert result.status is Status.CONVERGED
    assert result.n_iter <= 2
    assert_allclose(result.w, np.linalg.lstsq(X, y, rcond=None)[0], 1e-6, 1e-8)


@pytest.mark.parametrize("solver", NEWTON)
@pytest.mark.parametrize("seed", range(3))
def test_samples_do_not_bury_small_curvature(solver, seed):
    """Of twenty columns in a space of eight, but for noise of 1e-5."""
    n, p, rng = 6000, 20, np.random.default_rng(seed)
    noise = rng.standard_normal((n, p))
    X = rng.standard_normal((n, 8)) @ rng.standard_normal((8, p)) + 1e-5 * noise
    y = np.where(noise[:, 0] + X[:, 0] + rng.logistic(size=n) > 0, 1.0, -1.0)
    penalty, weights = np.full(p, 1e-14), np.full(n, 1 / n)
    reference = DenseProblem(X, y, "logistic", weights, penalty, (p,))
    result = minimize(reference.objective(), solver(), rng=rng, tol=1e-6)
    assert result.status is Status.CONVERGED
    assert reference.gap(result.w) <= 1e-5


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


@pytest.mark.parametrize("name", ["patience", "early"])
@pytest.mark.parametrize("value", [0, -1.0, float("nan")])
def test_patience_must_be_positive(name, value):
    f, _ = solver_case("ridge", "dense", "n > p")
    with pytest.raises(ValueError, match=rf"{name}=.*positive"):
        minimize(f, PCG(**{name: value}))


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
    assert not factor_is_dear(text(13000, 12500))


def test_dense_x_of_few_rows_is_factored_and_else_after_some_products():
    X = np.ones((5000, 8000), np.float32)
    for shape, kind in (((300, 8000), Direct), ((5000, 8000), PCG)):
        assert isinstance(choose(nothing(X, *shape)), kind)
    X = np.ones((1500, 2000))  # a factor in single precision is cheaper
    assert isinstance(choose(nothing(X, 1500, 2000)), PCG)


def nothing(X, n, p):
    """Ridge objective of a part of X and zeros."""
    part = (Design(X[:n, :p]), np.zeros(n), SquaredError(), np.full(n, 1 / n))
    return Objective(*part, np.ones(p), (p,))


# ------------------------------------------------------------------ flat spectra


def independent(n, p, kind="alike"):
    """X of independent columns, ones with a common factor, or neighbours that agree."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p))
    if kind == "factor":
        X += 3 * rng.standard_normal((n, 1))
    if kind == "neighbours":
        for j in range(1, p):
            X[:, j] = 0.9 * X[:, j - 1] + 0.19**0.5 * X[:, j]
    return X


def fitted(X, loss=SquaredError, alpha=1.0, intercept=False, weights=None):
    """Objective of random targets with the total penalty alpha / 2 |w|^2."""
    (n, p), rng = X.shape, np.random.default_rng(1)
    y = X @ rng.standard_normal(p) / p**0.5 + rng.standard_normal(n)
    y = y if loss is SquaredError else np.where(y > 0, 1.0, -1.0)
    weights = np.full(n, 1 / n) if weights is None else weights
    dim = p + int(intercept)
    penalty = np.zeros(dim)
    penalty[:p] = alpha / n
    design = Design(X, intercept=intercept)
    return Objective(design, y, loss(), weights, penalty, (dim,))


@pytest.mark.parametrize("shape", [(2000, 400), (300, 3000)], ids=["tall", "wide"])
@pytest.mark.parametrize("kind", ["alike", "factor", "neighbours"])
def test_spread_of_eigenvalues_is_seen_in_a_few_rows(shape, kind):
    X = independent(*shape, kind)
    values = np.linalg.eigvalsh((X.T @ X if shape[0] > shape[1] else X @ X.T) / len(X))
    v, mean = spread(fitted(X))
    assert_allclose(mean, values.mean(), 0.4)  # a common factor varies by row
    for found, bulk in zip(v[:2], (values, values[:-1]), strict=True):
        exact = np.mean(bulk**2) / np.mean(bulk) ** 2
        if kind == "alike" or exact < 2:
            # 500 pairs of rows know the mean square to some 6 %
            assert_allclose(1 + found, exact, 0.2)
        else:
            assert found > 1


def test_spread_of_nothing_is_infinite():
    f = fitted(np.zeros((100, 40)))
    assert np.all(spread(f)[0] == np.inf)
    rank_one = spread(fitted(np.ones((100, 40))))[0]
    assert rank_one[0] > 1
    assert np.all(rank_one[1:] == np.inf)
    assert bare_iterations(f) == np.inf
    assert bare_iterations(fitted(independent(2000, 100), alpha=0.0)) == np.inf


def test_ridge_on_independent_columns_needs_no_factor():
    for shape in ((5000, 500), (10_000, 1000), (1000, 3000), (5000, 500, "factor")):
        f = fitted(independent(*shape))
        solver = choose(f)
        assert isinstance(solver, PCG)
        assert solver.preconditioner is None
        result = minimize(f, solver, tol=1e-6)
        assert result.n_iter < solver.patience  # no factor was made
        least = minimize(f, Direct(), tol=1e-12)
        known = result.history["objective"][-1] / least.history["objective"][-1] - 1
        assert known <= result.gap <= 1e-6
    for other in (independent(5000, 500, "neighbours"), independent(5000, 30)):
        assert getattr(choose(fitted(other)), "preconditioner", "auto") == "auto"


def test_logistic_regression_on_independent_columns_needs_no_factor():
    f = fitted(independent(1200, 1200), Logistic)
    solver = choose(f)
    assert isinstance(solver, NewtonCG)
    assert solver.preconditioner is None
    least = minimize(f, NewtonCholesky(), tol=1e-12).history["objective"][-1]
    assert minimize(f, solver, tol=1e-8).history["objective"][-1] <= least * (1 + 1e-8)


@pytest.mark.parametrize("alpha", [1e-8, 1e-4, 1.0])
@pytest.mark.parametrize("difference", [1e-5, 1e-4, 0.003, 0.02])
def test_directions_that_a_few_rows_do_not_show_are_not_missed(difference, alpha):
    """Twins of some columns: noise along their differences is all that is left."""
    X = independent(4000, 600)
    X[:, :20] = X[:, 20:40] + difference * independent(4000, 20)
    f = fitted(X, alpha=alpha)
    solver = choose(f)
    assert solver.preconditioner is None  # nothing tells
    result = minimize(f, solver, tol=1e-6)
    assert result.status is Status.CONVERGED
    assert true_gap(X, f.y, f, result.w) <= 1e-6


@pytest.mark.parametrize("total", [1.0, 37.0])
@pytest.mark.parametrize("intercept", [False, True])
def test_bound_of_the_smallest_eigenvalue(intercept, total):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 80)) * 10 ** rng.uniform(-1, 1, 80) + 2.0
    weights = rng.random(60)
    f = fitted(X, intercept=intercept, weights=total * weights / weights.sum())
    smallest = np.linalg.eigvalsh(f.expand(f.zeros()).hessian())[0]
    least = smallest_eigenvalue(f)
    assert 0.01 * smallest < least <= smallest * (1 + 1e-9)
    assert smallest_eigenvalue(fitted(X, alpha=0.0, intercept=intercept)) == 0.0


def flat(n, p, factors=(), noise=1.0):
    """Ridge objective of independent columns, some rows of which are longer."""
    rng = np.random.default_rng(3)
    X = rng.standard_normal((n, p))
    for rows, factor in factors:
        X[rows] *= factor
    y = X @ rng.standard_normal(p) / p**0.5 + noise * rng.standard_normal(n)
    rest = (SquaredError(), np.full(n, 1 / n))
    return (
        X,
        y,
        lambda alpha: Objective(Design(X), y, *rest, np.full(p, alpha / n), (p,)),
    )


def true_gap(X, y, f, w):
    """Relative gap of w by a least squares problem, which squares no condition."""
    n, p = X.shape
    root = np.diag(np.sqrt(n * f.penalty))
    Z, t = np.vstack([X, root]), np.append(y, np.zeros(p))
    best = np.linalg.lstsq(Z, t, rcond=None)[0]
    size = np.max(np.abs(Z))
    change = Z @ (w - best) / size
    return change @ change / np.sum(((Z @ best - t) / size) ** 2)


@pytest.mark.parametrize("alpha", [1e-8, 1e-4, 1.0])
@pytest.mark.parametrize(
    "case",
    [
        dict(noise=0.0),  # F falls by twelve orders, and its recursion loses them
        dict(factors=[(slice(1, 41), 1e6)]),  # rows that a sample of 32 does not have
        dict(factors=[(slice(1, 41), 30.0)]),
        dict(factors=[(slice(0, 750), 0.03)]),
    ],
    ids=["exact", "huge rows", "long rows", "sorted"],
)
def test_what_a_few_rows_promise_is_not_believed(case, alpha):
    X, y, make = flat(1500, 300, **case)
    f = make(alpha)
    for solver in (choose(f), PCG(None, patience=15)):
        result = minimize(f, solver, tol=1e-6)
        assert result.status is Status.CONVERGED
        assert result.n_iter < 40
        assert true_gap(X, y, f, result.w) <= 2e-6


def test_without_a_penalty_the_gap_is_read_with_caution():
    X = independent(2000, 300)
    X[:, :10] = X[:, 10:20] + 0.003 * independent(2000, 10)
    f = fitted(X, alpha=0.0)
    result = minimize(f, PCG(None, patience=200), tol=1e-6)
    assert result.status is Status.CONVERGED
    assert true_gap(X, f.y, f, result.w) <= 1e-6


@pytest.mark.parametrize("scale", [1e-150, 1e-80, 1e80, 1e150])
def test_spread_of_extreme_numbers_is_no_promise(scale):
    f = fitted(scale * independent(2000, 300), alpha=scale**2 if scale < 1 else 1.0)
    assert np.all(spread(f)[0] > 0)
    assert scale in (1e-80, 1e80) or bare_iterations(f) == np.inf


@pytest.mark.parametrize("even", [True, False])
def test_slow_convergence_is_left_early(even):
    """CG alone where its rate will do, soon the other solver where it will not."""
    X = independent(400, 200) * (1.0 if even else np.geomspace(1, 1000, 200))
    f = fitted(X, alpha=1.0)
    alone = minimize(f, PCG(None, patience=1e6)).n_iter
    result = minimize(f, PCG(None, patience=60, early=5))
    assert result.status is Status.CONVERGED
    assert true_gap(X, f.y, f, result.w) <= 1e-6
    if even:
        assert 5 < result.n_iter == alone < 60
    else:
        assert alone > 60
        assert result.n_iter <= 20  # a third of what is allowed


def test_what_takes_over_is_named():
    f = fitted(independent(100, 30))
    with pytest.raises(ValueError, match=r"then=.*solver object"):
        minimize(f, PCG(patience=3, then="direct"))
    result = minimize(f, PCG(None, patience=2, then=NewtonCG()), tol=1e-10)
    assert result.status is Status.CONVERGED


def test_losses_with_corners_are_not_tried_without_a_preconditioner():
    X = independent(1200, 1200)
    for loss in (SquaredHinge, Logistic):
        solver = choose(fitted(X, loss))
        bare = getattr(solver, "preconditioner", "auto") is None
        assert bare == (loss is Logistic)
