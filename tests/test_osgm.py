"""Online scaled gradient methods, and the first-order baselines of benchmarks/."""

from importlib import import_module
from itertools import islice, pairwise, product
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from promise_learn.solvers import OSGM, Status, minimize
from promise_learn.solvers._scaling import Momentum, Scaling, smoothness, unit_of
from promise_learn.solvers.osgm import OPTIONS
from promise_learn.testing import DenseProblem, solver_case

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
KINDS = ("scalar", "diagonal", "matrix")
PLAIN = {"momentum": 0.0, "equilibrate": False}


def quadratic(h):
    """1/2 sum of h_j (w_j - 1)^2 / dim as least squares, and the reference."""
    dim = len(h)
    Z, s = np.diag(np.sqrt(h)), np.full(dim, 1 / dim)
    y = np.sqrt(h)
    reference = DenseProblem(Z, y, "squared_error", s, np.zeros(dim), (dim,))
    return reference.objective(), reference


def steps(f, solver, count, w=None, seed=0):
    w = f.zeros() if w is None else w
    return list(islice(solver.iterate(f, w, np.random.default_rng(seed)), count))


def evaluations_until(f, solver, level, limit):
    """Passes until F <= level, infinite beyond the limit."""
    for step in islice(solver.iterate(f, f.zeros(), np.random.default_rng(0)), limit):
        if step.value <= level:
            return step.passes
    return np.inf


# ------------------------------------------------------------------ hypergradients


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("task", ["logistic", "multinomial"])
def test_the_gradient_in_the_scaling_is_a_finite_difference(task, kind):
    f, reference = solver_case(task, "dense", "n > p")
    rng = np.random.default_rng(0)
    w = 0.01 * rng.standard_normal(f.shape)
    g = reference.gradient(w)
    scaling = Scaling(kind, "ogd", 1.0, 1.0, f)
    P = 1e-3 * rng.standard_normal(scaling.value.shape)
    D = rng.standard_normal(P.shape)

    def after(P):
        return reference.value(w - (P @ g if kind == "matrix" else P * g))

    scaling.value = P
    ahead = reference.gradient(w - scaling.times(g))
    h = 1e-7
    difference = (after(P + h * D) - after(P - h * D)) / (2 * h)
    slope = np.sum(scaling.gradient(ahead, g) * D)
    # central differences of a value near 1 leave 1e-16 / 1e-7
    assert slope == pytest.approx(difference, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("surrogate", ["hypergradient", "ratio"])
def test_the_second_step_is_a_gradient_step_on_the_surrogate(surrogate, kind):
    """P starts at 0, so that the first step only learns; gradients by differences."""
    f, reference = solver_case("logistic", "csr", "n > p")
    w, rate, h = f.zeros(), 0.3, 1e-6
    value, g = reference.value(w), reference.gradient(w)
    c = g @ g if surrogate == "hypergradient" else value - reference.minimum

    def left(P):
        """What a step with P leaves, as the surrogate has it."""
        return reference.value(w - (P @ g if kind == "matrix" else P * g)) / c

    P = np.zeros({"scalar": (), "diagonal": g.shape, "matrix": (f.dim, f.dim)}[kind])
    slope = np.empty_like(P)
    for place in np.ndindex(P.shape):
        D = np.zeros_like(P)
        D[place] = h
        slope[place] = (left(P + D) - left(P - D)) / (2 * h)
    L, _ = smoothness(f.expand(w), f.zeros() + 1, np.random.default_rng(0))
    solver = OSGM(
        surrogate=surrogate, scaling=kind, action="vanilla", learner="ogd", rate=rate,
        lower_bound=reference.minimum, **PLAIN,
    )  # fmt: skip
    first, second = steps(f, solver, 2)
    learned = -rate / L * slope
    assert_array_equal(first.w, w)
    step = learned @ g if kind == "matrix" else learned * g
    # differences of values near 1 over 2e-6 leave 1e-10 beside slopes near 1
    assert_allclose(second.w, w - step, 1e-5, 1e-7 * np.abs(step).max())


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_descent_on_the_scaling_goes_down(kind):
    """The sign: two steps along the same gradient make P longer, not negative."""
    f, reference = quadratic(np.array([1.0, 2.0, 4.0]))
    g = reference.gradient(f.zeros())
    scaling = Scaling(kind, "ogd", 0.1, 4.0, f)
    scaling.learn(g, g, g @ g)
    assert np.sum(g * scaling.times(g)) > 0


def test_adagrad_learns_as_the_formula_says():
    f, _ = quadratic(np.array([1.0, 2.0, 4.0]))
    rng = np.random.default_rng(0)
    scaling, P, G = Scaling("diagonal", "adagrad", 0.3, 2.0, f), np.zeros(3), 0
    momentum, beta, past = Momentum(0.95, 3.0), 0.95, 0.0
    for _ in range(8):
        ahead, g, m = rng.standard_normal(3), rng.standard_normal(3), rng.normal()
        q = -ahead * g / (g @ g)
        G = G + q**2
        P = np.clip(P - 0.3 * q / np.sqrt(G), 0, 1e10 / 2)
        scaling.learn(ahead, g, g @ g)
        assert_allclose(scaling.value, P, 1e-9)
        past += m**2
        beta = np.clip(beta - 3 * m / np.sqrt(past), 0, 0.9995)
        momentum.learn(m)
        assert momentum.value == pytest.approx(beta, rel=1e-9)


def test_a_momentum_of_zero_stays_zero():
    momentum = Momentum(0.0, 3.0)
    momentum.learn(-1.0)
    assert momentum.value == 0


@pytest.mark.parametrize("task", ["ridge, alpha a target", "logistic", "squared hinge"])
def test_smoothness_is_the_top_of_the_hessian_in_the_units(task):
    f, reference = solver_case(task, "csr", "n > p")
    point = f.expand(f.zeros())
    unit = unit_of(point)
    L, _ = smoothness(point, unit, np.random.default_rng(0))
    H = reference.hessian(f.zeros()) * np.outer(unit.ravel(), unit.ravel())
    top = np.linalg.eigvalsh(H)[-1]
    assert 0.9 * top <= L <= 1.06 * top  # an estimate from below, times 1.05
    assert_allclose(np.diag(H), 1, 1e-9)


# ------------------------------------------------------------------ actions


@pytest.mark.parametrize("learner", ["adagrad", "ogd"])
@pytest.mark.parametrize("surrogate", ["hypergradient", "ratio"])
@pytest.mark.parametrize("action", ["monotone", "lookahead"])
@pytest.mark.parametrize(
    "task", ["ridge", "logistic", "multinomial", "squared hinge", "huber", "poisson"]
)
def test_it_never_raises_the_objective(task, action, surrogate, learner):
    f, reference = solver_case(task, "dense", "n > p")
    solver = OSGM(surrogate=surrogate, action=action, learner=learner)
    trace = steps(f, solver, 60)
    values = [f.value(f.zeros()), *(step.value for step in trace)]
    noise = 1e-14 * values[0]
    assert all(new <= old + noise for old, new in pairwise(values))
    assert values[-1] < values[0]
    assert reference.value(trace[-1].w) == pytest.approx(values[-1], rel=1e-12)


@pytest.mark.parametrize("task", ["logistic", "multinomial", "huber", "poisson"])
@pytest.mark.parametrize("momentum", [0.0, 0.95])
@pytest.mark.parametrize(
    "chosen", list(product(*OPTIONS.values())), ids=lambda chosen: "-".join(chosen)
)
def test_every_combination_runs_and_tells_the_truth(chosen, momentum, task):
    f, reference = solver_case(task, "csr", "n > p")
    solver = OSGM(**dict(zip(OPTIONS, chosen, strict=True)), momentum=momentum)
    with np.errstate(all="ignore"):  # vanilla steps may diverge
        result = minimize(f, solver, tol=1e-4, max_iter=100)
        gap = reference.gap(result.w)
    assert np.isfinite(result.w).all()
    assert gap <= 1e-3 or result.status is not Status.CONVERGED
    if solver.action != "vanilla":
        assert f.value(result.w) < f.value(f.zeros())


def test_a_diverged_iterate_is_not_called_converged():
    """Far out the deviance is linear and its curvature huge: decrements vanish."""
    f, _ = solver_case("poisson", "dense", "n > p")
    solver = OSGM(scaling="scalar", action="vanilla", learner="ogd", momentum=0.0)
    result = minimize(f, solver, max_iter=30)
    assert result.history["objective"].max() > 1e100
    assert result.status is not Status.CONVERGED


def test_lookahead_adds_a_gradient_step():
    f, reference = quadratic(np.array([1.0, 2.0, 4.0]))
    first = steps(f, OSGM(action="lookahead", **PLAIN), 1)[0]  # P is still zero
    L = 1.05 * 4 / 3  # of the power method, within its per cent
    assert_allclose(first.w, -reference.gradient(f.zeros()) / L, 0.02)


def test_vanilla_takes_steps_that_raise_the_objective():
    f, _ = solver_case("logistic", "dense", "n > p")
    values = [step.value for step in steps(f, OSGM(action="vanilla"), 30)]
    assert any(new > old for old, new in pairwise(values))


# ------------------------------------------------------------------ what it is good for


def gradient_descent(h, level, limit=10**6):
    """Steps 1 / L until the relative error in F is at most the level; closed form."""
    error, scale = np.asarray(h, float), 1 - h / h.max()
    start = error.sum()
    steps = np.searchsorted(
        [-np.sum(error * scale ** (2 * 2**k)) for k in range(40)], -level * start
    )
    low, high = 2 ** (steps - 1), 2**steps
    while high - low > 1:
        middle = (low + high) // 2
        done = np.sum(error * scale ** (2.0 * middle)) <= level * start
        low, high = (low, middle) if done else (middle, high)
    return high


@pytest.mark.parametrize("momentum", [0.0, 0.95])
def test_diagonal_scaling_beats_gradient_descent_tenfold(momentum):
    h = np.linspace(1, 1e4, 100)
    f, _ = quadratic(h)
    level = 1e-8
    solver = OSGM(momentum=momentum, equilibrate=False)
    ours = evaluations_until(f, solver, level * f.value(f.zeros()), 20_000)
    assert 10 * ours <= gradient_descent(h, level)


@pytest.mark.parametrize("learner", ["adagrad", "ogd"])
def test_a_scalar_settles_between_the_steps_of_theory(learner):
    """On a quadratic the best fixed step is 2 / (L + m), the safe one 1 / L."""
    h = np.linspace(1, 10, 20)
    f, _ = quadratic(h)
    top, least = h.max() / 20, h.min() / 20
    learned = [
        step.step_size
        for step in steps(f, OSGM(scaling="scalar", learner=learner, **PLAIN), 60)
    ]
    settled = np.mean(learned[20:])
    assert 0.9 / top <= settled <= 1.3 * 2 / (top + least)


@pytest.mark.parametrize("storage", ["dense", "csr"])
@pytest.mark.parametrize("task", ["ridge, alpha a target", "logistic", "multinomial"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"scaling": "scalar"},
        {"scaling": "matrix"},
        {"action": "lookahead"},
        {"learner": "ogd"},
        {"equilibrate": False},
    ],
    ids=repr,
)
def test_every_variant_reaches_the_newton_optimum(options, task, storage):
    f, reference = solver_case(task, storage, "n > p")
    result = minimize(f, OSGM(**options), tol=1e-9)
    assert result.status is Status.CONVERGED
    assert reference.gap(result.w) <= 1e-8


def test_the_ratio_surrogate_needs_the_minimum_and_then_converges():
    f, reference = solver_case("ridge", "dense", "n > p")
    solver = OSGM(surrogate="ratio", lower_bound=reference.minimum)
    result = minimize(f, solver, tol=1e-8, max_iter=5000)
    assert result.status is Status.CONVERGED
    assert reference.gap(result.w) <= 1e-7


def test_a_rescaling_of_the_columns_changes_nothing():
    f, reference = solver_case("logistic", "csr", "n > p")
    scale = 10.0 ** np.random.default_rng(0).integers(-3, 4, f.dim)
    Z = reference.Z * scale
    penalty = reference.penalty * scale**2
    other = DenseProblem(Z, f.y, "logistic", f.weights, penalty, f.shape).objective()
    ours, scaled = (steps(g, OSGM(), 15)[-1] for g in (f, other))
    # the power method stops at 1 %, from the same start: rounding is all that differs
    assert_allclose(scaled.w * scale, ours.w, 1e-6, 1e-9)


def test_same_generator_same_bits():
    f, _ = solver_case("multinomial", "csr", "n > p")
    first, again = (steps(f, OSGM(), 20, seed=3)[-1].w for _ in range(2))
    assert_array_equal(first, again)


@pytest.mark.parametrize("value", ["best", None])
@pytest.mark.parametrize("name", ["surrogate", "scaling", "action", "learner"])
def test_wrong_options_are_named(name, value):
    f, _ = solver_case("ridge", "dense", "n > p")
    with pytest.raises(ValueError, match=f"{name}={value!r}: use one of '"):
        minimize(f, OSGM(**{name: value}))


def test_a_large_matrix_is_refused(monkeypatch):
    monkeypatch.setattr(import_module(OSGM.__module__), "LARGEST_MATRIX", 20)
    f, _ = solver_case("ridge", "dense", "n > p")
    with pytest.raises(ValueError, match=r"21 x 21 matrix.*scaling='diagonal'"):
        minimize(f, OSGM(scaling="matrix"))


# ------------------------------------------------------------------ the baselines


@pytest.fixture
def baselines(monkeypatch):
    if not (BENCHMARKS / "baselines.py").is_file():
        pytest.skip("benchmarks are not installed")
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return import_module("baselines")


H = np.linspace(1, 20, 12)


def bowl(x):
    """1/2 sum of H_j (x_j - 1)^2."""
    return 0.5 * H @ (x - 1) ** 2, H * (x - 1)


def test_every_baseline_solves_a_bowl_with_one_of_its_settings(baselines):
    for name, grid in baselines.published_grids(H.max()).items():
        with np.errstate(all="ignore"):
            runs = [run(bowl, np.zeros(12), H.max(), tol=1e-4) for run in grid]
        best = min(runs, key=lambda run: run.evaluations)
        assert any(run.solved for run in runs), name
        for run in runs:
            if run.solved:
                assert np.abs(bowl(run.x)[1]).max() == pytest.approx(run.residual)
                assert run.residual < 1e-4
                assert run.evaluations < 1000
        assert best.evaluations > 1


def test_grids_are_the_published_ones(baselines):
    sizes = {name: len(g) for name, g in baselines.published_grids(2.0).items()}
    assert sizes == {
        "GD": 1, "GD-HB": 4, "AGD-CVX": 1, "AGD-SCVX": 1, "Adam": 6, "AdaGrad": 6,
        "L-BFGS-M1": 1, "L-BFGS-M3": 1, "L-BFGS-M5": 1, "L-BFGS-M10": 1, "BFGS": 1,
        "OSGM (tuned)": 20,
    }  # fmt: skip


def test_gradient_descent_and_momentum_have_their_closed_forms(baselines):
    run = baselines.gradient_descent(bowl, np.zeros(12), H.max(), tol=0, budget=31)
    assert run.evaluations == 31
    assert not run.solved
    assert_allclose(run.x, 1 - (1 - H / H.max()) ** 30, 1e-12)
    beta = 0.5
    run = baselines.heavy_ball(bowl, np.zeros(12), H.max(), beta, tol=0, budget=31)
    A = np.array([[(1 + beta) - H / H.max(), -beta + 0 * H], [1 + 0 * H, 0 * H]])
    state = np.array([-1 + 0 * H, -1 + 0 * H])
    for _ in range(30):
        state = np.einsum("ijk,jk->ik", A, state)
    assert_allclose(run.x, 1 + state[0], 1e-10)


def test_accelerated_methods_keep_their_rates(baselines):
    """Nesterov: F - F* <= 2 L |x0 - x*|^2 / (k + 1)^2, and (1 - sqrt(m / L))^k."""
    L, m, k = H.max(), H.min(), 40
    run = baselines.agd_convex(bowl, np.zeros(12), L, tol=0, budget=k)
    assert bowl(run.x)[0] <= 2 * L * 12 / (k + 1) ** 2
    run = baselines.agd_strongly_convex(bowl, np.zeros(12), L, m, tol=0, budget=k)
    start = bowl(np.zeros(12))[0] + m / 2 * 12
    assert bowl(run.x)[0] <= start * (1 - (m / L) ** 0.5) ** k


def test_adam_and_adagrad_start_with_steps_of_the_rate(baselines):
    for method in (baselines.adam, baselines.adagrad):
        run = method(bowl, np.zeros(12), 1.0, 0.1, tol=0, budget=2)
        assert_allclose(run.x, 0.1, 1e-6)


def test_evaluations_beyond_the_budget_do_not_count_as_solved(baselines):
    enough = baselines.lbfgs(bowl, np.zeros(12), None, 5)
    assert enough.solved
    short = baselines.lbfgs(bowl, np.zeros(12), None, 5, budget=enough.evaluations)
    assert not short.solved


def test_the_tuned_method_starts_with_a_null_step(baselines):
    seen = []

    def watched(x):
        seen.append(x)
        return bowl(x)

    L = H.max()
    baselines.osgm_tuned(watched, np.zeros(12), L, 1.0, 3.0, tol=0, budget=3)
    assert_array_equal(seen[1], seen[0])
    # AdaGrad's first step is the rate times the sign, so P = 1 / L, but for 1e-12
    assert_allclose(seen[2], bowl(seen[0])[1] * -1 / L, 1e-8)


def test_the_table_script_solves_a_small_set(baselines, monkeypatch, tmp_path, capsys):
    path = BENCHMARKS / "reproduce"
    monkeypatch.syspath_prepend(str(path))
    script = import_module("libsvm_table")
    rng = np.random.default_rng(0)
    X = rng.standard_normal((80, 4))
    y = np.where(X[:, 0] + rng.standard_normal(80) > 0, 1.0, 0.0)
    lines = [
        f"{label:g} " + " ".join(f"{j + 1}:{v:.6f}" for j, v in enumerate(row))
        for label, row in zip(y, X, strict=True)
    ]
    (tmp_path / "heart_scale").write_text("\n".join(lines))
    monkeypatch.setenv("PROMISE_LEARN_DATA", str(tmp_path))
    script.main(["--data", "heart_scale,a1a", "--out", str(tmp_path / "out")])
    assert "a1a                  skipped" in capsys.readouterr().out
    rows = (tmp_path / "out" / "libsvm_table.csv").read_text().splitlines()
    assert rows[0].startswith("# ")
    assert len(rows) == 4
    assert (
        "| OSGM (untuned) | 1 | 1 |"
        in (tmp_path / "out" / "libsvm_table.md").read_text()
    )
    assert (tmp_path / "out" / "libsvm_table.png").stat().st_size > 0


@pytest.mark.parametrize("kind", ["svm", "logistic"])
def test_problems_of_the_table_have_the_right_gradient(baselines, monkeypatch, kind):
    monkeypatch.syspath_prepend(str(BENCHMARKS / "reproduce"))
    script = import_module("libsvm_table")
    rng = np.random.default_rng(0)
    X = sparse.csr_array(rng.standard_normal((30, 3)))
    problem = script.Problem(X, rng.integers(0, 2, 30), kind)
    x, d, h = rng.standard_normal(4), rng.standard_normal(4), 1e-6
    _, g = problem(x)
    difference = (problem(x + h * d)[0] - problem(x - h * d)[0]) / (2 * h)
    assert g @ d == pytest.approx(difference, rel=1e-6)
    top = np.linalg.svd(problem.A.toarray())[1][0] ** 2
    assert pytest.approx(top) == problem.L
