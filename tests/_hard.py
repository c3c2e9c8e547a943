"""Problems at the edge: singular, badly scaled, saturated, tiny and huge."""

import numpy as np

from promise_learn.testing import DenseProblem, design_matrix


def build(X, y, loss, mu, *, s=None, columns=(), dtype=float):
    """Objective on centred rows with an intercept, and its dense reference."""
    X = np.asarray(X, dtype)
    s = np.ones(len(X)) if s is None else s
    s = s / s.sum()
    shift = s @ X.astype(float)
    penalty = np.append(np.full(X.shape[1], mu), 0.0)
    Z = design_matrix(X, shift, intercept=True)
    reference = DenseProblem(Z, y, loss, s, penalty, (Z.shape[1], *columns))
    return reference.objective(X, shift=shift, intercept=True), reference


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def scales(p, seed=1):
    """Column scales from 1e-3 to 1e3."""
    return 10 ** np.random.default_rng(seed).uniform(-3, 3, p)


def labels(n, loss, seed=2):
    """Targets that have nothing to do with X."""
    y = normal(n, seed=seed)
    return y if loss == "squared_error" else np.where(y > 0, 1.0, -1.0)


def degenerate(n=200):
    """A zero column, a duplicate one and a constant one."""
    X = normal(n, 10)
    X[:, 3], X[:, 5], X[:, 6] = 0, X[:, 4], 2.5
    return X


def rare_class(loss):
    """20,000 rows, four or fewer of each class but the first."""
    n, rng = 20_000, np.random.default_rng(0)
    y = np.zeros(n) if loss == "multinomial" else -np.ones(n)
    for code in (1.0, 2.0) if loss == "multinomial" else (1.0,):
        y[rng.choice(n, 4, replace=False)] = code
    columns = (3,) if loss == "multinomial" else ()
    return build(normal(n, 5), y, loss, 1 / n, columns=columns)


def few_weights(n=20_000):
    """Only twelve rows of 20,000 have a weight."""
    s = np.zeros(n)
    s[np.random.default_rng(0).choice(n, 12, replace=False)] = 1
    return build(normal(n, 5), labels(n, "logistic"), "logistic", 1e-3, s=s)


def sorted_rows(n=20_000):
    X = normal(n, 5)
    y = np.where(X[:, 0] + 0.5 * normal(n, seed=1) > 0, 1.0, -1.0)
    order = np.argsort(y)
    return build(X[order], y[order], "logistic", 1 / n)


def separable(n, p, mu):
    X = normal(n, p)
    return build(X, np.where(X[:, 0] > 0, 1.0, -1.0), "logistic", mu)


def long_columns(loss, mu, length=1e10):
    """Three long columns, beside which products of rows hide the others.

    Where they have length one, no penalty is as good as theirs, of mu / length^2.
    """
    X, long = normal(40, 60), np.repeat([length, 1.0], [3, 57])
    f, reference = build(X * long, labels(40, loss), loss, mu)
    _, alike = build(X, labels(40, loss), loss, mu)
    alike.penalty[:3] = 0.0
    reference.minimum = alike.minimum
    return f, reference


LOGISTIC = {
    "a rare class": lambda: rare_class("logistic"),
    "two rare classes": lambda: rare_class("multinomial"),
    "few weights": few_weights,
    "sorted rows": sorted_rows,
    "separable": lambda: separable(300, 4, 1e-12),
    "separable, n < p": lambda: separable(30, 60, 1e-10),
    "weights over 20 decades": lambda: build(
        normal(60, 5), labels(60, "logistic"), "logistic", 1e-2,
        s=10 ** np.random.default_rng(0).uniform(-10, 10, 60),
    ),
}  # fmt: skip

BOTH = {
    "degenerate": lambda loss: build(degenerate(), labels(200, loss), loss, 1e-3),
    "degenerate, no penalty": lambda loss: build(
        degenerate(), labels(200, loss), loss, 0.0
    ),
    "large means": lambda loss: build(
        normal(200, 10) + 1e4, labels(200, loss), loss, 1e-3
    ),
    "large means, n < p": lambda loss: build(
        normal(40, 60) + 1e4, labels(40, loss), loss, 1e-3
    ),
    "scaled, n < p": lambda loss: build(
        normal(40, 60) * scales(60), labels(40, loss), loss, 1e-3
    ),
    "scaled, n < p, weak penalty": lambda loss: build(
        normal(40, 60) * scales(60), labels(40, loss), loss, 1e-9
    ),
    "scaled, n < p, float32": lambda loss: build(
        normal(40, 60) * scales(60), labels(40, loss), loss, 1e-3, dtype=np.float32
    ),
    "means, n < p, float32": lambda loss: build(
        normal(40, 60) + 30, labels(40, loss), loss, 1e-3, dtype=np.float32
    ),
    "long columns, n < p": lambda loss: long_columns(loss, 1e-3),
    "long columns, n < p, weak penalty": lambda loss: long_columns(loss, 1e-9),
    "columns of 1e7, n < p": lambda loss: long_columns(loss, 1e-3, 1e7),
    "columns of 1e7, n < p, weak penalty": lambda loss: long_columns(loss, 1e-9, 1e7),
    "scaled, float32": lambda loss: build(
        normal(200, 20) * scales(20), labels(200, loss), loss, 1e-3, dtype=np.float32
    ),
    "scaled, weak penalty": lambda loss: build(
        normal(200, 20) * scales(20), labels(200, loss), loss, 1e-9
    ),
    "one row": lambda loss: build(normal(1, 3), labels(1, loss), loss, 1e-2),
    "one row, n < p": lambda loss: build(normal(1, 30), labels(1, loss), loss, 1e-2),
    "zero X": lambda loss: build(np.zeros((30, 5)), labels(30, loss), loss, 1e-2),
    "zero X, n < p": lambda loss: build(np.zeros((5, 30)), labels(5, loss), loss, 1e-2),
}

RIDGE = {
    "zero y": lambda: build(normal(50, 5), np.zeros(50), "squared_error", 1e-2),
    "constant y": lambda: build(normal(50, 5), np.full(50, 3.0), "squared_error", 1e-2),
    "large mean of y": lambda: build(
        normal(50, 5), labels(50, "squared_error") + 1e8, "squared_error", 1e-2
    ),
    "huge y": lambda: build(
        normal(50, 5), labels(50, "squared_error") * 1e100, "squared_error", 1e-2
    ),
    "tiny y": lambda: build(
        normal(50, 5), labels(50, "squared_error") * 1e-100, "squared_error", 1e-2
    ),
}

HARD = {
    **{f"logistic, {name}": make for name, make in LOGISTIC.items()},
    **{f"ridge, {name}": make for name, make in RIDGE.items()},
    **{
        f"{loss}, {name}": lambda make=make, loss=loss: make(loss)
        for loss in ("squared_error", "logistic")
        for name, make in BOTH.items()
    },
}
"""Name to a function without arguments that gives (Objective, DenseProblem)."""
