"""The objective against finite differences and against dense NumPy."""

import array_api_strict
import numpy as np
import pytest
from _cases import LOSSES, half_empty, problem, store
from numpy.testing import assert_allclose
from scipy.optimize import approx_fprime, brentq

from promise_learn._arrays import as_numpy, dense
from promise_learn.design import Design
from promise_learn.losses import (
    Huber,
    Logistic,
    Multinomial,
    Poisson,
    SquaredError,
    SquaredHinge,
)
from promise_learn.objective import Objective
from promise_learn.solvers import NewtonCG, NewtonCholesky, Status, minimize
from promise_learn.solvers.newton import HessianFactor, confirmation, confirmed

N, P = 80, 6
RNG = np.random.default_rng(3)
WEIGHTS = RNG.integers(0, 4, N).astype(float)
WEIGHTS[N // 2] = 3.0

ALL_LOSSES = pytest.mark.parametrize("loss", LOSSES)
SCALAR = pytest.mark.parametrize("loss", LOSSES[:3])
STORAGES = pytest.mark.parametrize("storage", ["C", "F", "csr_array"])
INTERCEPT = pytest.mark.parametrize("intercept", [True, False])
WEIGHTED = pytest.mark.parametrize(
    "weights", [None, WEIGHTS], ids=["equal", "weighted"]
)


def build(loss, storage="C", **options):
    """Objective, its dense reference and a point of moderate margins."""
    X = half_empty(N, P)
    reference = problem(loss, X, **options)
    intercept = options.get("intercept", True)
    f = reference.objective(store(X, storage), intercept=intercept)
    return f, reference, np.random.default_rng(0).standard_normal(f.shape) / 20


def columns_of(product, f):
    """Matrix of a linear map on arrays of the shape of w, in the order of w.ravel()."""
    size = int(np.prod(f.shape))
    units = np.eye(size).reshape(size, *f.shape)
    return np.stack([product(unit).ravel() for unit in units], axis=1)


# ------------------------------------------------------------------ first order


@WEIGHTED
@INTERCEPT
@STORAGES
@ALL_LOSSES
def test_value_and_derivatives_equal_dense_numpy(loss, storage, intercept, weights):
    f, reference, w = build(loss, storage, intercept=intercept, weights=weights)
    value, gradient = f.value_and_gradient(w)
    assert value == pytest.approx(reference.value(w), rel=1e-13)
    assert f.value(w) == pytest.approx(value, rel=1e-14)
    assert f.null_value == pytest.approx(reference.value(0 * w), rel=1e-13)
    again = build(loss, storage, intercept=intercept, weights=weights)[0]
    again.expand(w)  # not at zero, where F(0) would come from the expansion
    assert again.expand(0 * w).value == again.null_value
    assert again.null_value == pytest.approx(f.null_value, rel=1e-13)
    scale = np.abs(reference.gradient(w)).max()
    assert_allclose(gradient, reference.gradient(w), 0, 1e-12 * scale)
    H = reference.hessian(w)
    product = columns_of(f.hessian_product(w), f)
    assert_allclose(product, H, 0, 1e-12 * np.abs(H).max())
    assert_allclose(product, product.T, 0, 1e-12 * np.abs(H).max())


@WEIGHTED
@INTERCEPT
@ALL_LOSSES
def test_gradient_is_the_derivative_of_the_value(loss, intercept, weights):
    f, _, w = build(loss, intercept=intercept, weights=weights)

    def value(x):
        return f.value(x.reshape(f.shape))

    h = 1e-6
    ahead = approx_fprime(w.ravel(), value, h)
    behind = approx_fprime(w.ravel(), value, -h)
    gradient = f.gradient(w).ravel()
    assert_allclose(gradient, (ahead + behind) / 2, 0, 1e-6 * np.abs(gradient).max())


@ALL_LOSSES
def test_hessian_product_is_the_derivative_of_the_gradient(loss):
    f, _, w = build(loss, weights=WEIGHTS)
    v, h = np.random.default_rng(1).standard_normal(f.shape), 1e-5
    difference = (f.gradient(w + h * v) - f.gradient(w - h * v)) / (2 * h)
    product = f.hessian_product(w)(v)
    assert_allclose(product, difference, 0, 1e-6 * np.abs(product).max())


@pytest.mark.parametrize("storage", ["C", "csr_array"])
def test_penalty_of_each_target_is_its_own(storage):
    f, reference, w = build("targets", storage, per_target=True)
    assert f.per_target
    assert f.value(w) == pytest.approx(reference.value(w), rel=1e-13)
    assert_allclose(f.gradient(w), reference.gradient(w), 1e-11, 1e-11)
    H = reference.hessian(w)
    assert_allclose(columns_of(f.hessian_product(w), f), H, 0, 1e-12 * H.max())
    with pytest.raises(ValueError, match="each target"):
        f.hessian(w)
    for k in range(3):
        mu = reference.penalty[0, k]
        alone = Objective(
            f.design,
            f.y[:, k].copy(),
            SquaredError(),
            f.weights,
            np.append(np.full(P, mu), 0.0),
            (P + 1,),
        )
        assert_allclose(f.gradient(w)[:, k], alone.gradient(w[:, k]), 1e-11, 1e-11)


@pytest.mark.parametrize("loss", ["targets", "multinomial"])
def test_penalty_of_one_column_serves_all_columns(loss):
    f, reference, w = build(loss)
    broadcast = Objective(f.design, f.y, f.loss, f.weights, f.penalty[:, None], f.shape)
    assert not broadcast.per_target
    assert broadcast.value(w) == f.value(w)
    assert_allclose(broadcast.gradient(w), reference.gradient(w), 1e-11, 1e-11)
    assert_allclose(broadcast.hessian(w), f.hessian(w))


# ------------------------------------------------------------------ second order


@INTERCEPT
@STORAGES
@SCALAR
def test_dense_hessian_is_the_product_on_the_identity(loss, storage, intercept):
    f, _, w = build(loss, storage, intercept=intercept, weights=WEIGHTS)
    point, identity = f.expand(w), np.eye(f.dim)
    H = f.hessian(w)
    assert H.shape == (f.dim, f.dim)
    assert_allclose(point.product(identity), H, 0, 1e-12 * H.max())
    assert_allclose(H, H.T, 0, 1e-15 * H.max())
    loss_part = H - np.diag(f.penalty)
    assert_allclose(point.loss_product(identity), loss_part, 0, 1e-12 * H.max())
    assert_allclose(point.diagonal(), np.diag(loss_part), 1e-12, 1e-15)
    assert_allclose(f.hessian_diagonal(w), point.diagonal(), 1e-15)


@INTERCEPT
@STORAGES
def test_dense_multinomial_hessian_is_the_product_on_the_identity(storage, intercept):
    """Class-major, and with unit curvature where all classes may shift together."""
    f, _, w = build("multinomial", storage, intercept=intercept, weights=WEIGHTS)
    dim, K = f.shape
    product = columns_of(f.hessian_product(w), f).reshape(dim, K, dim, K)
    flat = np.diag((f.penalty == 0).astype(float))[:, None, :, None] / K
    expected = (product + flat).transpose(1, 0, 3, 2).reshape(K * dim, K * dim)
    H = f.hessian(w)
    assert_allclose(H, expected, 0, 1e-12 * H.max())
    assert np.linalg.eigvalsh(H)[0] > 0


@WEIGHTED
@STORAGES
@SCALAR
def test_root_of_all_rows_squares_to_the_hessian(loss, storage, weights):
    f, reference, w = build(loss, storage, weights=weights)
    A = dense(f.hessian_root(w, np.arange(N)))
    expected = reference.Z.T @ (f.expand(w).row_curvature[:, None] * reference.Z)
    assert_allclose(A.T @ A, expected, 0, 1e-13 * expected.max())
    H = f.hessian(w)
    assert_allclose(A.T @ A + np.diag(f.penalty), H, 0, 1e-12 * H.max())


@ALL_LOSSES
def test_root_of_a_sample_is_unbiased(loss):
    """The mean over a partition into equal samples is the estimate from all rows."""
    f, _, w = build(loss, weights=WEIGHTS)
    parts = np.random.default_rng(0).permutation(N).reshape(8, 10)
    roots = [f.hessian_root(w, rows) for rows in parts]
    everything = f.hessian_root(w, np.arange(N))
    expected = everything.T @ everything
    mean = sum(A.T @ A for A in roots) / len(roots)
    assert_allclose(mean, expected, 0, 1e-12 * expected.max())


def test_multinomial_root_bounds_every_curvature():
    f, reference, w = build("multinomial")
    A, K = f.hessian_root(w, np.arange(N)), f.n_columns
    loss_part = reference.hessian(w) - np.diag(np.repeat(f.penalty, K))
    excess = np.kron(A.T @ A, np.eye(K)) - loss_part
    assert np.linalg.eigvalsh(excess)[0] >= -1e-12 * loss_part.max()
    assert_allclose(f.expand(w).diagonal(), np.sum(A * A, axis=0), 1e-12)


@ALL_LOSSES
def test_slope_towards_is_the_derivative_along_the_line(loss):
    f, _, w = build(loss, weights=WEIGHTS)
    point, other = f.expand(w), f.expand(-w)
    slope = point.slope_towards(other)
    for t in (0.0, 0.4, 1.0, 3.0):
        g = f.gradient(w + t * (other.w - w))
        assert slope(t) == pytest.approx(np.sum(g * (other.w - w)), rel=1e-11)


# ------------------------------------------------------------------ namespaces


@pytest.mark.parametrize(
    ("loss", "per_target"), [("targets", True), *((loss, False) for loss in LOSSES)]
)
def test_strict_namespace_gives_the_same_numbers(loss, per_target):
    f, _, w = build(loss, weights=WEIGHTS, per_target=per_target)
    xp = array_api_strict
    g = Objective(
        Design(xp.asarray(half_empty(N, P)), intercept=True),
        xp.asarray(f.y),
        f.loss,
        xp.asarray(f.weights),
        xp.asarray(f.penalty),
        f.shape,
    )
    point, other = f.expand(w), g.expand(xp.asarray(w))
    assert other.value == pytest.approx(point.value, rel=1e-13)
    pairs = [
        (point.gradient, other.gradient),
        (point.product(w), other.product(xp.asarray(w))),
        (point.diagonal(), other.diagonal()),
        (point.root(np.arange(5)), other.root(np.arange(5))),
        (f.subset(np.arange(9)).gradient(w), g.subset(np.arange(9)).gradient(other.w)),
    ]
    if not per_target:
        pairs.append((point.hessian(), other.hessian()))
    for numpy_result, strict_result in pairs:
        assert_allclose(as_numpy(strict_result), numpy_result, 1e-11, 1e-12)


# ------------------------------------------------------------------ decrements


CURVED = {
    "logistic": (Logistic(), lambda rng: rng.choice([-1.0, 1.0], N)),
    "multinomial": (Multinomial(), lambda rng: rng.integers(0, 3, N).astype(float)),
    "poisson": (Poisson(), lambda rng: rng.poisson(2.0, N).astype(float)),
    "squared_hinge": (SquaredHinge(), lambda rng: rng.choice([-1.0, 1.0], N)),
    "huber": (Huber(), lambda rng: rng.standard_normal(N)),
}


def curved(name, intercept, storage="C"):
    """Objective of a loss whose curvature is not constant, and its dense rows."""
    loss, labels = CURVED[name]
    X, dim = half_empty(N, P), P + intercept
    shape = (dim, 3) if name == "multinomial" else (dim,)
    penalty = np.append(np.full(P, 1e-3), [0.0] * intercept)
    y = labels(np.random.default_rng(5))
    design = Design(store(X, storage), intercept=intercept)
    f = Objective(design, y, loss, WEIGHTS / WEIGHTS.sum(), penalty, shape)
    return f, np.column_stack([X, np.ones(N)]) if intercept else X


@INTERCEPT
@STORAGES
@pytest.mark.parametrize("name", ["logistic", "multinomial", "poisson"])
def test_curvature_that_stays_equals_dense_numpy(name, storage, intercept):
    """Row by row the smaller of the quadratic forms at both ends."""
    f, Z = curved(name, intercept, storage)
    rng = np.random.default_rng(1)
    w, d = (rng.standard_normal(f.shape) / k for k in (20, 2))
    change, forms = Z @ d, []
    for x in (w, w + d):
        C = f.loss.curvature(Z @ x, f.y)
        if f.coupled:
            full = [np.diag(q) - np.outer(q, q) for q in C]
            forms.append(np.einsum("ij,ijk,ik->i", change, full, change))
        else:
            forms.append(C * change**2)
    ridge = np.sum(f.ridge(d) * d)
    expected = (f.weights @ np.minimum(*forms) + ridge) / (f.weights @ forms[0] + ridge)
    kept = f.expand(w).curvature_kept(d)
    assert 0 < expected < 0.99
    assert kept == pytest.approx(expected, rel=1e-10)


@INTERCEPT
@pytest.mark.parametrize("name", ["squared_hinge", "huber"])
def test_curvature_stays_where_no_row_leaves_a_piece(name, intercept):
    f, Z = curved(name, intercept)
    d, found = np.random.default_rng(1).standard_normal(f.shape), set()
    for size in (1e-6, 1e-2, 1.0):
        before, after = (f.loss.curvature(Z @ x, f.y) for x in (0 * d, size * d))
        kept = f.expand(0 * d).curvature_kept(size * d)
        assert kept == float((after >= before).all())
        found.add(kept)
    assert found == {0.0, 1.0}


def test_constant_curvature_stays():
    f, _, w = build("targets")
    assert f.expand(w).curvature_kept(w) == 1.0


def one_sided(mu=1e-4):
    """One feature, all on one side: curvature falls as fast as the slope."""
    s, penalty = np.full(5, 0.2), np.array([mu])
    f = Objective(Design(np.ones((5, 1))), np.ones(5), Logistic(), s, penalty, (1,))
    best = brentq(lambda v: mu * v - 1 / (1 + np.exp(v)), 0, 50)
    return f, f.value(np.array([best]))


@pytest.mark.parametrize("w", [2.0, 4.0, 6.0, 6.8, 7.0])
def test_a_decrement_that_misses_the_gap_is_told(w):
    f, best = one_sided()
    point = f.expand(np.array([w]))
    gap, factor = point.value - best, HessianFactor(point)
    d = -factor.solve(point.gradient)
    decrement = factor.decrement(point.gradient, -d)
    told = confirmed(point, d, decrement)
    assert decrement < gap < told
    assert told < (1.5 if w > 6.5 else 3) * gap
    assert confirmation(point, d, decrement, 200 * decrement, 1.0) is None
    assert confirmation(point, d, decrement, 50 * decrement, 1.0)() == told
    assert confirmation(point, d, decrement, 200 * decrement, 0.5)() == told


@pytest.mark.parametrize("solver", [NewtonCG(), NewtonCholesky()])
def test_a_fit_that_the_limit_ends_has_its_gap_confirmed(solver):
    """A gap a little below tol, with which no step ends the fit, counts at its end."""
    f, best = one_sided()
    for limit in range(2, 12):
        first = minimize(f, solver, tol=1e-14, max_iter=limit)
        if not 0 < first.gap < 0.1:
            continue
        tol = 1.04 * first.gap
        found = minimize(f, solver, tol=tol, max_iter=limit)
        true = (f.value(found.w) - best) / f.value(found.w)
        assert found.status is not Status.CONVERGED or true <= 1.05 * tol
