"""Preconditioners of a whole Hessian: what they are, and how well they do."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse

from promise_learn.design import Design
from promise_learn.linalg.cg import pcg
from promise_learn.linalg.gram import row_gram
from promise_learn.losses import Logistic, SquaredError
from promise_learn.objective import Objective
from promise_learn.solvers import newton, sketch
from promise_learn.solvers.newton import jacobi


def counts(n=400, p=3000, scale=None):
    """Word counts: a few long rows and frequent columns, most entries rare."""
    rng = np.random.default_rng(0)
    length = np.minimum(5 + (200 * rng.pareto(2.0, n)).astype(int) // 10, 600)
    rows = np.repeat(np.arange(n), length)
    columns = (p * rng.random(length.sum()) ** 4).astype(int)
    X = sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(n, p))
    X.sum_duplicates()
    return X if scale is None else (X @ sparse.diags(scale)).tocsr()


def objective(X, loss, penalty=1.0):
    rng = np.random.default_rng(1)
    n, p = X.shape
    y = rng.choice([-1.0, 1.0], n)
    ridge = np.append(np.full(p, penalty / n), 0.0)
    weights = np.full(n, 1 / n)
    return Objective(Design(X, intercept=True), y, loss, weights, ridge, (p + 1,))


def iterations(point, inverse, accuracy=1e-3):
    """CG iterations to a relative accuracy of the energy."""
    for it in pcg(point.product, -point.gradient, inverse, cautious=True):
        if it.gap <= accuracy * it.decrease or it.iteration >= 2000:
            return it.iteration
    raise AssertionError("CG stopped")


# ------------------------------------------------------------------ heavy rows


def test_heavy_rows_is_the_inverse_of_those_rows_and_a_diagonal():
    """Checked against the dense matrix, with the rows found anew from the formula."""
    f = objective(counts(60, 300), Logistic())
    point = f.expand(np.full(301, 0.01))
    inverse, _ = sketch.heavy_rows(point)
    P = np.linalg.inv(inverse(np.eye(301)))
    X = np.column_stack([f.design.rows.X.toarray(), np.ones(60)])
    h = (X**2).T @ point.row_curvature
    leverage = point.row_curvature * (X[:, :-1] ** 2 @ (1 / (h + f.penalty)[:-1]))
    size = int(sketch.HEAVY * f.design.rows.nnz**0.5)
    heavy = np.argsort(-leverage)[:size]
    A = np.sqrt(point.row_curvature[heavy])[:, None] * X[heavy]
    expected = A.T @ A + np.diag(h - (A**2).sum(axis=0) + f.penalty)
    assert_allclose(P, expected, 0, 1e-8 * np.abs(expected).max())


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("loss", [SquaredError(), Logistic()])
def test_heavy_rows_beat_the_diagonal_whatever_the_scale(loss, scaled):
    scale = 10 ** np.random.default_rng(2).uniform(-2, 2, 3000) if scaled else None
    f = objective(counts(scale=scale), loss)
    point = f.expand(f.zeros())
    inverse, _ = sketch.heavy_rows(point)
    assert iterations(point, inverse) <= 0.8 * iterations(point, jacobi(point))


def test_row_gram_of_sparse_rows():
    A = counts(50, 200)
    assert_allclose(row_gram(A), (A @ A.T).toarray())
    assert_allclose(row_gram(A.T), (A.T @ A).toarray())


# ------------------------------------------------------------------ sampled factor


def concentrated(n=6000, p=40):
    """Logistic problem of which a twentieth of the rows has nearly all curvature."""
    rng = np.random.default_rng(3)
    X = rng.standard_normal((n, p))
    X[: n // 20] *= 0.05
    f = objective(X, Logistic(), 0.01)
    return f, f.expand(np.append(np.full(p, 3.0), 0.0))


def test_sample_prefers_rows_of_large_curvature():
    f, point = concentrated()
    inverse, _ = sketch.sampled_factor(point, 20 * f.dim, np.random.default_rng(0))
    assert iterations(point, inverse, 1e-6) <= 12


def test_all_rows_in_single_precision_leave_cg_next_to_nothing():
    f, point = concentrated()
    inverse, _ = sketch.sampled_factor(point, f.n_rows, np.random.default_rng(0))
    assert iterations(point, inverse, 1e-8) <= 8  # four of them to make sure


def test_double_precision_serves_where_single_does_not(monkeypatch):
    """Two columns equal to 1e-7, and next to no penalty."""
    rng, refused = np.random.default_rng(0), []
    X = rng.standard_normal((500, 30))
    X[:, 1] = X[:, 0] + 1e-7 * X[:, 1]
    f = objective(X, SquaredError(), 1e-12)
    original = newton.single_factor

    def watched(S, unit):
        factor = original(S, unit)
        refused.append(factor is None)
        return factor

    monkeypatch.setattr(newton, "single_factor", watched)
    point = f.expand(f.zeros())
    inverse, _ = sketch.sampled_factor(point, f.n_rows, rng)
    assert refused == [True]
    assert iterations(point, inverse, 1e-8) <= 8  # four of them to make sure


def test_sample_of_a_ridge_regression_must_promise_half_the_cost():
    def ones(n, p):
        return objective(np.broadcast_to(1.0, (n, p)), SquaredError())

    few, many = ones(3000, 600), ones(200_000, 2000)
    assert sketch.sample_size(few)[0] == 3000
    size, cost = sketch.sample_size(many)
    assert size < 100_000
    assert cost < 0.5 * many.design.rows.gram_cost


def test_sample_where_all_curvature_has_underflowed():
    f, _ = concentrated()
    point = f.expand(np.append(np.full(40, 1e6), 0.0))
    point._curvature[:] = 0.0
    inverse, _ = sketch.sampled_factor(point, 20 * f.dim, np.random.default_rng(0))
    assert np.isfinite(inverse(point.gradient)).all()
