"""Methods to compare with: what each is equal to, and that each reaches the optimum."""

from functools import cache
from importlib import import_module
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import optimize, sparse

from _reference import SQUARED_ERROR_ONLY
from promise_learn.solvers import (
    RSSN,
    SLBFGS,
    SOLVERS,
    SVRN,
    NewtonSketch,
    ProgressiveLBFGS,
    Status,
    SubsampledNewtonMethod,
    SubspaceNewton,
    minimize,
)
from promise_learn.solvers._pairs import Pairs
from promise_learn.solvers._subsampled import random_batch, subsampled_system
from promise_learn.solvers.newton_sketch import sketched_model
from promise_learn.solvers.progressive_lbfgs import row_norms
from promise_learn.solvers.theory import Theory
from promise_learn.testing import DenseProblem, solver_case

ROOT = Path(__file__).parents[1]
TASKS = (
    "ridge",
    "ridge, 3 targets",
    "ridge, alpha a target",
    "logistic",
    "multinomial",
)
METHODS = [
    SubsampledNewtonMethod(),
    SubsampledNewtonMethod(gradient_batch=64, hessian_batch=600),
    RSSN(batch_size=64, hessian_batch=128),
    NewtonSketch(),
    NewtonSketch(sketch_size=400, adaptive=False),
    SVRN(),
    SLBFGS(),
    ProgressiveLBFGS(batch_size=64),
    SubspaceNewton(size=7),
]
REGISTERED = [solver() for solver in SOLVERS.values()]
LOSSES = ("squared_error", "logistic", "multinomial")


def on_each_loss(solvers):
    """Parametrise over the solvers, each with the losses that it takes."""
    return pytest.mark.parametrize(
        ("solver", "loss"),
        [
            pytest.param(solver, loss, id=f"{solver!r}-{loss}")
            for solver in solvers
            for loss in LOSSES
            if loss == "squared_error" or solver.name not in SQUARED_ERROR_ONLY
        ],
    )


@cache
def problem(loss, storage, dtype="float64", seed=0):
    """1,200 rows, 16 columns of scales 1 to 10, weights 0.5 to 2, and the reference."""
    rng = np.random.default_rng(seed)
    n, p = 1200, 16
    X = (
        rng.standard_normal((n, p))
        * np.geomspace(1, 10, p)
        * (rng.random((n, p)) < 0.5)
    ).astype(dtype)
    scores = X @ rng.standard_normal((p, 3)) / 10 + rng.standard_normal((n, 3)) + 0.5
    y = {
        "squared_error": scores[:, 0],
        "logistic": np.where(scores[:, 0] > 0.5, 1.0, -1.0),
        "multinomial": np.argmax(scores, axis=1).astype(float),
    }[loss]
    Z = np.column_stack([X.astype(float), np.ones(n)])
    s = rng.uniform(0.5, 2.0, n)
    penalty = np.append(np.full(p, 1e-3), 0.0)
    columns = (3,) if loss == "multinomial" else ()
    reference = DenseProblem(Z, y, loss, s / s.sum(), penalty, (p + 1, *columns))
    X = sparse.csr_array(X) if storage == "csr" else X
    return reference.objective(X, intercept=True), reference


def steps(f, solver, count, w=None, seed=0):
    """First steps of a solver."""
    w = f.zeros() if w is None else w
    return list(islice(solver.iterate(f, w, np.random.default_rng(seed)), count))


def newton_step(reference, w):
    """H^-1 g by least squares, the shape of w."""
    H, g = reference.hessian(w), reference.gradient(w)
    return np.linalg.lstsq(H, g.ravel(), rcond=1e-12)[0].reshape(w.shape)


# ------------------------------------------------------------------ the optimum


CONVERGENT = [s for s in REGISTERED if s.theory.local_convergence != "none"]
VARIANTS = [solver for solver in METHODS if repr(solver) not in map(repr, REGISTERED)]


@pytest.mark.parametrize("storage", ["dense", "csr"])
@on_each_loss(CONVERGENT + VARIANTS)
def test_every_method_reaches_the_newton_optimum(solver, loss, storage):
    f, reference = problem(loss, storage)
    # a tenth of 1e-8, as the decrement stands for the gap to first order only
    result = minimize(f, solver, tol=1e-9)
    assert result.status is Status.CONVERGED
    assert reference.gap(result.w) <= 1e-8


@pytest.mark.parametrize("storage", ["dense", "csr"])
@on_each_loss(REGISTERED)
def test_every_method_takes_float32_rows(solver, loss, storage):
    """They are kept as they are; w and the objective have float64."""
    f, reference = problem(loss, storage, "float32")
    tol = 1e-6 if solver in CONVERGENT else 1e-3
    result = minimize(f, solver, tol=tol)
    assert f.design.rows.X.dtype == np.float32
    assert result.status is Status.CONVERGED
    assert reference.gap(result.w) <= 2 * tol


@pytest.mark.parametrize("solver", METHODS, ids=repr)
def test_same_seed_same_result_and_another_seed_another(solver):
    f, _ = problem("logistic", "dense")
    first, again, other = (steps(f, solver, 6, seed=s)[-1].w for s in (5, 5, 6))
    assert_array_equal(first, again)
    assert np.any(first != other)


@pytest.mark.parametrize("solver", METHODS, ids=repr)
def test_dense_and_csr_take_the_same_steps(solver):
    dense, csr = (
        steps(problem("multinomial", storage)[0], solver, 4)[-1].w
        for storage in ("dense", "csr")
    )
    # sums in another order; quasi-Newton pairs amplify it
    assert_allclose(csr, dense, 0, 1e-7 * np.abs(dense).max())


@pytest.mark.parametrize("solver", METHODS, ids=repr)
def test_rows_without_weight_count_for_nothing(solver):
    f, reference = problem("logistic", "dense")
    Z = np.vstack([reference.Z, 1e3 * np.ones((300, f.dim))])
    y, s = np.append(f.y, np.ones(300)), np.append(f.weights, np.zeros(300))
    g = DenseProblem(Z, y, "logistic", s, f.penalty, f.shape).objective()
    result = minimize(g, solver, tol=1e-7)
    assert result.status is Status.CONVERGED
    assert reference.gap(result.w) <= 1e-6


# ------------------------------------------------------------------ Newton in disguise


FULL = [
    NewtonSketch(sketch_size=10**6),
    SubsampledNewtonMethod(hessian_batch=10**6),
    RSSN(batch_size=10**6, hessian_batch=10**6, damping=0.0),
]


@pytest.mark.parametrize("storage", ["dense", "csr"])
@pytest.mark.parametrize("loss", ["squared_error", "logistic", "multinomial"])
@pytest.mark.parametrize("solver", FULL, ids=repr)
def test_with_all_rows_it_is_newtons_method(solver, loss, storage):
    f, reference = problem(loss, storage)
    for before, after in pairwise(steps(f, solver, 3)):
        expected = -after.step_size * newton_step(reference, before.w)
        assert_allclose(after.w - before.w, expected, 1e-6, 1e-9)


@pytest.mark.parametrize("loss", ["squared_error", "logistic", "multinomial"])
def test_svrn_with_all_rows_and_a_unit_step_is_newtons_method(loss):
    f, reference = problem(loss, "dense")
    solver = SVRN(batch_size=f.n_rows, hessian_batch=f.n_rows, step=1.0)
    trace = steps(f, solver, 4)
    for before, after in pairwise(trace):
        expected = -after.step_size * newton_step(reference, before.w)
        assert_allclose(after.w - before.w, expected, 1e-6, 1e-9)
    full = trace[0] if f.quadratic else trace[-1]  # later ones are of rounding's size
    assert full.step_size == 1.0


@pytest.mark.parametrize("task", TASKS)
def test_subspace_newton_in_all_coordinates_is_newtons_method(task):
    f, reference = solver_case(task, "csr", "n > p")
    first = steps(f, SubspaceNewton(size=f.dim), 1)[0]
    assert_allclose(
        first.w, -first.step_size * newton_step(reference, f.zeros()), 1e-6, 1e-9
    )


def test_subspace_newton_minimises_over_the_chosen_coordinates():
    f, reference = problem("squared_error", "csr")
    before, after = steps(f, SubspaceNewton(size=5), 2)
    moved = np.flatnonzero(after.w != before.w)
    assert len(moved) == 6  # the intercept always moves
    assert_allclose(reference.gradient(after.w)[moved], 0, atol=1e-10)
    assert after.value == pytest.approx(reference.value(after.w), rel=1e-12)


# ------------------------------------------------------------------ their parts


@pytest.mark.parametrize("loss", ["squared_error", "logistic"])
def test_the_subsampled_hessian_is_unbiased(loss):
    f, reference = problem(loss, "dense")
    w, rng = np.linspace(-0.1, 0.1, f.dim), np.random.default_rng(0)
    point, H = f.expand(w), reference.hessian(w)
    known = np.flatnonzero(f.weights)
    mean = np.mean(
        [
            point.sample(f.sample(300, rng), len(known) / 300).hessian()
            for _ in range(400)
        ],
        axis=0,
    )
    # 400 samples leave a twentieth of the error of one, itself about 300^-1/2
    assert np.linalg.norm(mean - H) <= 0.01 * np.linalg.norm(H)


@pytest.mark.parametrize("task", TASKS)
def test_damping_is_added_to_every_coordinate(task):
    f, reference = solver_case(task, "dense", "n > p")
    w = np.linspace(-0.1, 0.1, f.zeros().size).reshape(f.shape)
    g = reference.gradient(w)
    system = subsampled_system(f.expand(w), 10**6, np.random.default_rng(0), 0.3)
    H = reference.hessian(w) + 0.3 * np.eye(w.size)
    expected = np.linalg.solve(H, g.ravel()).reshape(w.shape)
    assert_allclose(system.solve(g), expected, 1e-8, 1e-12)


@pytest.mark.parametrize("task", TASKS)
def test_a_large_system_is_solved_by_conjugate_gradients(task, monkeypatch):
    module = import_module("promise_learn.solvers._subsampled")
    monkeypatch.setattr(module, "LARGEST_FACTOR", 1)
    f, reference = solver_case(task, "csr", "n > p")
    g = reference.gradient(f.zeros())
    x = subsampled_system(f.expand(f.zeros()), 10**6, np.random.default_rng(0)).solve(g)
    exact = newton_step(reference, f.zeros())
    H, error = reference.hessian(f.zeros()), (x - exact).ravel()
    assert error @ H @ error <= 1e-3 * exact.ravel() @ H @ exact.ravel()


@pytest.mark.parametrize("storage", ["dense", "csr"])
@pytest.mark.parametrize("loss", ["squared_error", "logistic", "multinomial"])
def test_the_sketched_hessian_is_unbiased(loss, storage):
    f, reference = problem(loss, storage)
    w = np.linspace(-0.1, 0.1, f.zeros().size).reshape(f.shape)
    H, rng = reference.hessian(w), np.random.default_rng(0)
    draws = [sketched_model(f.expand(w), 200, rng).hessian() for _ in range(60)]
    mean = np.mean(draws, axis=0)
    if loss == "multinomial":  # class-major, and unit curvature along flat directions
        K, dim = 3, f.dim
        H = H.reshape(dim, K, dim, K).transpose(1, 0, 3, 2).reshape(K * dim, K * dim)
        flat = np.tile(np.eye(dim)[-1], K) / K**0.5
        H = H + np.outer(flat, flat)
    # 60 sketches of 200 rows leave about (60 * 200 / 50)^-1/2 of the norm
    assert np.linalg.norm(mean - H) <= 0.07 * np.linalg.norm(H)


def test_the_sketch_doubles_only_where_a_step_leaves_half_the_decrement():
    f, _ = problem("squared_error", "dense")
    small = steps(f, NewtonSketch(sketch_size=8), 12)
    large = steps(f, NewtonSketch(sketch_size=600), 4)
    # eigenvalues within (1 +- (17 / 600)^1/2)^2: an error of 0.34, its square in F
    assert all(after.gap < 0.15 * before.gap for before, after in pairwise(large))
    assert small[-1].gap < 1e-6 * small[0].gap


def test_a_batch_never_lacks_a_class():
    f, _ = problem("logistic", "dense")
    y = -np.ones(f.n_rows)
    y[:3] = 1
    g = type(f)(f.design, y, f.loss, f.weights, f.penalty, f.shape)
    batches = [random_batch(g, 10, np.random.default_rng(s)) for s in range(20)]
    assert all(set(np.unique(batch.y)) == {-1.0, 1.0} for batch in batches)


# ------------------------------------------------------------------ L-BFGS


def filled_pairs(H, count, memory=10, seed=0):
    rng = np.random.default_rng(seed)
    pairs, kept = Pairs(memory), []
    for _ in range(count):
        s = rng.standard_normal(len(H))
        pairs.add(s, H @ s)
        kept.append((s, H @ s))
    return pairs, kept[-memory:]


def dense_bfgs(kept, gamma):
    """Inverse by the product form, formula (6.17) of Nocedal and Wright."""
    B = gamma * np.eye(len(kept[0][0]))
    for s, y in kept:
        V = np.eye(len(s)) - np.outer(y, s) / (s @ y)
        B = V.T @ B @ V + np.outer(s, s) / (s @ y)
    return B


@pytest.mark.parametrize("count", [1, 4, 14])
def test_two_loops_and_compact_form_are_the_dense_bfgs_inverse(count):
    rng = np.random.default_rng(1)
    A = rng.standard_normal((20, 8))
    pairs, kept = filled_pairs(A.T @ A, count)
    s, y = kept[-1]
    B, g = dense_bfgs(kept, s @ y / (y @ y)), rng.standard_normal(8)
    assert_allclose(pairs.apply(g), B @ g, 1e-9)
    assert_allclose(pairs.inverse(g).to_dense(), B, 1e-7, 1e-9 * np.abs(B).max())
    assert_allclose(pairs.apply(y), s, 1e-9)  # the secant equation
    assert_allclose(pairs.inverse(g).apply(y), s, 1e-7, 1e-9)


def test_pairs_without_curvature_are_skipped():
    pairs = Pairs(3)
    e = np.eye(4)
    assert not pairs.add(e[0], -e[0])
    assert not pairs.add(e[0], e[1])
    assert not pairs.add(0 * e[0], 0 * e[0])
    assert_array_equal(pairs.apply(e[2]), e[2])
    assert pairs.inverse(e[0]).rank == 0
    assert pairs.add(e[0], 2 * e[0])
    assert_allclose(pairs.apply(e[0]), e[0] / 2)


def test_slbfgs_pairs_are_averages_of_epochs_and_the_hessian_times_them(monkeypatch):
    """One batch an epoch: the mean of its iterates is the iterate itself."""
    f, reference = problem("squared_error", "dense")
    kept, add = [], Pairs.add
    monkeypatch.setattr(Pairs, "add", lambda self, *p: kept.append(p) or add(self, *p))
    trace = steps(f, SLBFGS(batch_size=f.n_rows, hessian_batch=f.n_rows), 4)
    points, H = [f.zeros(), *(step.w for step in trace)], reference.hessian(f.zeros())
    for (s, y), (old, new) in zip(kept, pairwise(points), strict=True):
        assert_allclose(s, new - old, 1e-9, 1e-12)
        assert_allclose(y, H @ s, 1e-9, 1e-12)


def test_slbfgs_survives_a_step_that_diverges(monkeypatch):
    module = import_module("promise_learn.solvers.slbfgs")
    step = module.StochasticRun.step_size
    monkeypatch.setattr(module.StochasticRun, "step_size", lambda run: 300 * step(run))
    f, reference = problem("logistic", "dense")
    with np.errstate(over="ignore", invalid="ignore"):
        trace = steps(f, SLBFGS(), 60)
    values = [step.value for step in trace]
    assert np.isfinite(values).all()
    assert max(values) <= 1.011 * f.value(f.zeros())
    assert values[-1] < 0.9 * f.value(f.zeros())
    assert reference.value(trace[-1].w) == pytest.approx(values[-1], rel=1e-10)


def test_progressive_lbfgs_on_all_rows_is_lbfgs():
    """SciPy's, where neither line search has to shorten a step."""
    f, reference = problem("squared_error", "dense")
    start = reference.optimum + 1e-3
    ours = steps(f, ProgressiveLBFGS(batch_size=f.n_rows, memory=5), 25, start)
    found = optimize.minimize(
        lambda w: (reference.value(w), reference.gradient(w)), start, jac=True,
        method="L-BFGS-B", options={"maxcor": 5, "maxiter": 25, "ftol": 0, "gtol": 0},
    )  # fmt: skip
    gap = ours[-1].value - reference.minimum
    assert gap <= 30 * (found.fun - reference.minimum) + 1e-15


def test_progressive_batches_grow_to_all_rows():
    f, _ = problem("logistic", "dense")
    trace = steps(f, ProgressiveLBFGS(batch_size=32), 60)
    assert trace[0].value is None  # of a batch
    assert trace[-1].value is not None


@pytest.mark.parametrize("storage", ["dense", "csr"])
def test_row_norms_are_those_of_the_design_matrix(storage):
    f, reference = solver_case("ridge", storage, "n > p")
    expected = np.sum(reference.Z**2, axis=1)
    assert_allclose(row_norms(f.design), expected, 1e-10)


# ------------------------------------------------------------------ what they say


@pytest.mark.parametrize("name", SOLVERS)
def test_every_solver_has_a_theory_of_its_own(name):
    solver = SOLVERS[name]
    assert isinstance(vars(solver)["theory"], Theory)
    theory = solver.theory
    assert all((theory.gradient_batch, theory.hessian_batch, theory.local_convergence))
    assert "(" in theory.source or "Golub" in theory.source
    assert isinstance(solver.stochastic, bool)


def test_the_committed_page_is_the_generated_one(monkeypatch):
    script = ROOT / "benchmarks" / "methods_table.py"
    if not script.is_file():
        pytest.skip("benchmarks are not installed")
    monkeypatch.syspath_prepend(str(script.parent))
    page = import_module("methods_table").page()
    assert (ROOT / "doc" / "methods.md").read_text() == page
    assert all(f"| `{name}` |" in page for name in SOLVERS)
