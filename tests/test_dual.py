"""Conjugate gradients on the dual of ridge regression: its bound, and what follows."""

from itertools import islice

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.base import clone

from promise_learn import Ridge
from promise_learn.design import Design
from promise_learn.losses import Logistic, SquaredError
from promise_learn.objective import Objective
from promise_learn.solvers import PCG, Direct, DualCG, Status, minimize
from promise_learn.solvers._costs import Forecast, patience
from promise_learn.solvers.auto import choose
from promise_learn.solvers.base import Solver
from promise_learn.solvers.sketch import curvature_inverse, heavy_rows, may_be_poor

STORAGES = ["dense", "csr"]


def objective(storage, targets=(), intercept=True, n=60, p=90, alpha=0.3):
    """Ridge with weights, three of them zero, and a penalty of its own per target."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p)) * (rng.random((n, p)) < 0.2)
    y, weights = rng.standard_normal((n, *targets)) + 1, rng.random(n)
    weights[:3] = 0
    penalty = np.full((p + intercept, *targets), alpha)
    if targets:
        penalty = penalty * np.arange(1, targets[0] + 1)
    penalty[p:] = 0
    X = X if storage == "dense" else sparse.csr_matrix(X)
    part = (Design(X, intercept=intercept), y, SquaredError(), weights / weights.sum())
    return Objective(*part, penalty, (p + intercept, *targets))


def minimum(f):
    """Value of F at the solution of the normal equations, and the solution."""
    X = f.design.rows.X
    X = X if isinstance(X, np.ndarray) else X.toarray()
    Z = np.hstack([X, np.ones((len(X), int(f.design.intercept)))])
    y = f.y.reshape(len(X), -1)
    penalty = np.broadcast_to(
        f.penalty.reshape(len(f.penalty), -1), (f.dim, y.shape[1])
    )
    S, total, columns = np.diag(f.weights), 0.0, []
    for k in range(y.shape[1]):
        w = np.linalg.solve(Z.T @ S @ Z + np.diag(penalty[:, k]), Z.T @ S @ y[:, k])
        columns.append(w)
        error = Z @ w - y[:, k]
        total += 0.5 * (error @ S @ error + penalty[:, k] @ w**2)
    return total, np.stack(columns, axis=1).reshape(f.shape)


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("targets", [(), (3,)], ids=["one", "three"])
@pytest.mark.parametrize("storage", STORAGES)
def test_every_step_knows_its_value_and_a_bound_of_its_gap(storage, targets, intercept):
    f = objective(storage, targets, intercept)
    least, best = minimum(f)
    rng = np.random.default_rng(0)
    steps = list(islice(DualCG().iterate(f, f.zeros(), rng), 25))
    for step in steps:
        w = step.w()
        assert_allclose(step.value, f.value(w), 1e-12)
        assert step.gap >= step.value - least - 1e-13 * least
    assert steps[-1].gap < 1e-6 * least
    result = minimize(f, DualCG(), tol=1e-14)
    assert result.status is Status.CONVERGED
    assert_allclose(result.w, best, 1e-6, 1e-7)  # the root of tol


def test_the_bound_ends_a_fit_within_an_iteration_of_the_first_that_would_do():
    """On rows of unit norm."""
    rng = np.random.default_rng(0)
    X = sparse.random(2000, 6000, 0.005, "csr", rng=rng)
    X = sparse.csr_matrix(X / np.sqrt(X.multiply(X).sum(axis=1)))
    y = X @ rng.standard_normal(6000) + 0.1 * rng.standard_normal(2000)
    model = Ridge(solver="dual-cg", tol=1e-6).fit(X, y)
    closer = Ridge(solver="direct", tol=1e-12).fit(X, y).history_["objective"][-1]
    gaps = model.history_["objective"] / closer - 1
    needed = 1 + np.flatnonzero(gaps <= 1e-6)[0]
    assert needed <= model.n_iter_ <= needed + 1


@pytest.mark.parametrize("storage", STORAGES)
def test_a_start_near_the_minimum_saves_iterations(storage):
    f = objective(storage)
    rough = minimize(f, DualCG(), tol=1e-5).w
    cold = minimize(f, DualCG(), tol=1e-9)
    warm = minimize(f, DualCG(), w0=rough, tol=1e-9)
    assert warm.n_iter < cold.n_iter
    assert_allclose(f.value(warm.w), f.value(cold.w), 1e-9)


def test_a_start_that_fits_every_row_is_no_trouble():
    f = objective("csr", intercept=False)
    w = np.linalg.lstsq(f.design.rows.X.toarray(), f.y, rcond=None)[0]
    result = minimize(f, DualCG(), w0=w, tol=1e-10)
    assert_allclose(f.value(result.w), minimum(f)[0], 1e-9)


class Watched(Solver):
    """A solver that says where it was asked to start."""

    name = "watched"

    def iterate(self, f, w, rng):
        """Note the start, and leave the work to `Direct`."""
        self.value = f.value(w)
        yield from Direct().iterate(f, w, rng)


def test_another_solver_goes_on_from_where_it_is_too_slow():
    f, then = objective("csr", alpha=1e-6), Watched()
    result = minimize(f, DualCG(limit=20, then=then), tol=1e-12)
    assert result.status is Status.CONVERGED
    assert 10 < result.n_iter < 15  # ten of CG, then those of the factor
    reached = min(f.value(f.zeros()), result.history["objective"][9])
    assert then.value == pytest.approx(reached, rel=1e-9)
    assert np.all(np.diff(result.history["passes"]) >= 0)
    assert_allclose(f.value(result.w), minimum(f)[0], 1e-9)


def test_forecast_of_a_steady_rate_is_exact():
    forecast = Forecast(3.0)
    for k in range(1, 11):
        forecast.add(3 * 0.5**k)
    assert forecast.total(3 * 0.5**40) == pytest.approx(40)
    assert forecast.total(3 * 0.5**7) == 10  # reached already


def test_forecast_forgets_a_slow_beginning():
    """Gaps that rise for a while, and then fall by a half each, with noise."""
    forecast, rng = Forecast(1.0), np.random.default_rng(0)
    for gap in np.linspace(1, 9, 12):
        forecast.add(gap)
    assert forecast.total(1e-7) == np.inf
    for k in range(1, 13):
        forecast.add(9 * 0.5**k * np.exp(0.1 * rng.standard_normal()))
    assert forecast.total(1e-7) == pytest.approx(12 + np.log2(9e7), rel=0.15)


def test_forecast_keeps_the_rate_of_all_where_the_last_are_slower():
    forecast = Forecast(1.0)
    for gap in (0.1, 0.01, 1e-3, 1e-3, 1e-3, 1e-3):
        forecast.add(gap)
    assert forecast.total(1e-7) == pytest.approx(6 + 4 / 0.5)


def test_forecast_is_finite_where_a_gap_is_zero():
    forecast = Forecast(1.0)
    for gap in (0.1, 0.01, 0.0):
        forecast.add(gap)
    assert forecast.total(0.0) == 3


def test_iterations_that_begin_slowly_are_not_given_up():
    """The mean rate of ten foresees more than there are."""
    n, rng = 400, np.random.default_rng(0)
    eigenvalues = np.append(np.geomspace(300, 100, 8), np.linspace(0.2, 2, n - 8))
    Q = np.linalg.qr(rng.standard_normal((n, n)))[0]
    X = sparse.csr_matrix(Q * np.sqrt(n * eigenvalues))
    part = Design(X, intercept=False), rng.standard_normal(n), SquaredError()
    f, then = Objective(*part, np.full(n, 1 / n), np.full(n, 0.1), (n,)), Watched()
    result = minimize(f, DualCG(28, then), tol=1e-7)
    gaps = result.history["gap"] * result.history["objective"]
    assert 28 * np.log10(f.value(f.zeros()) / gaps[9]) < 10 * 7
    assert not hasattr(then, "value")
    assert result.status is Status.CONVERGED


def test_a_good_start_is_not_lost_where_it_is_too_slow():
    """In the dual the error of w is magnified by the condition number."""
    f, then = objective("csr", alpha=1e-6), Watched()
    w = minimize(f, PCG(), tol=1e-5).w
    result = minimize(f, DualCG(limit=20, then=then), w0=w, tol=1e-12)
    assert result.status is Status.CONVERGED
    assert then.value <= f.value(w)


def test_rounding_leaves_the_rest_to_the_other_solver():
    """Gaps far below rounding cannot be had; each restart from X itself tells."""
    f, then = objective("csr", alpha=1e-5), Watched()
    for step in DualCG(then=then).iterate(f, f.zeros(), np.random.default_rng(0)):
        if hasattr(then, "value"):
            break
        assert step.passes < 5000
    least = minimum(f)[0]
    assert then.value - least <= 1e-12 * least


@pytest.mark.parametrize("alpha", [1e-2, 1e-4, 1e-6])
@pytest.mark.parametrize("solver", [DualCG(), PCG("diagonal"), PCG()])
def test_what_single_precision_cannot_reach_is_not_claimed(solver, alpha):
    """With several targets dense products of float32 X are float32."""
    f = objective("dense", (3,), alpha=alpha)
    f.design.rows.X[:] = f.design.rows.X.astype(np.float32)
    single = Design(f.design.rows.X.astype(np.float32), intercept=True)
    part = (single, f.y, f.loss, f.weights, f.penalty)
    tol, least = 1e-12, minimum(f)[0]
    result = minimize(Objective(*part, f.shape), solver, tol=tol)
    if result.status is Status.CONVERGED:
        assert f.value(result.w) - least <= 3 * tol * least


def test_nested_parameters():
    solver = clone(DualCG(then=PCG())).set_params(limit=7, then__patience=9)
    assert (solver.limit, solver.then.patience) == (7, 9)


def test_different_penalties_count_as_so_many_factors(monkeypatch):
    one, three = objective("dense"), objective("dense", (3,))
    assert Direct().needed(three) * 3 == Direct().needed(one) * 5
    limited = Direct(memory_limit=Direct().needed(one))
    assert minimize(one, limited).status is Status.CONVERGED
    with pytest.raises(ValueError, match=r"61 x 61 matrix.*its factors"):
        minimize(three, limited)
    assert isinstance(choose(three), Direct)
    monkeypatch.setattr(Direct, "needed", lambda solver, f: 1e10)
    assert not isinstance(choose(three), Direct)


def test_what_it_refuses():
    f = objective("csr")
    with pytest.raises(ValueError, match=r"limit=0: use a positive number"):
        minimize(f, DualCG(limit=0))
    with pytest.raises(ValueError, match=r"early=-1: use a positive number"):
        minimize(f, DualCG(early=-1))
    with pytest.raises(ValueError, match=r"then='pcg': use a solver object"):
        minimize(f, DualCG(then="pcg"))
    with pytest.raises(ValueError, match=r"61 x 61 matrix.*memory_limit"):
        minimize(f, DualCG(then=Direct(memory_limit=10)))
    with pytest.raises(ValueError, match=r"one positive penalty.*raise alpha"):
        minimize(objective("csr", alpha=0.0), DualCG())
    f.penalty[-1] = 1.0
    with pytest.raises(ValueError, match="one positive penalty"):
        minimize(f, DualCG())
    f.penalty[0] = 1.0
    with pytest.raises(ValueError, match="one positive penalty"):
        minimize(f, DualCG())
    part = (f.design, np.sign(f.y), Logistic(), f.weights, f.penalty)
    with pytest.raises(ValueError, match="squared-error problems only"):
        minimize(Objective(*part, f.shape), DualCG())


# ------------------------------------------------------------------ the choice


def words(n, p, normalised, entries=40, alpha=1.0):
    """Ridge objective of text, of unit rows or of counts of very different length."""
    rng = np.random.default_rng(0)
    columns = (p * rng.random((n, entries)) ** 4).astype(int)
    rows = np.repeat(np.arange(n), entries)
    X = sparse.csr_matrix((np.ones(n * entries), (rows, columns.ravel())), (n, p))
    norms = np.sqrt(np.asarray(X.multiply(X).sum(axis=1)).ravel())
    scale = np.ones(n) if normalised else rng.pareto(1.0, n) + 0.1
    X = sparse.csr_matrix(sparse.diags(scale / norms) @ X)
    y, penalty = rng.standard_normal(n), np.full(p, alpha / n)
    return Objective(Design(X), y, SquaredError(), np.full(n, 1 / n), penalty, (p,))


def test_auto_takes_the_dual_of_text_that_has_about_as_many_columns_as_rows():
    solver = choose(words(12500, 17000, True))
    assert isinstance(solver, DualCG)
    assert isinstance(solver.then, PCG)
    assert np.isinf(solver.then.patience)  # no factor has room
    for f in (
        words(6500, 9000, False),  # rows of unlike norm
        words(9000, 2000, True),  # many rows a column
        words(6500, 9000, True, alpha=0.0),
    ):
        assert isinstance(choose(f), PCG)


def test_the_dual_may_take_as_long_as_half_of_a_factor():
    f = words(2000, 40000, True)
    solver = choose(f)
    assert isinstance(solver, DualCG)
    assert solver.limit == patience(f, dual=True) < 40 * (1 + 40000 / 2000)
    assert np.isfinite(solver.then.patience)
    solver = choose(words(1000, 20000, True))
    assert isinstance(solver, DualCG)
    assert isinstance(solver.then, Direct)
    assert isinstance(choose(words(200, 40000, True)), Direct)  # in no time


def test_the_dual_of_many_more_columns_than_rows_is_tried_before_a_dear_factor():
    """Rows of any norm; its rate is looked at after half of what it may take."""
    f = words(2000, 40000, False)
    solver = choose(f)
    assert isinstance(solver, DualCG)
    assert isinstance(solver.then, Direct)
    assert solver.limit == patience(f, dual=True)
    assert solver.early == solver.limit / 2
    found, exact = (minimize(f, s, tol=1e-9).w for s in (solver, Direct()))
    assert f.value(found) <= f.value(exact) * (1 + 1e-9)
    for f in (words(6500, 40000, False), words(12500, 110000, False)):
        assert isinstance(choose(f), PCG)  # fewer columns a row, or no factor has room


def test_sparse_x_without_a_factor_has_its_heavy_rows_as_preconditioner():
    """Nystrom sketches took 2 to 30 times as long on such X."""
    f = words(12500, 13000, False, entries=200)
    assert f.design.rows.nnz > 32 * f.dim
    point, v = f.expand(f.zeros()), np.ones(f.dim)
    inverse, _ = curvature_inverse("auto", point, np.random.default_rng(0))
    assert_allclose(inverse(v), heavy_rows(point)[0](v), 1e-12)
    assert may_be_poor("auto", f)


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("targets", [(), (3,)], ids=["one", "three"])
@pytest.mark.parametrize("storage", ["dense", "columns", "csr", "float32"])
def test_direct_solves_the_dual_of_few_rows(storage, targets, intercept):
    f = objective("csr" if storage == "csr" else "dense", targets, intercept)
    X = f.design.rows.X
    if storage != "csr":
        dtype = np.float32 if storage == "float32" else float
        X = np.asarray(X, dtype, "F" if storage == "columns" else "C")
    shift = np.asarray(X.sum(axis=0)).ravel() / 50 if intercept else None
    design = Design(X, shift=shift, intercept=intercept)
    shifted = Objective(design, f.y, f.loss, f.weights, f.penalty, f.shape)
    least, best = minimum(f)
    result = minimize(shifted, Direct(), tol=1e-12)
    assert result.status is Status.CONVERGED
    u, constant = design.inner(result.w)
    w = np.concatenate([u, constant[None]]) if intercept else u
    accuracy = 1e-6 if storage == "float32" else 1e-11
    assert_allclose(w, best, accuracy, accuracy)
    assert_allclose(shifted.value(result.w), least, accuracy)
    assert result.n_iter == 1 or storage == "float32"


@pytest.mark.parametrize("storage", ["dense", "csr"])
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("alpha", [1e-2, 1e-4, 1e-6])
def test_dual_knows_what_cancels_in_its_product_with_x(alpha, intercept, storage):
    """Residuals that X does not explain, over a small penalty, are large unknowns."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((5000, 6)) * [3e5, 1, 1, 1, 1, 1]
    y, n = X[:, 1] + rng.standard_normal(5000), 5000
    shift = X.mean(axis=0) if intercept else None
    design = Design(
        sparse.csr_array(X) if storage == "csr" else X, shift, None, intercept
    )
    penalty = np.append(np.full(6, alpha / n), np.zeros(int(intercept)))
    f = Objective(design, y, SquaredError(), np.full(n, 1 / n), penalty, penalty.shape)
    result = minimize(f, DualCG(), tol=1e-6)
    assert result.status is Status.CONVERGED
    Z = np.column_stack([X - shift, np.ones(n)]) if intercept else X
    augmented = np.vstack([Z / n**0.5, np.diag(penalty**0.5)])
    best = np.linalg.lstsq(augmented, np.append(y / n**0.5, 0 * penalty), rcond=None)[0]
    assert f.value(result.w) <= f.value(best) * (1 + 2e-6)


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e5])
def test_direct_is_honest_about_rows_that_are_nearly_copies(offset):
    """Far from zero their difference is lost in rounding of products."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 300)) + offset
    X[20:] = X[:20] + 1e-4 * rng.standard_normal((20, 300))
    y, weights = rng.standard_normal(40), np.full(40, 1 / 40)
    design = Design(X, shift=X.mean(axis=0), intercept=True)
    penalty = np.append(np.full(300, 1e-9), 0.0)
    f = Objective(design, y, SquaredError(), weights, penalty, (301,))
    result = minimize(f, Direct(), tol=1e-8)
    assert result.status is Status.CONVERGED
    Z = (X.astype(np.longdouble) - X.astype(np.longdouble).mean(axis=0)) / np.sqrt(40)
    t, x = (y - y.mean()).astype(np.longdouble) / np.sqrt(40), np.zeros(40)
    K = np.asarray(Z @ Z.T, float) + 1e-9 * np.eye(40)
    for _ in range(20):  # refinement in extended precision
        x = x + np.linalg.solve(K, np.asarray(t - Z @ (Z.T @ x) - 1e-9 * x, float))
    least = 0.5e-9 * float(t @ x)
    gap = f.value(result.w) / least - 1
    assert gap <= result.gap + 1e-8
    assert gap <= 1e-3
