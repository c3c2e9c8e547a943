"""Gaps that are reported are true, and so is the claim that a fit has converged."""

import numpy as np
import pytest
from _cases import problem

from promise_learn import Ridge
from promise_learn.losses import LOSSES
from promise_learn.solvers import (
    LBFGS,
    PCG,
    Direct,
    NewtonCG,
    NewtonCholesky,
    NystromPCG,
    SketchyKatyusha,
    SketchySAGA,
    SketchySVRG,
    Status,
    minimize,
)
from promise_learn.testing import DenseProblem, design_matrix


def spectrum_problem(loss, decay, mu, scale, n=800, p=330):
    """Columns with eigenvalues j^(-2 decay) in random directions, scaled 10^+-scale.

    Larger than the dense certificate's 300 unknowns, so that conjugate gradients judge.
    """
    rng = np.random.default_rng(0)
    U = np.linalg.qr(rng.standard_normal((n, p)))[0] * n**0.5
    V = np.linalg.qr(rng.standard_normal((p, p)))[0]
    X = U * np.arange(1, p + 1.0) ** -decay @ V.T * 10 ** rng.uniform(-scale, scale, p)
    eta = X @ rng.standard_normal(p)
    y = eta / eta.std() + 0.3 * rng.standard_normal(n)
    y = np.where(y > 0, 1.0, -1.0) if loss == "logistic" else y
    penalty = np.full(p, mu * np.sum(X**2) / n)
    return DenseProblem(X, y, loss, np.full(n, 1 / n), penalty, (p,))


@pytest.fixture(scope="module", params=["squared_error", "logistic"])
def hard(request):
    """Three spectra, one of them with columns of scales 1e-2 to 1e2."""
    options = [(2, 1e-6, 0), (1, 1e-7, 0), (1, 1e-6, 2)]
    return [spectrum_problem(request.param, *option) for option in options]


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6, 1e9])
@pytest.mark.parametrize("near", [1.0, 1e-2, 1e-5])
def test_a_direct_solution_knows_its_value(offset, near):
    """With and without another pass: columns almost alike, or far from zero.

    The value is compared with that of all rows at the solution, which rounds to eps
    times the offset; and no value near it is less by more than that.
    """
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 4))
    X[:, 1] = X[:, 0] + near * X[:, 1]
    y = X.sum(axis=1) + rng.standard_normal(300)
    model = Ridge(alpha=1e-3).fit(X + offset, y)
    assert model.solver_ == "direct"
    rest = y - model.predict(X + offset)
    value = (rest @ rest + 1e-3 * model.coef_ @ model.coef_) / 600
    rounding = 1e-12 + 1e-15 * offset / near
    assert model.history_["objective"][-1] == pytest.approx(value, rel=rounding)
    centred = Ridge(alpha=1e-3, tol=1e-16).fit(X - X.mean(axis=0), y)
    assert value <= centred.history_["objective"][-1] * (1 + rounding)


@pytest.mark.parametrize("tol", [1e-3, 1e-6])
@pytest.mark.parametrize(
    "solver", [LBFGS(), NewtonCholesky(), NewtonCG(), NystromPCG()], ids=str
)
def test_reported_gap_is_true(hard, solver, tol):
    """Within a factor of ten, and what is said to have converged has, to 10 tol."""
    for reference in hard:
        f = reference.objective()
        if isinstance(solver, NystromPCG) and not f.quadratic:
            continue
        result = minimize(f, solver, tol=tol)
        true = reference.gap(result.w)
        assert result.status is Status.CONVERGED
        assert true <= 10 * tol
        assert 0.1 * true - 1e-14 <= result.gap <= 10 * true + 1e-14


def test_reported_gap_is_true_where_targets_differ_in_penalty():
    """The slowest column, with the weakest penalty, is the last of six."""
    base = spectrum_problem("squared_error", 1, 1e-3, 0)
    penalty = base.penalty[:, None] * np.array([1, 1, 1, 1, 1, 1e-5])
    Y = base.y[:, None] + np.random.default_rng(0).standard_normal((len(base.y), 6))
    reference = DenseProblem(base.Z, Y, base.loss, base.s, penalty, penalty.shape)
    parts = [
        DenseProblem(base.Z, Y[:, k], base.loss, base.s, penalty[:, k], (len(penalty),))
        for k in range(6)
    ]
    minimum = sum(part.minimum for part in parts)
    for preconditioner in (None, "diagonal", "auto"):
        solver = NystromPCG(preconditioner)
        result = minimize(reference.objective(), solver, tol=1e-6)
        true = reference.value(result.w) / minimum - 1
        assert result.status is Status.CONVERGED
        assert true <= 1e-5


def noiseless(mu):
    """Ridge problem whose targets are linear in X."""
    X = np.random.default_rng(0).standard_normal((200, 8))
    reference = problem("squared_error", X, mu=mu)
    reference.y = reference.Z @ np.ones(9)
    return reference


BATCH = pytest.mark.parametrize(
    "solver", [Direct(), NystromPCG(), NewtonCG(), LBFGS()], ids=str
)


@BATCH
@pytest.mark.parametrize("mu", [1e-10, 1e-17])
def test_noiseless_fit_is_not_called_converged_too_early(solver, mu):
    """F* is the size of mu here, and tol is relative to F*, not to F(0)."""
    reference = noiseless(mu)
    result = minimize(reference.objective(), solver, tol=1e-6)
    assert result.status is Status.CONVERGED
    assert reference.gap(result.w) <= 1e-5


@BATCH
def test_interpolation_converges_and_stays_converged(solver):
    """F* = 0: no relative gap is small, but that of 1e-24 F(0) counts as none."""
    f = noiseless(0.0).objective()
    result = minimize(f, solver)
    assert result.status is Status.CONVERGED
    assert f.value(result.w) <= 1e-23 * f.null_value
    again = minimize(f, solver, result.w)
    assert again.status is Status.CONVERGED
    assert again.n_iter <= 2


@pytest.mark.parametrize("preconditioner", [None, "diagonal", "ssn"])
@pytest.mark.parametrize("tol", [1e-2, 1e-4])
def test_poor_preconditioner_is_not_believed_too_early(tol, preconditioner):
    """Wait: first Ritz values are large, and CG rests on plateaus of the spectrum."""
    reference = spectrum_problem("squared_error", 2, 1e-8, 0)
    for solver in (PCG(preconditioner), NewtonCG(preconditioner)):
        result = minimize(reference.objective(), solver, tol=tol)
        assert result.status is Status.CONVERGED
        assert reference.gap(result.w) <= 10 * tol


def ill_posed(loss, seed):
    """Few or many rows, scales of 1e-1.5 to 1e1.5, penalties of 1e-8 to 0.1, outliers.

    Huber's residuals are up to 1e3 thresholds large; classes may be separable; counts
    go up to about 1e5, or are zero in nearly all rows.
    """
    rng = np.random.default_rng(seed)
    n, p = int(rng.choice([60, 300, 1000])), int(rng.choice([3, 20, 60]))
    X = rng.standard_normal((n, p)) * 10 ** rng.uniform(-1.5, 1.5, p)
    X += rng.choice([0, 3]) * np.abs(X).mean(axis=0)
    X -= X.mean(axis=0)
    eta = X @ (rng.standard_normal(p) / X.std(axis=0)) / np.sqrt(p)
    penalty = np.append(np.full(p, 10 ** rng.uniform(-8, -1) * np.mean(X**2)), 0.0)
    noise = rng.choice([0.01, 1.0])
    if loss == "huber":
        y = 10 ** rng.uniform(-1, 3) * (eta + 0.5 * rng.standard_t(1.5, n))
    elif loss == "poisson":
        eta = eta * rng.choice([0.5, 2]) + rng.choice([-2, 0, 5])
        y = rng.poisson(np.exp(np.clip(eta, -20, 12))).astype(float)
    else:
        y = np.where(eta + noise * rng.standard_normal(n) > rng.choice([0, 1]), 1.0, -1)
    y, s, _ = LOSSES[loss]().centred(y, np.full(n, 1 / n))
    return DenseProblem(design_matrix(X, intercept=True), y, loss, s, penalty, (p + 1,))


@pytest.mark.parametrize("loss", ["squared_hinge", "huber", "poisson"])
@pytest.mark.parametrize("solver", [NewtonCholesky(), NewtonCG()], ids=str)
def test_curvature_that_jumps_or_explodes_is_not_believed_too_early(solver, loss):
    """The model of the curvature at hand promises too little where rows leave it."""
    for seed in range(40):
        reference = ill_posed(loss, seed)
        f = reference.objective()
        best = minimize(f, NewtonCholesky(), tol=1e-13, max_iter=2000)
        minimum = reference.value(best.w)
        for tol in (1e-2, 1e-4, 1e-6):
            result = minimize(f, solver, tol=tol)
            assert result.status is Status.CONVERGED
            assert reference.value(result.w) - minimum <= 2 * tol * minimum


@pytest.mark.parametrize("loss", ["squared_hinge", "huber", "poisson"])
@pytest.mark.parametrize(
    "solver", [LBFGS(), SketchySVRG(), SketchySAGA(), SketchyKatyusha()], ids=str
)
def test_first_order_solvers_do_not_believe_it_either(solver, loss):
    """They need not get there, but must not claim it; ten seeds are enough for that."""
    arrived = 0
    for seed in range(10):
        reference = ill_posed(loss, seed)
        f = reference.objective()
        best = minimize(f, NewtonCholesky(), tol=1e-13, max_iter=2000)
        minimum = reference.value(best.w)
        result = minimize(f, solver, tol=1e-4, max_iter=300)
        if result.status is Status.CONVERGED:
            assert reference.value(result.w) - minimum <= 2e-4 * minimum
            arrived += 1
    assert arrived >= 5
