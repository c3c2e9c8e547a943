"""Random features against scikit-learn: whole pipelines, kernel ridge, and digits.

    python benchmarks/features_compare.py [--tasks pipelines,kernel,floor,digits]

``pipelines``: make_pipeline(RBFSampler or Nystroem, Ridge) against
RandomFeaturesRegressor with as many features of either approximation, on standardised
columns and targets; ``kernel``: KernelRidge on 10,000 rows, with the gamma and alpha
that are best on a fifth of them held out, against 4,000 features of every kind with the
same two and with their own choice by the same rule; ``floor``: KernelRidge of fixed
penalties against itself on 4,000 eigenvectors of its kernel matrix, the nearest one of
that rank, and against as many features; ``digits``:
RandomFeaturesClassifier with 10,000 features on mnist, pixels in [0, 1]. A case runs in
a process of its own, after a small fit that loads code; libraries take turns, seeds
change with the round, and medians count. Peak memory is what the process takes beyond
the data, from the start of the fit to the end of the prediction.
"""

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
import time
from statistics import median

import numpy as np
from environment import machine
from memory import peak, reset_peak
from problems import Spec, find, load
from scipy.linalg import eigh
from sklearn.kernel_approximation import Nystroem, RBFSampler
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.pipeline import make_pipeline

from promise_learn import RandomFeaturesClassifier, RandomFeaturesRegressor

SETS = ("cadata", "uci_kin40k.csv", "SUSY_30k", "pmlb_574_house_16H.tsv")
WIDTH = 4_000
COMPONENTS = (1_000, WIDTH)
ALPHA, TEST = 0.1, 0.2
CUT = 10_000
GAMMAS, ALPHAS = (0.25, 1.0, 4.0), (1e-3, 1e-2, 1e-1, 1.0, 10.0)  # gamma times columns
DIGITS = {"squared_error": 10.0, "log_loss": 10.0}  # C by loss
PIXEL_GAMMA = 0.02
KINDS = ("gaussian", "orthogonal", "nystrom")
OURS = {"promise_learn": "auto", "ours, nystrom": "nystrom"}


def split(name, seed, rows=None):
    """Standardised X and y, four fifths to train on (or so many rows), one to test."""
    problem = load(Spec(name, "ridge", "std"))
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(problem.y))
    held = int(TEST * len(order))
    train = order[held : None if rows is None else held + rows]
    test = order[:held]
    return problem.X[train], problem.y[train], problem.X[test], problem.y[test]


def estimator(kind, width, seed, n_columns):
    """Regressor of a kind, all with the same kernel and penalty."""
    gamma = 1.0 / n_columns
    if kind in OURS:
        return regressor(OURS[kind], gamma, ALPHA, seed, width=width)
    sampler = RBFSampler if kind == "RBFSampler" else Nystroem
    features = sampler(gamma=gamma, n_components=width, random_state=seed)
    return make_pipeline(features, Ridge(alpha=ALPHA))


def root_mean_square(model, X, y):
    """Error of a model's predictions."""
    return float(np.sqrt(np.mean((model.predict(X) - y) ** 2)))


def regressor(kind, gamma, alpha, seed, cache=None, width=WIDTH):
    """Kernel ridge, or random features of a projection, or Nyström features."""
    if kind == "kernel ridge":
        return KernelRidge(kernel="rbf", gamma=gamma, alpha=alpha)
    name = "approximation" if kind == "nystrom" else "projection"
    settings = {name: kind, "random_state": seed, "cache": cache}
    return RandomFeaturesRegressor(width, gamma=gamma, alpha=alpha, **settings)


def validated(kind, X, y, seed):
    """Gamma and alpha with the smallest error on a fifth of the rows."""
    held, pairs = int(TEST * len(y)), itertools.product(GAMMAS, ALPHAS)

    def error(pair):
        model = regressor(kind, pair[0] / X.shape[1], pair[1], seed, cache)
        return root_mean_square(model.fit(X[held:], y[held:]), X[:held], y[:held])

    with tempfile.TemporaryDirectory() as cache:
        return min(pairs, key=error)


def report(name, kind, gamma, alpha, error, exact, seconds):
    """Print a test error and its ratio to that of kernel ridge."""
    print(
        f"{name:24s}{kind:18s} gamma {gamma:5.2f} / columns  alpha {alpha:6.3f}"
        f"  error {error:.4f}  ratio {error / exact:.3f}  {seconds:6.1f} s",
        flush=True,
    )


def fitted(kind, gamma, alpha, seed, data):
    """Test error and seconds of one fit."""
    X, y, X_test, y_test = data
    start = time.perf_counter()
    model = regressor(kind, gamma / X.shape[1], alpha, seed).fit(X, y)
    seconds = time.perf_counter() - start
    return root_mean_square(model, X_test, y_test), seconds


def floor(name, seed):
    """Print test errors of kernel ridge on the leading eigenvectors of its matrix.

    Whatever the features, their Gram matrix has no more rank than they are many; these
    vectors give the one that is nearest to the kernel matrix.
    """
    data = X, y, X_test, y_test = split(name, seed, CUT)
    n = len(y)
    K, K_test = (rbf_kernel(Z, X) for Z in (X, X_test))
    values, V = eigh(K, subset_by_index=[n - WIDTH, n - 1], overwrite_a=True)
    along = V.T @ y
    for alpha in ALPHAS:
        exact, seconds = fitted("kernel ridge", 1.0, alpha, seed, data)
        report(name, "kernel ridge", 1.0, alpha, exact, exact, seconds)
        off = K_test @ (V @ (along / (values + alpha))) - y_test
        error = float(np.sqrt(np.mean(off**2)))
        report(name, "eigenvectors", 1.0, alpha, error, exact, np.nan)
        for kind in KINDS[1:]:
            error, seconds = fitted(kind, 1.0, alpha, seed, data)
            report(name, kind, 1.0, alpha, error, exact, seconds)


def exact(name, seed):
    """Print test errors of kernel ridge and of features, and their ratio."""
    data = X, y, _, _ = split(name, seed, CUT)
    best, first = validated("kernel ridge", X, y, seed), None
    choices = [("kernel ridge", best)]
    for kind in KINDS:
        choices += [(kind, best), (kind, validated(kind, X, y, seed))]
    for kind, (gamma, alpha) in choices:
        error, seconds = fitted(kind, gamma, alpha, seed, data)
        first = first or error
        report(name, kind, gamma, alpha, error, first, seconds)


def regress(kind, name, width, seed):
    """Seconds, extra bytes and test error of one fit and prediction."""
    X, y, X_test, y_test = split(name, seed)
    small = estimator(kind, 50, seed, X.shape[1]).fit(X[:2000], y[:2000])
    small.predict(X[:10])
    model = estimator(kind, width, seed, X.shape[1])
    before, start = reset_peak(), time.perf_counter()
    error = model.fit(X, y).predict(X_test) - y_test
    seconds = time.perf_counter() - start
    rmse = float(np.sqrt(np.mean(error**2)))
    return {"seconds": seconds, "extra": peak() - before, "error": rmse}


def digits(loss, width, seed):
    """Seconds, resident bytes and test error on mnist."""
    with np.load(find("mnist.npz")) as arrays:
        X, X_test = (
            (arrays[name] / 255).astype(np.float32) for name in ("X_train", "X_test")
        )
        y, y_test = arrays["y_train"], arrays["y_test"]
    model = RandomFeaturesClassifier(
        width, gamma=PIXEL_GAMMA, loss=loss, C=DIGITS[loss], random_state=seed
    )
    reset_peak()
    start = time.perf_counter()
    model.fit(X, y)
    seconds, top = time.perf_counter() - start, peak()
    return {
        "seconds": seconds,
        "resident": top,
        "error": 100 * (1 - float(model.score(X_test, y_test))),
        "passes": float(model.history_["passes"][-1]),
        "solver": model.solver_,
        "stored": model.stored_,
    }


def in_process(*task):
    """Run one task in a process of its own."""
    run = subprocess.run(
        [sys.executable, __file__, "--probe", json.dumps(task)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(run.stdout)


def compare(name, width, kinds, rounds):
    """Print medians of every kind, and the ratios to ours."""
    found = {kind: [] for kind in kinds}
    for seed in range(rounds):
        for kind in kinds:
            found[kind].append(in_process("regress", kind, name, width, seed))
    middle = {
        kind: {key: median(run[key] for run in runs) for key in runs[0]}
        for kind, runs in found.items()
    }
    ours = middle["promise_learn"]
    for kind, run in middle.items():
        spread = np.std([one["error"] for one in found[kind]])
        print(
            f"{name:24s}{width:6d}  {kind:15s}{run['seconds']:8.2f} s"
            f"{run['extra'] / 1e6:8.0f} MB  error {run['error']:.4f} +- {spread:.4f}"
            f"  time {run['seconds'] / ours['seconds']:6.2f}"
            f"  memory {run['extra'] / ours['extra']:6.2f}",
            flush=True,
        )


def main(arguments=None):
    """Read the command line and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", default="pipelines,kernel,floor,digits")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--components", default=",".join(map(str, COMPONENTS)))
    parser.add_argument("--losses", default=",".join(DIGITS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--probe", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.probe:
        task, *given = json.loads(options.probe)
        print(json.dumps((digits if task == "digits" else regress)(*given)))
        return
    print(machine(), "\n")
    tasks, names = options.tasks.split(","), options.sets.split(",")
    if "pipelines" in tasks:
        kinds = (*OURS, "RBFSampler", "Nystroem")
        for name in names:
            for width in map(int, options.components.split(",")):
                compare(name, width, kinds, options.rounds)
    if "kernel" in tasks:
        for name in names[:2]:
            for seed in range(options.rounds):
                exact(name, seed)
    if "floor" in tasks:
        for name in names[:2]:
            floor(name, 0)
    if "digits" in tasks:
        for loss in options.losses.split(","):
            run = in_process("digits", loss, 10_000, 0)
            print(
                f"mnist, 10,000 features, {loss}: {run['seconds']:.0f} s, test error "
                f"{run['error']:.2f} %, peak resident {run['resident'] / 1e9:.2f} GB, "
                f"{run['solver']}, {run['passes']:.0f} passes, "
                f"{'stored' if run['stored'] else 'generated'}",
                flush=True,
            )


if __name__ == "__main__":
    main()
