"""What Newton-type solvers are made of: row space, line search, samples; hand-off."""

import threading

import numpy as np
import pytest
import scipy.sparse
from _cases import half_empty, problem, store
from _hard import few_weights, rare_class, separable, sorted_rows
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning

from promise_learn import LogisticRegression, Ridge
from promise_learn.design import Design
from promise_learn.linalg.cholesky import pivoted
from promise_learn.losses import Logistic, Multinomial, SquaredError
from promise_learn.objective import Objective
from promise_learn.solvers import (
    NewtonCG,
    NewtonCholesky,
    Status,
    line_search,
    minimize,
    newton_cholesky,
    row_space,
)
from promise_learn.solvers._handoff import generated
from promise_learn.solvers._kept import KeptInverse
from promise_learn.solvers.base import Step
from promise_learn.solvers.growing import from_samples, growing_samples, grows
from promise_learn.solvers.newton import (
    HessianFactor,
    distinct,
    gain_along_columns,
)
from promise_learn.solvers.sketch import starts_bare
from promise_learn.testing import solver_case

# ------------------------------------------------------------------ row space


@pytest.mark.parametrize("storage", ["C", "csr_array"])
@pytest.mark.parametrize(
    "loss", ["squared_error", "targets", "logistic", "multinomial"]
)
def test_row_space_problem_has_the_same_values(loss, storage):
    X = half_empty(12, 30)
    reference = problem(loss, X)
    f = reference.objective(store(X, storage), intercept=True)
    assert row_space.applies(f)
    small, lift, project, whole = row_space.reduced(f)
    assert whole
    assert small.dim <= 13
    beta = np.random.default_rng(0).standard_normal(small.shape)
    w = lift(beta)
    assert w.shape == f.shape
    assert small.value(beta) == pytest.approx(reference.value(w), rel=1e-11)
    assert_allclose(project(w), beta, 1e-9, 1e-9)
    outside = np.linalg.svd(X)[2][-1]
    w[:30] += (outside * np.ones((*f.shape[1:], 1))).T.reshape(w[:30].shape)
    assert_allclose(project(w), beta, 1e-9, 1e-9)


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("rank", [0, 1, 5, 12, 20])
def test_pivoted_factor_has_the_rank_of_its_matrix(rank, centred):
    Z = np.random.default_rng(0).standard_normal((12, rank))
    Z = Z - Z.mean(axis=0) if centred else Z
    L, rows = pivoted(Z @ Z.T)
    assert L.shape == (12, max(min(rank, 12 - centred), 1))
    assert_allclose(L @ L.T, Z @ Z.T, atol=1e-12)
    assert_allclose(L[rows], np.tril(L[rows]))


@pytest.mark.parametrize("shape", [(4, 20), (30, 60), (60, 5)])
@pytest.mark.parametrize("size", [1e160, 1e200])
@pytest.mark.parametrize("make", [Ridge, LogisticRegression])
def test_overflow_of_products_is_told(make, size, shape):
    rng = np.random.default_rng(0)
    X, y = size * rng.standard_normal(shape), np.arange(shape[0]) % 2
    told = "diverged" if shape[0] < shape[1] else "stopped making progress"
    with pytest.warns(ConvergenceWarning, match=told):
        make().fit(X, y)


def test_row_space_is_for_one_penalty_and_fewer_rows_only():
    wide, tall = half_empty(12, 30), half_empty(30, 12)
    reference = problem("targets", wide, intercept=False)
    assert row_space.applies(reference.objective())
    assert not row_space.applies(problem("targets", tall).objective())
    per_target = problem("targets", wide, intercept=False, per_target=True)
    assert row_space.applies(per_target.objective())
    reference.penalty = reference.penalty * np.arange(30)
    assert not row_space.applies(reference.objective())


@pytest.mark.parametrize("scale", [1e-10, 1.0, 1e10])
@pytest.mark.parametrize("loss", ["squared_error", "targets", "logistic"])
def test_gain_along_columns_is_a_lower_bound_of_the_gap(loss, scale):
    X = half_empty(40, 8)
    X[:, 0] *= scale
    reference = problem(loss, X)
    f = reference.objective(X, intercept=True)
    w = np.zeros(f.shape)
    gain, g = gain_along_columns(f.expand(w, diagonal=True)), reference.gradient(w)
    h = np.diagonal(reference.hessian(w)).reshape(w.shape)
    assert gain == pytest.approx(0.5 * np.max(g**2 / h), rel=1e-9)


# ------------------------------------------------------------------ line search


def far_from_minimum(direction):
    """Logistic objective, a point far from its minimum, and a direction."""
    f, reference = solver_case("logistic", "dense", "n > p")
    point = f.expand(reference.optimum + direction / np.linalg.norm(direction))
    return f, point, reference


@pytest.mark.parametrize("length", [1e-6, 0.1, 1.0, 30.0, 1e6, 1e12])
def test_line_search_takes_directions_of_any_length(length):
    """Straight to the minimum, but too short or too long: the slope is halved."""
    direction = np.random.default_rng(0).standard_normal(21)
    f, point, reference = far_from_minimum(direction)
    d = length * (reference.optimum - point.w)
    trial, t = line_search.advance(f, point, d)
    assert_allclose(trial.w, point.w + t * d, 1e-12, 1e-12)
    assert trial.value < point.value
    before, after = np.sum(point.gradient * d), np.sum(trial.gradient * d)
    assert abs(after) <= 0.5 * abs(before)


def test_line_search_refuses_what_does_not_descend():
    f, point, _ = far_from_minimum(np.ones(21))
    for d in (point.gradient, 0 * point.gradient, point.gradient * np.nan):
        trial, t = line_search.advance(f, point, d)
        assert trial is None
        assert t == 0


@pytest.mark.parametrize("bend", [1e-1, 1e-3, 1e-6, 1e-9, 1 - 1e-3, 1 - 1e-6])
@pytest.mark.parametrize(("before", "after"), [(1000.0, 200.0), (200.0, 1000.0)])
def test_line_search_finds_a_sharp_bend(bend, before, after):
    """One badly wrong row turns right at once, and the derivative is flat elsewhere."""
    width = 1e-3 * min(bend, 1 - bend)

    def derivative(t):
        return after - (before + after) / (1 + np.exp(min((t - bend) / width, 700)))

    t = line_search.stationary(derivative, derivative(0.0), derivative(1.0))
    assert abs(derivative(t)) <= 0.1 * before
    assert abs(t - bend) <= 10 * width


@pytest.mark.parametrize("solver", ["newton-cholesky", "newton-cg"])
def test_sample_that_lacks_a_rare_column_is_left_behind(solver):
    """Its minimum is far out; there some of the other rows are wrong by hundreds."""
    rng = np.random.default_rng(13)
    entries = rng.random((4000, 80)) < np.geomspace(0.5, 0.001, 80)
    X = entries * 10 ** rng.uniform(-1, 2, 80) * rng.random((4000, 80))
    scores = (X / X.std(axis=0)) @ rng.standard_normal(80)
    y, values = scores + rng.logistic(size=4000) > np.median(scores) + 3, []
    model = LogisticRegression(C=1e5, solver=solver, fit_intercept=False)
    for seed in range(10):  # a warning, that one has not converged, is an error
        w = model.set_params(random_state=seed).fit(X, y).coef_[0]
        losses = np.logaddexp(0, np.where(y, -1, 1) * (X @ w))
        values.append(1e5 * losses.sum() + 0.5 * w @ w)
    assert max(values) <= min(values) * (1 + 1e-5)


# ------------------------------------------------------------------ hand-off


def test_handoff_yields_in_order_and_ends():
    def routine(emit):
        for k in range(3):
            emit(k)

    assert list(generated(routine)) == [0, 1, 2]
    assert list(generated(lambda emit: None)) == []


def test_handoff_passes_errors_on():
    def routine(emit):
        emit(1)
        raise ArithmeticError("inside")

    items = generated(routine)
    assert next(items) == 1
    with pytest.raises(ArithmeticError, match="inside"):
        next(items)


def test_handoff_leaves_no_thread_behind():
    before = threading.active_count()

    def routine(emit):
        while True:
            emit(0)

    for steps in (0, 1, 3):
        items = generated(routine)
        for _ in range(steps):
            next(items)
        items.close()
    assert threading.active_count() == before


def test_handoff_sees_the_callers_error_state():
    def routine(emit):
        emit(np.geterr()["over"])

    with np.errstate(over="raise"):
        assert list(generated(routine)) == ["raise"]
    with np.errstate(over="ignore"):
        assert list(generated(routine)) == ["ignore"]


# ------------------------------------------------------------------ samples


def test_growing_samples_grow_and_keep_the_total_penalty():
    f, _ = sorted_rows(70_000)
    samples = list(growing_samples(f, f.zeros(), np.random.default_rng(0)))
    sizes = [g.n_rows for g, _ in samples]
    assert sizes == sorted(sizes)
    assert len(sizes) == 2
    assert 8 * sizes[-1] <= f.n_rows
    for g, accuracy in samples:
        assert_allclose(g.penalty * g.n_rows, f.penalty * f.n_rows)
        assert 0 < accuracy < 1
        assert set(np.unique(g.y)) == {-1.0, 1.0}


@pytest.mark.parametrize(
    ("p", "classes", "least"),
    [(5, 2, 8 * 1000), (300, 2, 3 * 4 * 301), (5, 3, 3 * 1000)],
)
def test_steps_on_a_small_x_are_not_worth_a_large_sample(p, classes, least):
    """The first sample is an eighth of it, and a third where steps cost something."""
    for n in (least - 8, least):
        f, _ = separable(n, p, 1 / n)
        if classes > 2:
            codes = np.arange(n) % classes * 1.0
            shape = (*f.shape, classes)
            f = Objective(f.design, codes, Multinomial(), f.weights, f.penalty, shape)
        samples = list(growing_samples(f, f.zeros(), np.random.default_rng(0)))
        assert len(samples) == (n == least)


@pytest.mark.parametrize("n", [1000, 7900, 8100, 40_000])
def test_a_fit_grows_where_there_is_a_sample(n):
    f, _ = sorted_rows(n)
    samples = growing_samples(f, f.zeros(), np.random.default_rng(0))
    assert grows(f) == (next(samples, None) is not None)


def test_growing_samples_pass_over_what_lacks_a_class_or_weight():
    for loss in ("logistic", "multinomial"):
        f, _ = rare_class(loss)
        classes = len(np.unique(f.y))
        for g, _ in growing_samples(f, f.zeros(), np.random.default_rng(0)):
            assert len(np.unique(g.y)) == classes
    f, _ = few_weights()
    for g, _ in growing_samples(f, f.zeros(), np.random.default_rng(0)):
        assert (g.weights > 0).all()


@pytest.mark.parametrize("far", [True, False])
def test_an_overfitted_sample_is_no_start(far):
    """F of all rows far above that of the sample, and above half of F(0)."""
    f, _ = sorted_rows()
    good = minimize(f, NewtonCholesky(), tol=1e-8).w
    end = -30.0 * good if far else good

    def steps(sample, point):
        yield Step(end, 1e-3 if far else sample.value(end), None, 0.0, True, 8.0)

    start, passes = from_samples(f, f.zeros(), np.random.default_rng(0), steps)
    assert_array_equal(start.w, f.zeros() if far else end)
    assert start.value == pytest.approx(f.value(start.w), rel=1e-12)
    assert far <= passes < far + 8


def test_warm_start_takes_no_samples():
    f, _ = sorted_rows()
    assert not list(growing_samples(f, f.zeros() + 1, np.random.default_rng(0)))


def unit_rows(scales=None):
    """Sparse 300 x 4,000 with rows of norm one; columns may differ in scale."""
    rng = np.random.default_rng(0)
    X = scipy.sparse.random_array((300, 4000), density=0.003, rng=rng, format="csr")
    X = X if scales is None else X.multiply(scales).tocsr()
    norms = np.sqrt(X.multiply(X).sum(axis=1)) + 1e-300
    return X.multiply(1 / norms[:, None]).tocsr(), rng.choice([-1.0, 1.0], 300)


def objective(X, y, penalty=1e-3):
    """Logistic objective without an intercept."""
    n, p = X.shape
    data = Design(X), y, Logistic(), np.full(n, 1 / n)
    return Objective(*data, np.full(p, penalty), (p,))


def test_newton_cg_starts_bare_where_rows_are_alike():
    X, y = unit_rows()
    assert starts_bare("auto", objective(X, y))
    assert not starts_bare("auto", objective(X[:200], y[:200]))
    assert not starts_bare("diagonal", objective(X, y))
    longer = X.copy()
    longer.data[longer.indptr[5] : longer.indptr[6]] *= 100
    assert not starts_bare("auto", objective(longer, y))
    dense = X[:, :50].toarray()
    assert not starts_bare("auto", objective(dense, y))


def test_a_bare_start_gives_way_to_heavy_rows():
    X, y = unit_rows(10.0 ** np.linspace(-3, 0, 4000))
    f = objective(X, y, 1e-6)
    assert starts_bare("auto", f)
    result = minimize(f, NewtonCG(), tol=1e-8)
    exact = minimize(f, NewtonCholesky(), tol=1e-12)
    assert result.status == Status.CONVERGED
    assert result.history["refreshes"][-1] > 1
    best = f.value(exact.w)
    assert f.value(result.w) - best <= 1e-8 * best


@pytest.mark.parametrize("tall", [False, True])
@pytest.mark.parametrize("spread", [0, 1, 2])
def test_early_word_of_a_small_gap_is_never_too_small(spread, tall):
    """A step offered after one iteration of its system doubts its estimate.

    Checked against the minimum, on columns of scales 1 to 10^spread; rows are few, so
    that estimates are read with caution, or many.
    """
    X, y = unit_rows(10.0 ** np.linspace(0, spread, 4000))
    if tall:
        rng = np.random.default_rng(1)
        X = rng.standard_normal((3000, 60))
        y = np.where(X @ rng.standard_normal(60) + rng.standard_normal(3000) > 0, 1, -1)
        X *= 10.0 ** np.linspace(0, spread, 60)
    f = objective(X, y.astype(float), 1e-4)
    best = f.value(minimize(f, NewtonCholesky(), tol=1e-13).w)
    steps = NewtonCG().iterate(f, f.zeros(), np.random.default_rng(0))
    early, passes = [], 0.0
    for step in steps:
        if step.provisional and step.passes - passes < 2.5:  # an expansion, a product
            early.append(step)
            assert step.doubt * step.gap >= f.value(step.w) - best - 1e-13 * best
        if step.gap <= 1e-9 * best:
            break
        passes = step.passes if not step.provisional else passes
    assert early


@pytest.mark.parametrize("preconditioner", ["auto", "nystrom"])
@pytest.mark.parametrize("stale", [False, True])
def test_early_words_go_on_through_a_system(stale, preconditioner, monkeypatch):
    """One a CG iteration; one in all by a stale preconditioner, before it is renewed.

    None of their gaps is too small.
    """
    judge = KeptInverse.judge

    def always_stale(kept, it, accurate):
        judge(kept, it, accurate)
        kept.stale = True

    if stale:
        monkeypatch.setattr(KeptInverse, "judge", always_stale)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((4000, 400)) * (rng.random((4000, 400)) < 0.05)
    y = np.where(X.sum(axis=1) + rng.standard_normal(4000) > 0, 1.0, -1.0)
    f = objective(X * np.geomspace(1, 10, 400), y, 1e-4)
    best = f.value(minimize(f, NewtonCholesky(), tol=1e-13).w)
    words, told = [], []
    solver = NewtonCG(preconditioner)
    for step in solver.iterate(f, f.zeros(), np.random.default_rng(0)):
        if step.provisional and step.doubt > 1:
            assert step.doubt * step.gap >= f.value(step.w) - best - 1e-13 * best
            told.append(step.refreshes)
        elif not step.provisional:
            words.append(len(told))
            if stale:
                assert told == [step.refreshes - 1] * len(told)
            told = []
        if step.gap <= 1e-10 * best:
            break
    assert (max(words) == 1) == stale


# ------------------------------------------------------------------ kept factors


def test_updates_of_a_kept_factor_save_steps(monkeypatch):
    rng = np.random.default_rng(0)
    Z, steps = rng.standard_normal((6000, 60)), {}
    X, y = Z * np.geomspace(1, 30, 60), Z.sum(axis=1) + rng.standard_normal(6000) > 0
    for memory in (0, 10):
        monkeypatch.setattr(newton_cholesky, "MEMORY", memory)
        model = LogisticRegression(solver="newton-cholesky", tol=1e-9, random_state=0)
        history = model.fit(X, y).history_
        steps[memory] = len(history["gap"]), history["refreshes"][-1]
    assert steps[10][0] < steps[0][0]
    assert steps[10][1] <= steps[0][1]


@pytest.mark.parametrize("offset", [0.0, 1e4])
@pytest.mark.parametrize("spread", [0, 2, 4, 6])
def test_rounding_of_a_direct_step_is_bounded(spread, offset):
    """Against extended precision, with columns that differ by 10^-spread."""
    rng, mu = np.random.default_rng(spread), 1e-9
    X = rng.standard_normal((500, 6))
    X[:, 3:] = X[:, :3] + 10.0**-spread * X[:, 3:]
    y, X = X @ rng.standard_normal(6) + rng.standard_normal(500), X + offset
    shift = X.mean(axis=0)
    penalty, weights = np.full(6, mu), np.full(500, 1 / 500)
    design = Design(X, shift=shift)
    f = Objective(design, y - y.mean(), SquaredError(), weights, penalty, (6,))
    point = f.expand(f.zeros())
    factor = HessianFactor(point)
    d = -factor.solve(point.gradient)
    value = point.value - factor.decrement(point.gradient, -d)
    error, gap = factor.rounding(d, point.value)

    Z, t = (np.asarray(a, np.longdouble) for a in (X - shift, f.y))
    residual, w = t - Z @ d, np.asarray(d, np.longdouble)
    F = 0.5 * np.mean(residual**2) + 0.5 * mu * w @ w
    g = mu * w - Z.T @ residual / 500
    H = np.asarray(Z.T @ Z / 500, float) + mu * np.eye(6)
    true = 0.5 * float(g @ np.linalg.solve(H, g.astype(float)))
    assert true <= gap
    assert abs(value - float(F) + true) <= error


@pytest.mark.parametrize("repeated", [1, 1000])
def test_different_penalties_and_the_targets_that_share_them(repeated):
    rows = np.random.default_rng(0).integers(0, 3, (4, 7)).astype(float)
    rows[:, 5] = rows[:, 2]
    penalty = np.repeat(rows, repeated, axis=0)
    values, owned = distinct(penalty)
    assert sorted(k for targets in owned for k in targets) == list(range(7))
    assert len(values) == np.unique(rows, axis=1).shape[1]
    for value, targets in zip(values, owned, strict=True):
        for k in targets:
            assert_array_equal(value, penalty[:, k])
