"""True gap of default fits on every data set of a folder, raw and badly scaled.

    PROMISE_LEARN_DATA=... python benchmarks/truthfulness.py [NAME ...] [--tol 1e-6]

Files in LIBSVM format are fitted as they are: +1 is the largest label, and files of
more than two classes are also fitted by the multinomial loss; targets are standardised.
In the second fit of each, columns are multiplied by 10^U(-3, 3). The minimum is the
lowest value that tight fits by two other solvers reach.
"""

import argparse
import os
import time
import warnings
from pathlib import Path

import numpy as np
from environment import machine
from scipy import sparse
from scipy.special import logsumexp
from sklearn.exceptions import ConvergenceWarning

from promise_learn import LogisticRegression, Ridge
from promise_learn.datasets import load_libsvm

FOLDER = Path(os.environ.get("PROMISE_LEARN_DATA", "."))
CONTINUOUS = 60  # more distinct targets than this, or fractions, are regression


def tasks(y):
    """Names of the tasks that targets y suit, with the targets of each."""
    labels = np.unique(y)
    if len(labels) > CONTINUOUS or (labels != np.round(labels)).any():
        yield "ridge", (y - y.mean()) / y.std()
        return
    yield "logistic", (y == labels[-1]).astype(float)
    if len(labels) > 2:
        yield "multinomial", np.searchsorted(labels, y).astype(float)


def objective(task, X, y, model):
    """Mean loss plus the penalty, in float64."""
    eta = X @ model.coef_.T + model.intercept_
    n = X.shape[0]
    if task == "ridge":
        loss = 0.5 * (y - eta) ** 2
    elif task == "logistic":
        loss = np.logaddexp(0, np.where(y > 0, -1, 1) * eta[:, 0])
    else:
        loss = logsumexp(eta, axis=1) - eta[np.arange(n), y.astype(int)]
    return loss.mean() + np.sum(model.coef_**2) / (2 * n)


def fit(task, X, y, **parameters):
    """Fitted model, seconds, and what it warned of a missed tol."""
    make = Ridge if task == "ridge" else LogisticRegression
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        start = time.perf_counter()
        model = make(random_state=0, **parameters).fit(X, y)
        seconds = time.perf_counter() - start
    return model, seconds, any("requested tol" in str(w.message) for w in caught)


def row(name, task, X, y, scaled, tol):
    """Print one line of the table; whether the fit told the truth."""
    fit(task, X, y, tol=tol, max_iter=1)  # compile
    model, seconds, warned = fit(task, X, y, tol=tol)
    value = objective(task, X, y, model)
    others = ("nystrom-pcg", "direct") if task == "ridge" else ("newton-cg", "auto")
    best = value
    for solver in others:
        try:
            tight, _, _ = fit(task, X, y, tol=1e-11, solver=solver, max_iter=3000)
        except ValueError as refusal:  # a dense factor that is too large
            print(f"  {solver}: {str(refusal)[:60]}")
            continue
        best = min(best, objective(task, X, y, tight))
    gap = (value - best) / abs(best)
    kind = "scaled" if scaled else "raw"
    print(
        f"{name:22s}{task:12s}{kind:7s}{X.shape[0]:8d} x {X.shape[1]:<8d}{gap:9.1e}"
        f"{model.history_['gap'][-1]:9.1e}{seconds:9.3f} s  {model.solver_:16s}"
        f"{'warned' if warned else ''}",
        flush=True,
    )
    return warned, gap


def main():
    """Print the table and its summary."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--tol", type=float, default=1e-6)
    options = parser.parse_args()
    names = options.names or sorted(p.name for p in FOLDER.iterdir() if p.is_file())
    print(machine(), "\n")
    heads = f"{'data set':22s}{'task':19s}{'rows x columns':19s}"
    print(f"{heads}{'true gap':>9s}{'told':>9s}")
    results = []
    for name in names:
        try:
            X, y = load_libsvm(name)
        except (ValueError, FileNotFoundError) as error:
            print(f"{name:22s}skipped: {str(error)[:70]}")
            continue
        for task, target in tasks(y):
            results.append(row(name, task, X, target, False, options.tol))
            factors = 10 ** np.random.default_rng(0).uniform(-3, 3, X.shape[1])
            scaled = sparse.csr_matrix(X @ sparse.diags(factors))
            results.append(row(name, task, scaled, target, True, options.tol))
    claims = [gap for warned, gap in results if not warned]
    print(
        f"\n{len(results)} fits, {len(claims)} report convergence, of these within tol "
        f"{sum(g <= options.tol for g in claims)}, within 10 tol "
        f"{sum(g <= 10 * options.tol for g in claims)}"
    )


if __name__ == "__main__":
    main()
