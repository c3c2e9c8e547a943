"""Random features against scikit-learn: whole pipelines, kernel ridge, and digits.

    python benchmarks/features_compare.py [--tasks pipelines,kernel,digits] [--rounds 3]

``pipelines``: make_pipeline(RBFSampler or Nystroem, Ridge) against
RandomFeaturesRegressor with as many features, on standardised columns and targets;
``kernel``: KernelRidge on 10,000 rows against the same with 4,000 features; ``digits``:
RandomFeaturesClassifier with 10,000 features on mnist, pixels in [0, 1]. A case runs in
a process of its own, after a small fit that loads code; libraries take turns, seeds
change with the round, and medians count. Peak memory is what the process takes beyond
the data, from the start of the fit to the end of the prediction.
"""

import argparse
import json
import subprocess
import sys
import time
from statistics import median

import numpy as np
from environment import machine
from memory import peak, reset_peak
from problems import Spec, find, load
from sklearn.kernel_approximation import Nystroem, RBFSampler
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from promise_learn import RandomFeaturesClassifier, RandomFeaturesRegressor

SETS = ("cadata", "uci_kin40k.csv", "SUSY_30k", "pmlb_574_house_16H.tsv")
COMPONENTS = (1_000, 4_000)
ALPHA, TEST = 0.1, 0.2
CUT = 10_000
DIGITS = {"squared_error": 10.0, "log_loss": 10.0}  # C by loss
PIXEL_GAMMA = 0.02


def split(name, seed, rows=None):
    """Standardised X and y, four fifths to train on (or as many rows), one to test."""
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
    if kind == "kernel ridge":
        return KernelRidge(kernel="rbf", gamma=gamma, alpha=ALPHA)
    if kind == "promise_learn":
        return RandomFeaturesRegressor(
            width, gamma=gamma, alpha=ALPHA, random_state=seed
        )
    sampler = RBFSampler if kind == "RBFSampler" else Nystroem
    features = sampler(gamma=gamma, n_components=width, random_state=seed)
    return make_pipeline(features, Ridge(alpha=ALPHA))


def regress(kind, name, width, seed, rows):
    """Seconds, extra bytes and test error of one fit and prediction."""
    X, y, X_test, y_test = split(name, seed, rows)
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


def compare(name, width, kinds, rounds, rows=None):
    """Print medians of every kind, and the ratios to ours."""
    found = {kind: [] for kind in kinds}
    for seed in range(rounds):
        for kind in kinds:
            found[kind].append(in_process("regress", kind, name, width, seed, rows))
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
    parser.add_argument("--tasks", default="pipelines,kernel,digits")
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
    tasks = options.tasks.split(",")
    if "pipelines" in tasks:
        kinds = ("promise_learn", "RBFSampler", "Nystroem")
        for name in options.sets.split(","):
            for width in map(int, options.components.split(",")):
                compare(name, width, kinds, options.rounds)
    if "kernel" in tasks:
        for name in SETS[:2]:
            kinds = ("promise_learn", "kernel ridge")
            compare(name, max(COMPONENTS), kinds, options.rounds, CUT)
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
