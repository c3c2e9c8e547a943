"""Spectra against dense eigenvalues: of matrices, and of Hessians."""

import array_api_strict
import numpy as np
import pytest
import scipy.linalg
from _cases import LOSSES, half_empty, problem
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from promise_learn import HessianSpectrum, LogisticRegression, Ridge, RidgeClassifier
from promise_learn.linalg import (
    SpectralDensity,
    condition_number,
    effective_dimension,
    eigenvalues,
    spectral_density,
    top_eigenvalues,
)
from promise_learn.linalg.lanczos import lanczos
from promise_learn.linalg.spectrum import EXACT
from promise_learn.preconditioners import PRECONDITIONERS, Nystrom
from promise_learn.spectra import fitted_objective

NAMESPACES = pytest.mark.parametrize(
    "xp", [np, array_api_strict], ids=["numpy", "strict"]
)
DTYPES = pytest.mark.parametrize("dtype", ["float64", "float32"])
LARGE = EXACT + 100  # an order at which nothing dense is formed


def rng(seed=0):
    return np.random.default_rng(seed)


def diagonal(values, xp=np, dtype="float64"):
    """Arguments product, dim, rng, X of a diagonal operator."""
    d = xp.asarray(values, dtype=getattr(xp, dtype))

    def product(V):
        return d * V if V.ndim == 1 else d[:, None] * V

    return product, len(values), rng(), d


def pair(dim, rank=40, seed=0):
    """Falling H; P = Y'Y + diag(d) that knows its first directions; Y and d."""
    draw = rng(seed)
    Q = np.linalg.qr(draw.standard_normal((dim, dim)))[0]
    spectrum = np.geomspace(1, 1e-4, dim)
    Y = np.sqrt(spectrum[:rank, None]) * Q[:, :rank].T
    d = np.geomspace(1e-3, 1e-2, dim)
    return (Q * spectrum) @ Q.T, Y.T @ Y + np.diag(d), Y, d


def preconditioned(dim, seed=0):
    """H's arguments, solve and probe of P, and the exact eigenvalues of P^-1 H."""
    H, P, Y, d = pair(dim, seed=seed)
    inverse, exact = np.linalg.inv(P), scipy.linalg.eigh(H, P, eigvals_only=True)

    def probe(rng):
        signs = rng.choice([-1.0, 1.0], len(Y) + dim)
        return Y.T @ signs[: len(Y)] + np.sqrt(d) * signs[len(Y) :]

    return (lambda V: H @ V, dim, rng(), H), lambda V: inverse @ V, probe, exact


@NAMESPACES
@DTYPES
def test_lanczos_keeps_an_orthonormal_basis_of_the_krylov_space(xp, dtype):
    # without reorthogonalisation the isolated top value would appear many times
    values = np.append(np.linspace(0.9, 1, 299), 100.0)
    product, dim, draw, X = diagonal(values, xp, dtype)
    start = xp.asarray(draw.standard_normal(dim), dtype=X.dtype)
    *_, last = lanczos(product, start, 60)
    ritz, weights, bounds = last.eigenvalues()
    eps = float(xp.finfo(X.dtype).eps)
    assert_allclose(weights.sum(), 1, rtol=100 * eps)
    assert_allclose(ritz[-1], 100, rtol=10 * eps)
    assert ritz[-2] <= 1 + 1e3 * eps
    distances = np.min(np.abs(ritz[:, None] - values), axis=1)
    assert np.all(distances <= bounds + 1e3 * eps)


@NAMESPACES
@DTYPES
def test_quadrature_recovers_a_spectrum_of_few_distinct_values(xp, dtype):
    levels, counts = np.array([1.0, 2.0, 5.0, 10.0]), [300, 150, 100, 50]
    arguments = diagonal(np.repeat(levels, counts), xp, dtype)
    found = spectral_density(*arguments, n_probes=3, steps=4)
    eps = float(xp.finfo(arguments[-1].dtype).eps)
    assert_allclose(found.weights.sum(), 1, rtol=1e-14)
    assert_allclose(np.unique(found.nodes.round(4)), levels)
    assert_allclose(found.nodes, np.repeat(levels, 3), rtol=100 * eps)
    # all entries of a probe are of modulus 1: the weights are the shares, too
    assert_allclose(found.cdf([0.9, 1.1, 3, 6, 11]), [0, 0.5, 0.75, 11 / 12, 1], 1e-4)


def test_lanczos_stops_where_the_space_is_invariant():
    product, dim, draw, _ = diagonal(np.repeat([1.0, 3.0, 7.0], 50))
    calls = []
    spaces = list(
        lanczos(lambda v: calls.append(1) or product(v), draw.random(dim), 100)
    )
    assert len(calls) == len(spaces) == 3
    assert_allclose(spaces[-1].eigenvalues()[0], [1, 3, 7])


def test_moments_are_those_of_the_spectrum_within_monte_carlo_error():
    dim, probes = 400, 30
    H = pair(dim)[0]
    found = spectral_density(lambda v: H @ v, dim, rng(), H, n_probes=probes, steps=40)
    for power in (1, 2, 3):
        A = np.linalg.matrix_power(H, power)
        # variance of z'Az for signs z: twice the squares off the diagonal
        error = np.sqrt(2 * (np.sum(A**2) - np.sum(np.diag(A) ** 2)) / probes) / dim
        mean = found.mean(lambda v, power=power: v**power)
        assert abs(mean - np.trace(A) / dim) <= 4 * error


def test_preconditioned_moments_are_those_of_the_pencil():
    arguments, solve, probe, exact = preconditioned(400)
    found = spectral_density(*arguments, solve, probe, n_probes=60, steps=40)
    assert_allclose(found.weights.sum(), 1, rtol=1e-14)
    for function in (lambda v: v, lambda v: v**2, lambda v: v / (v + 1), np.sqrt):
        values = function(exact)
        # four standard deviations of the mean of z'f(A)z, at most 2 |f(A)|_F^2 / probes
        error = 4 * np.sqrt(2 * np.sum(values**2) / 60) / 400
        assert abs(found.mean(function) - values.mean()) <= error


def test_density_integrates_to_one_and_lines_have_the_width_asked_for():
    found = SpectralDensity(np.array([1.0, 100.0]), np.array([0.75, 0.25]), 4)
    grid = np.linspace(-50, 150, 20_001)
    share = found.density(grid, sigma=0.05)
    assert_allclose(scipy.integrate.trapezoid(share, grid), 1, rtol=1e-6)
    gauss = np.exp(-0.5 * ((grid - 1) / (0.05 * 99)) ** 2)
    near = np.abs(grid - 1) < 20
    expected = 0.75 * gauss / (0.05 * 99 * np.sqrt(2 * np.pi))
    assert_allclose(share[near], expected[near], rtol=1e-6)
    logs = np.geomspace(1e-2, 1e4, 20_001)
    decades = found.density(logs, sigma=0.05, log=True)
    assert_allclose(scipy.integrate.trapezoid(decades, np.log10(logs)), 1, rtol=1e-6)
    assert_allclose(decades.max(), 0.75 / (0.1 * np.sqrt(2 * np.pi)), rtol=1e-4)
    wide = found.density([1.0], sigma=0.05, log=True, extent=4)
    assert_allclose(wide, 0.75 / (0.2 * np.sqrt(2 * np.pi)), rtol=1e-4)


def test_zero_eigenvalues_stay_on_a_logarithmic_axis():
    found = SpectralDensity(np.array([-1e-20, 0.0, 2.0]), np.full(3, 1 / 3), 3)
    assert_allclose(found.positive(), [4.44e-16, 4.44e-16, 2], rtol=1e-2)
    assert np.isfinite(found.density([1e-16, 1.0], log=True)).all()
    same = SpectralDensity(np.zeros(1), np.ones(1), 5)
    assert np.isfinite(same.density([0.0, 1.0])).all()


@NAMESPACES
@DTYPES
@pytest.mark.parametrize("dim", [30, LARGE])
def test_top_eigenvalues_count_repeated_ones(xp, dtype, dim):
    values = np.geomspace(1, 1e-3, dim)
    values[:4] = 3.0
    found = top_eigenvalues(*diagonal(values, xp, dtype), k=6, rtol=1e-5)
    assert found.dtype == np.float64
    assert_allclose(found, np.sort(values)[::-1][:6], rtol=1e-5)


@pytest.mark.parametrize("dim", [60, LARGE])
def test_preconditioned_extremes_are_those_of_the_pencil(dim):
    arguments, solve, _, exact = preconditioned(dim)
    top = top_eigenvalues(*arguments, 5, solve)
    assert_allclose(top, exact[::-1][:5], rtol=1e-9)
    found = condition_number(*arguments, solve)
    assert_allclose(found, exact[-1] / exact[0], rtol=1e-2)  # its rtol


@NAMESPACES
@pytest.mark.parametrize("dim", [30, LARGE])
def test_condition_number_of_a_known_spectrum(xp, dim):
    arguments = diagonal(np.geomspace(1, 1e3, dim), xp)
    assert_allclose(condition_number(*arguments), 1e3, rtol=1e-2)  # its rtol


def test_few_products_leave_a_lower_bound_and_a_warning():
    arguments = diagonal(np.geomspace(1, 1e8, LARGE))
    with pytest.warns(ConvergenceWarning, match="lower bound after max_iter=20"):
        assert 1 < condition_number(*arguments, max_iter=20) < 1e8
    flat = diagonal(np.linspace(1, 1.001, LARGE))
    with pytest.warns(ConvergenceWarning, match="top_eigenvalues"):
        assert top_eigenvalues(*flat, 3, max_iter=2)[0] < 1.001


def test_singular_operator_has_no_condition_number():
    assert condition_number(*diagonal(np.arange(5.0))) == np.inf
    assert_allclose(top_eigenvalues(*diagonal(np.zeros(LARGE)), 3), np.zeros(3))


@NAMESPACES
@pytest.mark.parametrize(("dim", "rtol"), [(40, 1e-10), (LARGE, 0.02)])
def test_effective_dimension_equals_the_dense_formula(xp, dim, rtol):
    values, mu = np.geomspace(1, 1e-6, dim), 1e-3
    exact = np.trace(np.linalg.inv(np.diag(values) + mu * np.eye(dim)) * values)
    # on a diagonal matrix probes of signs have no variance: what is left is the rule's
    found = effective_dimension(*diagonal(values, xp), mu)
    assert_allclose(found, exact, rtol=rtol)


def test_wrong_arguments_are_named():
    arguments = diagonal(np.ones(3))
    with pytest.raises(ValueError, match="mu must be positive"):
        effective_dimension(*arguments, mu=0.0)
    with pytest.raises(ValueError, match="solve and probe together"):
        spectral_density(*arguments, solve=lambda v: v)
    with pytest.raises(ValueError, match="not positive definite"):
        eigenvalues(arguments[0], 3, arguments[-1], solve=lambda v: -v)


def dense_hessian(reference, w):
    """Hessian of one column where columns share theirs, else of all."""
    H = reference.hessian(w)
    if reference.loss == "squared_error" and reference.penalty.ndim == 1:
        K = reference.shape[1] if len(reference.shape) > 1 else 1
        return H[::K, ::K]
    return H


@pytest.mark.parametrize("storage", ["dense", "csr"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("loss", LOSSES)
def test_hessian_of_every_loss(loss, dtype, storage):
    X = half_empty(80, 6, dtype=dtype)
    reference = problem(loss, X, per_target=loss == "targets", intercept=False)
    f = reference.objective(sparse.csr_array(X) if storage == "csr" else X)
    w = reference.optimum
    exact = np.linalg.eigvalsh(dense_hessian(reference, w))
    spectrum = HessianSpectrum(f, w)
    # float32 blocks multiply as such: eps of the largest value, 1e4 times the smallest
    rtol = 1e-10 if dtype == "float64" else 1e-3
    assert spectrum.dim == len(exact)
    assert_allclose(spectrum.eigenvalues(), exact, rtol)
    assert_allclose(spectrum.top_eigenvalues(3), exact[::-1][:3], rtol)
    assert_allclose(spectrum.condition_number(), exact[-1] / exact[0], rtol)
    density = spectrum.density()
    assert_allclose(density.nodes, exact, rtol)
    assert_allclose(density.cdf(exact[-1] * 2), 1)
    penalties = np.broadcast_to(f.penalty.T, f.shape[::-1]).T.ravel()
    H = dense_hessian(reference, w)
    loss_part = H - np.diag(penalties if len(penalties) == len(H) else f.penalty)
    mu = 0.05
    dimension = np.trace(np.linalg.solve(loss_part + mu * np.eye(len(H)), loss_part))
    assert_allclose(spectrum.effective_dimension(mu), dimension, max(rtol, 1e-9))


def kappa(H, P):
    values = scipy.linalg.eigh(H, P, eigvals_only=True)
    return values[-1] / values[0]


@pytest.mark.parametrize("storage", ["dense", "csr"])
@pytest.mark.parametrize("preconditioner", PRECONDITIONERS)
@pytest.mark.parametrize("loss", ["squared_error", "logistic", "multinomial"])
def test_preconditioned_condition_number_of_every_preconditioner(
    loss, preconditioner, storage
):
    X = half_empty(90, 6)
    reference = problem(loss, X, intercept=False)
    f = reference.objective(sparse.csr_array(X) if storage == "csr" else X)
    w, H = reference.optimum, dense_hessian(reference, reference.optimum)
    spectrum = HessianSpectrum(f, w, preconditioner, rows=40, rho=0.01)
    P = PRECONDITIONERS[preconditioner]()
    draw, point = rng(), f.expand(w)  # the same rows: seed 0
    A = point.root(f.sample(40, draw))
    inverse = P.build(A, 0.01, draw, point.diagonal() + f.penalty).to_dense()
    K = len(H) // len(inverse)
    exact = kappa(H, np.linalg.inv(np.kron(inverse, np.eye(K))))
    assert_allclose(spectrum.condition_number(), exact, rtol=1e-8)


@pytest.mark.parametrize("preconditioner", ["auto", "nystrom", Nystrom(20)])
def test_preconditioning_by_default_lowers_the_condition_number(preconditioner):
    X = half_empty(2000, 60)
    reference = problem("logistic", X, mu=1e-4)
    f = reference.objective(X[:, :], intercept=True)
    before = HessianSpectrum(f).condition_number()
    after = HessianSpectrum(f, preconditioner=preconditioner)
    assert after.condition_number() < before / 20


def test_wide_hessian_is_probed_with_the_covariance_of_p():
    X = rng().standard_normal((300, LARGE)) * np.geomspace(1, 1e-2, LARGE)
    reference = problem("targets", X, per_target=True, intercept=False)
    f = reference.objective(X)
    spectrum = HessianSpectrum(f, preconditioner="nystrom")
    found = spectrum.density(n_probes=4, steps=60)
    # the same P: seed 0, 10 sqrt(n) rows, the penalty relative to the diagonal (mean)
    draw, ridge = rng(), reference.penalty.max(axis=1)
    point = f.expand(f.zeros())
    A, h = point.root(f.sample(170, draw)), point.diagonal() + ridge
    inverse = Nystrom().build(A, np.exp(np.mean(np.log(ridge / h))), draw, h).to_dense()
    H = X.T @ X / len(X)
    traces = [np.sum(inverse * (H + np.diag(mu))) for mu in reference.penalty.T]
    mean = np.sum(traces) / (3 * LARGE)
    # 4 x 1,800 signs, correlated by what P leaves of H
    assert_allclose(found.mean(lambda v: v), mean, rtol=0.05)


def test_a_rare_column_does_not_damp_all_others():
    X = half_empty(2000, 20) @ rng().standard_normal((20, 20))
    rare = np.zeros((2000, 1))
    rare[0] = 1.0
    found = []
    for data in (X, np.hstack([X, rare])):
        f = problem("squared_error", data, intercept=False).objective()
        found.append(HessianSpectrum(f, preconditioner="ssn").condition_number())
    assert found[1] < 2 * found[0]
    free = problem("squared_error", X, mu=0.0, intercept=False).objective()
    after = HessianSpectrum(free, preconditioner="ssn").condition_number()
    assert after < HessianSpectrum(free).condition_number() / 10


def test_products_alone_give_no_density_of_many_eigenvalues():
    X = rng().standard_normal((900, LARGE))
    f = problem("squared_error", X, intercept=False).objective(X)
    with pytest.raises(ValueError, match="needs a preconditioner by name"):
        HessianSpectrum(f, preconditioner="auto").density()
    multinomial = problem("multinomial", half_empty(50, 4)).objective()
    with pytest.raises(ValueError, match="multinomial"):
        HessianSpectrum(multinomial, preconditioner="auto")


@pytest.mark.parametrize(
    "model",
    [
        Ridge(alpha=0.3, random_state=0),
        RidgeClassifier(class_weight="balanced"),
        LogisticRegression(C=3.0, fit_intercept=False),
        LogisticRegression(C=0.5, class_weight="balanced", solver="lbfgs"),
    ],
)
def test_objective_of_an_estimator_is_the_one_it_minimised(model):
    X, y = load_iris(return_X_y=True)
    weights = rng().uniform(0.5, 2, len(y))
    model.fit(X, y, weights)
    before = {name: np.copy(value) for name, value in vars(model).items()}
    f, w = fitted_objective(model, X, y, weights)
    assert_allclose(f.value(w), model.history_["objective"][-1], rtol=1e-9)
    assert_allclose(f.gradient(w), 0, atol=1e-2 * np.abs(f.gradient(f.zeros())).max())
    assert vars(model).keys() == before.keys()
    assert_allclose(model.coef_, before["coef_"], rtol=0)
    spectrum = HessianSpectrum.from_estimator(model, X, y, weights)
    assert_allclose(spectrum.eigenvalues(), HessianSpectrum(f, w).eigenvalues())


def test_spectrum_of_an_unfitted_estimator_is_refused():
    with pytest.raises(NotFittedError):
        HessianSpectrum.from_estimator(Ridge(), np.eye(3), np.arange(3.0))


def test_condition_number_of_ridge_by_hand():
    X = half_empty(50, 5)
    y = X @ np.ones(5)
    model = Ridge(alpha=2.0, fit_intercept=False).fit(X, y)
    spectrum = HessianSpectrum.from_estimator(model, X, y)
    expected = np.linalg.cond(X.T @ X + 2 * np.eye(5))
    assert_allclose(spectrum.condition_number(), expected, rtol=1e-9)


def test_flat_direction_of_a_multinomial_intercept_is_told():
    X, y = load_iris(return_X_y=True)
    model = LogisticRegression().fit(X, y)
    assert HessianSpectrum.from_estimator(model, X, y).condition_number() == np.inf
