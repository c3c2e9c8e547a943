"""What every loss must do."""

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

EXTREMES = (0.0, 1.0, -1.0, 30.0, -30.0, 700.0, -700.0, 1e4, -1e4)


def check_loss(loss, y, n_columns=None):
    """Check that a loss keeps the contract.

    Slope and curvature are the derivatives of value and slope (central differences, to
    1e-7), curvature is symmetric, not negative and below both of its bounds,
    ``evaluate`` agrees with the three, ``centred`` changes no sum, margins up to 1e4 in
    size give finite numbers without a warning of NumPy, and float32 stays float32. Rows
    at a jump of the second derivative are not to be expected among the margins.

    Parameters
    ----------
    loss : Loss
    y : array (n,) or (n, K)
        Admissible targets, at least 9 rows.
    n_columns : int, optional
        Margins of a row; None where they are a vector (n,).

    Raises
    ------
    AssertionError
        If a property fails.

    Examples
    --------
    >>> import numpy as np
    >>> from promise_learn.losses import Logistic
    >>> from promise_learn.testing import check_loss
    >>> check_loss(Logistic(), np.where(np.arange(10) % 3, 1.0, -1.0))
    """
    rng, n = np.random.default_rng(0), len(y)
    shape = (n,) if n_columns is None else (n, n_columns)
    eta = 3 * rng.standard_normal(shape)
    _check_derivatives(loss, eta, y, rng)
    _check_bounds(loss, eta, y)
    _check_evaluate(loss, eta, y)
    _check_centred(loss, eta, y, rng)
    _check_extremes(loss, rng, shape, y)
    _check_dtype(loss, eta, y)


def _total(loss, eta, y):
    value = loss.value(eta, y)
    return value if value.ndim == 1 else value.sum(axis=1)


def _check_derivatives(loss, eta, y, rng):
    h, t = 1e-5, rng.standard_normal(eta.shape)
    ahead, behind = eta + h * t, eta - h * t
    difference = (_total(loss, ahead, y) - _total(loss, behind, y)) / (2 * h)
    along = (loss.slope(eta, y) * t).reshape(len(y), -1).sum(axis=1)
    message = f"{type(loss).__name__}.slope is not the derivative of value"
    assert_allclose(along, difference, 1e-7, 1e-8, err_msg=message)
    difference = (loss.slope(ahead, y) - loss.slope(behind, y)) / (2 * h)
    product = loss.curvature_product(loss.curvature(eta, y), t)
    message = f"{type(loss).__name__}.curvature is not the derivative of slope"
    assert_allclose(product, difference, 1e-7, 1e-8, err_msg=message)


def _curvature_matrices(loss, eta, y):
    """Second derivative of every row, (n, K, K)."""
    curvature = loss.curvature(eta, y)
    if eta.ndim == 1:
        return loss.curvature_product(curvature, np.ones_like(eta))[:, None, None]
    units = np.eye(eta.shape[1])[:, None, :] * np.ones((len(eta), 1))
    return np.stack([loss.curvature_product(curvature, unit) for unit in units], axis=2)


def _check_bounds(loss, eta, y):
    name = type(loss).__name__
    C = _curvature_matrices(loss, eta, y)
    message = f"{name}.curvature is not symmetric"
    assert_allclose(C, np.swapaxes(C, 1, 2), 0, 1e-14, err_msg=message)
    eigenvalues = np.linalg.eigvalsh(C)
    assert eigenvalues.min() >= -1e-14, f"{name}.curvature is negative"
    top, bound = eigenvalues[:, -1], loss.curvature_bound(loss.curvature(eta, y))
    assert bound.shape == (len(y),), f"{name}.curvature_bound is not one number a row"
    assert (top <= bound + 1e-14).all(), (
        f"{name}.curvature_bound is below the curvature"
    )
    assert top.max() <= loss.max_curvature, (
        f"{name}.max_curvature is below the curvature"
    )


def _check_evaluate(loss, eta, y):
    separate = loss.value(eta, y), loss.slope(eta, y), loss.curvature(eta, y)
    for one, other in zip(loss.evaluate(eta, y), separate, strict=True):
        message = f"{type(loss).__name__}.evaluate disagrees with the single calls"
        assert_allclose(one, other, 1e-14, 1e-15, err_msg=message)


def _check_centred(loss, eta, y, rng):
    s = rng.random(len(y))
    s /= s.sum()
    targets, weights, shift = loss.centred(y, s)
    assert targets.shape == y.shape, f"{type(loss).__name__}.centred changes shapes"
    for part in (_total, _slopes):
        message = f"{type(loss).__name__}.centred is another problem"
        one, other = s @ part(loss, eta + shift, y), weights @ part(loss, eta, targets)
        assert_allclose(one, other, 1e-12, 1e-12, err_msg=message)


def _slopes(loss, eta, y):
    return loss.slope(eta, y)


def _check_extremes(loss, rng, shape, y):
    """Margins of +-1e4, alone and beside each other."""
    for extreme in (np.resize(EXTREMES, shape), rng.choice(EXTREMES, shape)):
        with np.errstate(all="raise", under="ignore"):
            value, slope, curvature = loss.evaluate(extreme, y)
            total, slope_alone = loss.value(extreme, y), loss.slope(extreme, y)
        name = type(loss).__name__
        assert_allclose(value, total, 1e-14, err_msg=f"{name}.value at margins of 1e4")
        assert_allclose(
            slope, slope_alone, 1e-12, 1e-15, err_msg=f"{name}.slope at 1e4"
        )
        finite = all(np.isfinite(part).all() for part in (value, slope, curvature))
        assert finite, f"{name} is not finite at margins of 1e4"
        assert (value >= 0).all(), f"{name}.value is negative at margins of 1e4"


def _check_dtype(loss, eta, y):
    single = loss.evaluate(eta.astype(np.float32), y.astype(np.float32))
    name = type(loss).__name__
    assert {part.dtype for part in single} == {np.dtype("float32")}, (
        f"{name} turns float32 into another type"
    )
    for part, exact in zip(single, loss.evaluate(eta, y), strict=True):
        assert_allclose(part, exact, 1e-4, 1e-5, err_msg=f"{name} in float32")
    assert_array_equal(loss.value(eta, y).shape[:1], eta.shape[:1])
