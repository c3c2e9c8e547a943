"""What every design must do."""

import numpy as np
from numpy.testing import assert_allclose

from .._arrays import dense
from ..losses import Logistic, Multinomial, SquaredError


def check_design(design, matrix, rtol=1e-12):
    """Check that a design behaves as the dense matrix that it stands for.

    ``dot``, ``adjoint``, ``curved`` and ``expand`` on a vector and on a block of three
    columns, ``squares``, ``gram``, ``root`` and ``subset``, each against NumPy.

    Parameters
    ----------
    design : Design
    matrix : array (n, dim)
        The same in dense float64, built without the package.
    rtol : float, default=1e-12
        Error allowed, relative to the largest entry of a result.

    Raises
    ------
    AssertionError
        If a verb gives another result.

    Examples
    --------
    >>> import numpy as np
    >>> from promise_learn.design import Design
    >>> from promise_learn.testing import check_design
    >>> X = np.arange(12.0).reshape(6, 2)
    >>> check_design(Design(X, intercept=True), np.hstack([X, np.ones((6, 1))]))
    """
    n = matrix.shape[0]
    assert design.shape == matrix.shape, f"shape {design.shape}, not {matrix.shape}"
    _check_products(design, matrix, rtol)
    _check_second_order(design, matrix, rtol)
    rows = np.arange(n - 1, -1, -2)
    part = design.subset(rows)
    assert part.shape == (len(rows), matrix.shape[1]), "subset has another shape"
    _check_products(part, matrix[rows], rtol)
    _check_second_order(part, matrix[rows], rtol)


def _close(actual, expected, rtol, what):
    actual = np.asarray(actual)
    assert actual.shape == np.shape(expected), (
        f"{what}: shape {actual.shape}, not {np.shape(expected)}"
    )
    atol = rtol * max(np.max(np.abs(expected), initial=0.0), 1e-300)
    assert_allclose(actual, expected, 0, atol, err_msg=what)


def _check_products(design, Z, rtol):
    """First-order verbs, on a vector and on a block."""
    rng, (n, dim) = np.random.default_rng(0), Z.shape
    s, d = rng.dirichlet(np.ones(n)), rng.random(n)
    for columns in ((), (3,)):
        w, r = rng.standard_normal((dim, *columns)), rng.standard_normal((n, *columns))
        weight = d.reshape(n, *(1 for _ in columns))
        what = "a block" if columns else "a vector"
        _close(design.dot(w), Z @ w, rtol, f"dot of {what}")
        _close(design.adjoint(r), Z.T @ r, rtol, f"adjoint of {what}")
        curved = Z.T @ (weight * (Z @ w))
        _close(design.curved(d, w), curved, rtol, f"curved of {what}")
        labels = rng.choice([-1.0, 1.0], n)
        losses = [(SquaredError(), r), (Logistic(), labels)]
        if columns:
            losses[1] = (Multinomial(), rng.integers(0, 3, n).astype(float))
        for loss, y in losses:
            _check_expand(design, Z, loss, w, y, s, rtol)


def _check_expand(design, Z, loss, w, y, s, rtol):
    """Value, margins, curvature and gradient from one read of X."""
    value, slope, curvature = loss.evaluate(Z @ w, y)
    weight = s if slope.ndim == 1 else s[:, None]
    curvature = s * curvature if curvature.ndim == 1 else curvature
    value = np.sum(weight * value) if value.ndim > 1 else s @ value
    expected = value, Z @ w, curvature, Z.T @ (weight * slope)
    names = ("value", "margins", "curvature", "gradient")
    actual = design.expand(loss, w, y, s)
    assert isinstance(actual[0], float), "expand: the value is not a float"
    for one, other, name in zip(actual, expected, names, strict=True):
        _close(one, other, rtol, f"expand, {type(loss).__name__}: {name}")
    *actual, squares = design.expand_with_squares(loss, w, y, s)
    for one, other, name in zip(actual, expected, names, strict=True):
        _close(one, other, rtol, f"expand_with_squares: {name}")
    if squares is not None:
        diagonal = curvature @ Z**2
        _close(squares, diagonal, 10 * rtol, "squares by the way")


def _check_second_order(design, Z, rtol):
    """Diagonal, Gram matrix and row blocks of Z' diag(d) Z."""
    rng, n = np.random.default_rng(1), Z.shape[0]
    d = rng.random(n)
    d[: n // 4] = 0.0
    gram = Z.T @ (d[:, None] * Z)
    _close(design.gram(d), gram, rtol, "gram")
    assert np.asarray(design.gram(d)).dtype == np.float64, "gram is not float64"
    _close(design.squares(d), np.diag(gram), 10 * rtol, "squares")
    rows = rng.permutation(n)[: n // 2]
    root = np.sqrt(d[rows])[:, None] * Z[rows]
    if design.rows.sparse and design.shift is not None:
        _check_refusal(design, rows, d)
        return
    _close(dense(design.root(rows, d[rows])), root, max(rtol, 1e-15), "root")


def _check_refusal(design, rows, d):
    try:
        design.root(rows, d[rows])
    except ValueError:
        return
    raise AssertionError("root centres sparse rows, which makes them dense")
