"""Gaps that are reported are true, and so is the claim that a fit has converged."""

import numpy as np
import pytest
from _cases import problem

from promise_learn.solvers import (
    LBFGS,
    PCG,
    Direct,
    NewtonCG,
    NewtonCholesky,
    NystromPCG,
    Status,
    minimize,
)
from promise_learn.testing import DenseProblem


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
    assert f.value(result.w) <= 1e-23 * f.null_value()
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
