import tracemalloc
from itertools import islice

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone

from _shared import load_shared
from promise_learn.design import Design
from promise_learn.kernels import rows as verbs
from promise_learn.losses import LOSSES as ALL_LOSSES
from promise_learn.losses import Logistic, Multinomial, SquaredError
from promise_learn.objective import Objective
from promise_learn.preconditioners import Nystrom
from promise_learn.solvers import Status, minimize
from promise_learn.solvers._stochastic import StochasticRun
from promise_learn.solvers.sketchy_katyusha import SketchyKatyusha
from promise_learn.solvers.sketchy_saga import SketchySAGA, saga_epoch
from promise_learn.solvers.sketchy_sgd import SketchySGD
from promise_learn.solvers.sketchy_svrg import SketchySVRG, svrg_epoch

VARIANCE_REDUCED = [SketchySAGA, SketchySVRG, SketchyKatyusha]
SOLVERS = [*VARIANCE_REDUCED, SketchySGD]
LOSSES = {
    "squared_error": SquaredError,
    "logistic": Logistic,
    "multinomial": Multinomial,
}


def objective(X, y, loss, mu, n_columns=None, intercept=False, weights=None):
    """Objective on X as it stands, dense X centred where there is an intercept."""
    n, p = X.shape
    weights = np.full(n, 1 / n) if weights is None else weights / weights.sum()
    shift = None
    if intercept and not sparse.issparse(X):
        shift = weights @ X
    design = Design(X, shift, intercept=intercept)
    penalty = np.append(np.full(p, float(mu)), [0.0] * intercept)
    shape = (p + intercept,) if n_columns is None else (p + intercept, n_columns)
    return Objective(design, y, loss, weights, penalty, shape)


def example(loss="logistic", n=400, p=12, intercept=True, storage="dense", mu=1e-3):
    """Columns of scales 1 to 30, a third of the entries zero, weights 0.2 to 2."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p)) * np.geomspace(1, 30, p)
    X[rng.random((n, p)) < 0.3] = 0
    scores = X @ rng.standard_normal((p, 3)) / 30 + rng.standard_normal((n, 3))
    y, columns = {
        "squared_error": (scores[:, 0], None),
        "targets": (scores, 3),
        "logistic": (np.where(scores[:, 0] > 0, 1.0, -1.0), None),
        "multinomial": (np.argmax(scores, axis=1).astype(float), 3),
    }[loss]
    loss = LOSSES["squared_error" if loss == "targets" else loss]()
    X = sparse.csr_array(X) if storage == "csr" else X
    return objective(X, y, loss, mu, columns, intercept, rng.uniform(0.2, 2, n))


def optimum(f):
    """Least value, by Newton's method with the dense Hessian and halved steps."""
    w = f.zeros()
    for _ in range(60):
        point = f.expand(w)
        g = point.gradient.T
        right = g.ravel() if f.coupled else point.gradient
        step = np.linalg.solve(point.hessian(), right)
        step = step.reshape(g.shape).T if f.coupled else step
        t = 1.0
        while f.value(w - t * step) > point.value and t > 1e-4:
            t /= 2
        w = w - t * step
        if np.sum(step * point.gradient) < 1e-26:
            break
    return f.value(w)


def epochs_of(f, solver, epochs, seed=0):
    """Steps of the first epochs, one by one."""
    return islice(solver.iterate(f, f.zeros(), np.random.default_rng(seed)), epochs)


def trace(f, solver, epochs, seed=0):
    """Steps of the first epochs."""
    return list(epochs_of(f, solver, epochs, seed))


def passes_until(f, solver, level, epochs=400, seed=0):
    """Passes until F <= level, infinite if not within the epochs."""
    for step in epochs_of(f, solver, epochs, seed):
        if step.value <= level:
            return step.passes
    return np.inf


@pytest.mark.parametrize("columns", [None, 3])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("storage", ["C", "F", "csr", "csr-int64"])
@pytest.mark.parametrize("plain", [True, False])
def test_verbs_equal_products_with_centred_scaled_augmented_rows(
    plain, storage, dtype, columns, monkeypatch
):
    monkeypatch.setattr(verbs, "COPY", 0)  # so that F order is not copied
    rng = np.random.default_rng(0)
    dense = rng.standard_normal((30, 5)).astype(dtype)
    dense[rng.random((30, 5)) < 0.5] = 0
    shift, scale = np.append(rng.random(5), -1.0), np.append(1 + rng.random(5), 1.0)
    X = np.asfortranarray(dense) if storage == "F" else dense
    if storage.startswith("csr"):
        X = sparse.csr_array(dense)
        if storage == "csr-int64":
            X.indices, X.indptr = X.indices.astype("int64"), X.indptr.astype("int64")
    view, Z = verbs.row_view(X, shift, scale), np.zeros((30, 6))
    Z[:, :5] = dense
    Z = (Z - shift) / scale
    rows = rng.permutation(30)[:11]
    w = rng.standard_normal((6, columns) if columns else 6)
    r = rng.standard_normal((11, columns) if columns else 11)
    dot, adjoint = (verbs.dot, verbs.adjoint) if plain else (_dot, _adjoint)
    # products of plain text round to float32 where X does
    tol = 1e-5 if plain and dtype == "float32" else 1e-12
    assert_allclose(dot(view, rows, w), Z[rows] @ w, tol, tol)
    assert_allclose(adjoint(view, rows, r), Z[rows].T @ r, tol, tol)


def _dot(X, rows, w):
    return verbs.compiled(_call_dot)(X, rows, w)


def _adjoint(X, rows, r):
    return verbs.compiled(_call_adjoint)(X, rows, r)


def _call_dot(X, rows, w):
    return verbs_dot(X, rows, w)


def _call_adjoint(X, rows, r):
    return verbs_adjoint(X, rows, r)


def _call_slope(loss, eta, y):
    return verbs_slope(loss, eta, y)


verbs_dot, verbs_adjoint, verbs_slope = verbs.dot, verbs.adjoint, verbs.slope


@pytest.mark.parametrize("name", ALL_LOSSES)
def test_compiled_slopes_are_those_of_the_loss_at_any_margin(name):
    loss = ALL_LOSSES[name]()
    eta = np.array([-1e4, -30.0, -1.0, 0.0, 2.0, 1e4])
    y = np.array([1.0, -1.0, 1.0, 1.0, -1.0, -1.0])
    if name == "poisson":
        y = np.array([1.0, 0.0, 3.0, 0.5, 2.0, 7.0])
    if name == "multinomial":
        eta, y = np.stack([eta, -eta, 0.5 * eta], axis=1), np.arange(6) % 3 * 1.0
    pair = loss.code, float(loss.parameter)
    slopes = verbs.compiled(_call_slope)(pair, eta, y)
    assert_allclose(slopes, loss.slope(eta, y), 1e-12, 1e-300)


def test_epoch_visits_every_row_once_in_well_mixed_batches():
    rng = np.random.default_rng(0)
    small = verbs.epoch_order(1000, 8, 256, rng)
    assert_array_equal(np.sort(small), np.arange(1000))
    assert np.mean(np.diff(small) == 1) < 0.01
    n = 100_003
    large = verbs.epoch_order(n, 400, 256, rng)
    assert_array_equal(np.sort(large), np.arange(n))
    runs = [np.sum(np.diff(large[lo : lo + 256]) != 1) + 1 for lo in range(0, n, 256)]
    assert min(runs[:-1]) >= 16
    assert np.mean(np.diff(large) == 1) > 0.8


@pytest.mark.parametrize("loss", ["logistic", "multinomial"])
def test_saga_mean_stays_the_product_with_the_table(loss):
    f = example(loss)
    run = StochasticRun(SketchySAGA(), f, f.zeros(), np.random.default_rng(0))
    table, mean = run.slopes()
    run.refresh()
    before = table
    for _ in range(3):
        w = run.start()
        step = run.step_size()
        table = run.sweep(saga_epoch, step, w, mean, table=table, resample=True)
        assert_allclose(mean, f.design.adjoint(table) / f.n_rows, 0, 1e-12)
        run.accept(w)
    assert np.mean(table != before) > 0.9


def test_svrg_step_at_the_snapshot_is_along_the_exact_gradient():
    f = example()
    w0 = np.linspace(-0.1, 0.1, f.dim)
    run = StochasticRun(SketchySVRG(), f, w0, np.random.default_rng(0))
    run.refresh()
    (table, mean), w = run.slopes(), run.start()
    run.sweep(svrg_epoch, 0.5, w, mean, table=table, share=1e-9)  # a single batch
    expected = w0 - 0.5 * run.curvature.inverse.apply(f.gradient(w0))
    assert_allclose(w, expected, 1e-10, 1e-12)


def test_svrg_with_one_batch_is_preconditioned_gradient_descent():
    f = example()
    steps = trace(f, SketchySVRG(batch_size=f.n_rows, refresh=None), 4)
    run = StochasticRun(
        SketchySVRG(batch_size=f.n_rows, refresh=None),
        f, f.zeros(), np.random.default_rng(0),
    )  # fmt: skip
    run.refresh()
    w = f.zeros()
    for step in steps:
        w = w - step.step_size * run.curvature.inverse.apply(f.gradient(w))
        assert_allclose(step.w, w, 1e-9, 1e-12)


def test_katyusha_with_one_batch_is_the_deterministic_recursion():
    f = example(mu=1e-5)
    solver = SketchyKatyusha(batch_size=f.n_rows, refresh=None, snapshots=1)
    run = StochasticRun(solver, f, f.zeros(), np.random.default_rng(0))
    run.refresh()
    L, n = run.smoothness, f.n_rows
    sigma = run.curvature.convexity / L
    theta1 = min(np.sqrt(2 * n * sigma / 3), 0.5)
    eta = 0.5 / (1.5 * theta1)
    w = y = z = f.zeros()
    for step in trace(f, solver, 6):
        x = theta1 * z + 0.5 * y + (0.5 - theta1) * w
        v = run.curvature.inverse.apply(f.gradient(x))
        z_new = (eta * sigma * x + z - eta / L * v) / (1 + eta * sigma)
        w, y, z = x + theta1 * (z_new - z), w, z_new
        assert_allclose(step.w, y, 1e-8, 1e-12)


@pytest.mark.parametrize("solver", SOLVERS)
def test_same_seed_gives_the_same_bits(solver):
    f = example()
    first, second = (trace(f, solver(), 3, seed=5)[-1].w for _ in range(2))
    assert_array_equal(first, second)
    assert np.any(first != trace(f, solver(), 3, seed=6)[-1].w)


@pytest.mark.parametrize(
    "loss", ["squared_error", "targets", "logistic", "multinomial"]
)
@pytest.mark.parametrize("solver", SOLVERS)
def test_dense_and_csr_give_the_same_iterates(solver, loss):
    # the row sample stays in its storage, so the inverses differ by rounding errors
    dense, csr = (
        trace(example(loss, intercept=False, storage=storage), solver(), 3)[-1].w
        for storage in ("dense", "csr")
    )
    assert_allclose(csr, dense, 1e-9, 1e-9 * np.abs(dense).max())


@pytest.mark.parametrize("storage", ["dense", "csr"])
@pytest.mark.parametrize("loss", ["targets", "logistic", "multinomial"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_compiled_epoch_equals_its_text(solver, loss, storage, monkeypatch):
    f = example(loss, storage=storage, intercept=storage == "dense")
    compiled = trace(f, solver(), 2)[-1].w

    def text(epoch):
        return lambda X, y, weights, code, *state: epoch(X, y, weights, f.loss, *state)

    monkeypatch.setattr("promise_learn.solvers._stochastic.compiled", text)
    assert_allclose(trace(f, solver(), 2)[-1].w, compiled, 1e-10, 1e-12)


@pytest.mark.parametrize("storage", ["dense", "csr"])
@pytest.mark.parametrize(
    "loss", ["squared_error", "targets", "logistic", "multinomial"]
)
@pytest.mark.parametrize("solver", VARIANCE_REDUCED)
def test_variance_reduced_solvers_reach_the_newton_optimum(solver, loss, storage):
    f = example(loss, storage=storage)
    best = optimum(f)
    result = minimize(f, solver(), tol=1e-8, rng=np.random.default_rng(0))
    assert result.status is Status.CONVERGED
    assert f.value(result.w) - best <= 1e-8 * best


@pytest.mark.parametrize("loss", ["squared_error", "logistic"])
def test_sgd_reaches_moderate_accuracy_and_says_what_it_lacks(loss):
    f = example(loss)
    best = optimum(f)
    result = minimize(f, SketchySGD(), tol=1e-9, max_iter=60)
    assert result.status is Status.MAX_ITER
    assert f.value(result.w) - best <= 1e-3 * best


@pytest.mark.parametrize("solver", VARIANCE_REDUCED)
def test_preconditioning_saves_two_thirds_of_the_passes(solver):
    rng = np.random.default_rng(0)
    Q = np.linalg.qr(rng.standard_normal((40, 40)))[0]
    X = rng.standard_normal((4000, 40)) * np.geomspace(1, 1e-3, 40) @ Q
    y = X @ rng.standard_normal(40) + 0.01 * rng.standard_normal(4000)
    f = objective(X, y, SquaredError(), 1e-8)  # condition number 1e6
    level = optimum(f) * (1 + 1e-4)
    fast = passes_until(f, solver(), level)
    slow = passes_until(f, solver(preconditioner=None), level, epochs=int(1.5 * fast))
    assert fast < 120
    assert slow >= 3 * fast


@pytest.mark.parametrize("solver", VARIANCE_REDUCED)
def test_rows_sorted_by_class_do_not_hurt(solver, monkeypatch):
    monkeypatch.setattr(verbs, "SMALL", 0)  # short runs, as for an X beyond the cache
    f = example(n=20_000)
    level = optimum(f) * (1 + 1e-6)
    rows = np.argsort(f.y, kind="stable")
    by_class = objective(
        f.design.rows.X[rows], f.y[rows], f.loss, 1e-3, None, True, f.weights[rows]
    )
    mixed, ordered = (
        passes_until(f, solver(), level),
        passes_until(by_class, solver(), level),
    )
    assert ordered <= 1.5 * mixed + 4


PUBLISHED = [
    ("a1a", SketchySAGA, "ssn", 189),
    ("a1a", SketchyKatyusha, "nystrom", 84),
    ("a3a", SketchySAGA, "nystrom", 169),
    ("a3a", SketchySAGA, "ssn", 117),
    ("a3a", SketchyKatyusha, "nystrom", 53),
    ("a9a", SketchySAGA, "nystrom", 15),
    ("a9a", SketchySAGA, "ssn", 8),
    ("a9a", SketchySVRG, "nystrom", 14),
    ("a9a", SketchyKatyusha, "nystrom", 5),
]
F_REF = {
    ("a1a", 0.01): 0.3069629,
    ("a1a", 0.1): 0.3252326,
    ("a3a", 0.01): 0.3184252,
    ("a3a", 0.1): 0.3287503,
    ("a9a", 0.01): 0.3227749,
    ("a9a", 0.1): 0.3235909,
}


@pytest.mark.parametrize(("name", "solver", "preconditioner", "published"), PUBLISHED)
def test_paper_preset_needs_no_more_epochs_than_published(
    name, solver, preconditioner, published
):
    for strength in (0.01, 0.1):  # published for 0.01; the other is easier
        f = unit_rows(name, strength)
        level = F_REF[name, strength] + 1e-4
        counts = [
            epochs_until(f, solver(preconditioner, preset="paper"), level, seed)
            for seed in range(3)
        ]
        assert np.median(counts) <= 1.1 * published


def unit_rows(name, strength):
    """Logistic regression without intercept on rows of unit norm, mu = strength / n."""
    X, y = load_shared(name)
    assert X.shape[1] == 123
    norms = np.sqrt(np.asarray(X.multiply(X).sum(axis=1)).ravel())
    X = sparse.csr_array(sparse.diags_array(1 / np.maximum(norms, 1e-300)) @ X)
    y = np.where(y > 0, 1.0, -1.0)
    return objective(X, y, Logistic(), strength / len(y))


def epochs_until(f, solver, level, seed):
    """Epochs until F <= level, as the papers count them: sweeps of inner steps."""
    for epoch, step in enumerate(epochs_of(f, solver, 220, seed), 1):
        if step.value <= level:
            return epoch
    return np.inf


@pytest.mark.parametrize("solver", SOLVERS)
def test_an_epoch_holds_few_vectors_of_the_rows(solver):
    """Four copies in the order of visits; two points, table and slopes outside it."""
    X = np.random.default_rng(0).standard_normal((100_000, 5))
    f = objective(X, np.sign(X[:, 0] + X[:, 1]), Logistic(), 1e-3)
    minimize(f, solver(), tol=1e-9, max_iter=1)
    tracemalloc.start()
    minimize(f, solver(), tol=1e-9, max_iter=3)
    top = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert top < 9.5 * 8 * len(X)


def test_diverging_steps_are_undone():
    # rho far below what ten Hessian rows know makes the first epochs diverge
    f = example(n=2000)
    best = optimum(f)
    solver = SketchySVRG(
        "ssn", batch_size=8, hessian_batch=10, rho=1e-6, preset="paper"
    )
    steps = trace(f, solver, 60)
    values = [step.value for step in steps]
    assert np.isfinite(values).all()
    assert max(values) <= 1.011 * f.value(f.zeros())
    assert values[-1] < f.value(f.zeros())
    assert values[-1] >= best


@pytest.mark.parametrize("solver", VARIANCE_REDUCED)
def test_rare_columns_keep_a_stable_step(solver):
    # one-hot columns, some in a single row: n/b times the mean step would blow up
    rng = np.random.default_rng(0)
    codes = np.minimum(rng.geometric(0.05, 3000), 100) - 1
    X = sparse.csr_array((np.ones(3000), (np.arange(3000), codes)), shape=(3000, 100))
    y = np.where(rng.random(3000) < 0.1 + 0.005 * codes, 1.0, -1.0)
    f = objective(X, y, Logistic(), 1 / 3000, intercept=True)
    best = optimum(f)
    assert passes_until(f, solver(), best * (1 + 1e-6), epochs=100) < np.inf


@pytest.mark.parametrize("solver", SOLVERS)
def test_squared_error_builds_one_preconditioner(solver):
    assert trace(example("squared_error"), solver(), 6)[-1].refreshes == 1
    assert trace(example("logistic"), solver(refresh=None), 4)[-1].refreshes == 1
    assert trace(example("logistic"), solver(refresh=2), 5)[-1].refreshes >= 3


def test_parameters_are_nested_and_survive_clone():
    solver = SketchySAGA(preconditioner=Nystrom(rank=7), batch_size=32)
    copy = clone(solver).set_params(preconditioner__rank=9, rho=0.1)
    assert copy.get_params()["preconditioner__rank"] == 9
    assert copy.batch_size == 32
    assert copy.rho == 0.1
    assert solver.preconditioner.rank == 7


@pytest.mark.parametrize(
    "bad",
    [
        {"preset": "published"},
        {"batch_size": 0},
        {"hessian_batch": "many"},
        {"rho": -1.0},
        {"refresh": 0},
        {"preconditioner": "cholesky"},
    ],
)
def test_wrong_parameters_are_named(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        SketchySVRG(**bad).check(example())


@pytest.mark.parametrize("loss", ["logistic", "multinomial"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_epochs_run_on_other_array_namespaces(solver, loss):
    xp = pytest.importorskip("array_api_strict")
    f = example(loss, n=60)
    design = Design(
        xp.asarray(f.design.rows.X), xp.asarray(f.design.shift), intercept=True
    )
    y, weights, penalty = (xp.asarray(a) for a in (f.y, f.weights, f.penalty))
    g = Objective(design, y, f.loss, weights, penalty, f.shape)
    expected = trace(f, solver(batch_size=16), 2)[-1].w
    assert_allclose(
        np.asarray(trace(g, solver(batch_size=16), 2)[-1].w), expected, 1e-9
    )
