"""What a new process waits for: import, first fit with and without compiled code.

    python benchmarks/cold_start.py [--repeats 5] [--solvers auto ...] [--kernels]

Each figure is the median over fresh processes. "import": seconds of importing the
estimators after scikit-learn's linear models. "warm" and "cold": seconds of the first
fit (it imports Numba) less those of the second, with a filled and with an empty cache
of compiled code. With --kernels, a line for each compilation of a cold fit follows,
inner ones not included in outer ones.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from statistics import median

from environment import machine

STORAGES = ("C", "F", "csr")
ESTIMATORS = ("Ridge", "LogisticRegression")
SOLVERS = ("auto", "sketchy-sgd", "sketchy-svrg", "sketchy-saga", "sketchy-katyusha")


def probe(estimator, storage, solver):
    """Seconds of import, first fit and second fit, and of every compilation."""
    import numpy as np
    import sklearn.linear_model  # noqa: F401  its import is not ours

    start = time.perf_counter()
    from promise_learn import LogisticRegression, Ridge

    seconds = {"import": time.perf_counter() - start}
    from scipy.sparse import csr_array

    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((1000, 10)), rng.standard_normal(1000)
    store = {"C": np.ascontiguousarray, "F": np.asfortranarray, "csr": csr_array}
    kind, y = (Ridge, y) if estimator == "Ridge" else (LogisticRegression, y > 0)
    data, model = store[storage](X), kind(solver=solver, max_iter=5, random_state=0)
    warnings.simplefilter("ignore")  # so few iterations need not converge
    for fit in ("first", "second"):
        start = time.perf_counter()
        model.fit(data, y)
        seconds[fit] = time.perf_counter() - start
    return seconds


def compilations(*case):
    """Name and seconds of each kernel that a case compiles, slowest first."""
    from numba.core.event import install_recorder

    with install_recorder("numba:compile") as recorder:
        probe(*case)
    totals, open_since = {}, []
    for now, event in recorder.buffer:
        if event.is_start:
            open_since.append([now, 0.0])
            continue
        start, inner = open_since.pop()
        function = event.data["dispatcher"].py_func
        own = function.__module__.startswith("promise_learn")
        name = function.__name__ if own else "functions of Numba"
        totals[name] = totals.get(name, 0.0) + now - start - inner
        if open_since:
            open_since[-1][1] += now - start
    return sorted(totals.items(), key=lambda item: -item[1])


def in_fresh_process(case, cache, kernels=False):
    """Result of `probe` or `compilations` in a process of its own.

    Python keeps its bytecode, as it does of installed packages.
    """
    env = {**os.environ, "NUMBA_CACHE_DIR": cache}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    run = subprocess.run(
        [sys.executable, __file__, "--probe", json.dumps([kernels, *case])],
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(run.stdout.splitlines()[-1])


def measure(case, repeats):
    """Medians of a case: import, warm and cold."""
    cold, warm = [], []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as cache:
            cold.append(in_fresh_process(case, cache))
            warm.append(in_fresh_process(case, cache))
    extra = [[run["first"] - run["second"] for run in runs] for runs in (warm, cold)]
    return median(run["import"] for run in warm), *map(median, extra)


def main():
    """Print a row for each estimator, solver and storage."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--solvers", nargs="+", default=SOLVERS)
    parser.add_argument("--kernels", action="store_true")
    parser.add_argument("--probe", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.probe:
        kernels, *case = json.loads(options.probe)
        print(json.dumps((compilations if kernels else probe)(*case)))
        return
    print(machine())
    print(f"medians of {options.repeats}, seconds\n")
    print(f"{'':<52}{'import':>8}{'warm':>8}{'cold':>8}")
    for solver in options.solvers:
        for estimator in ESTIMATORS:
            for storage in STORAGES:
                case = estimator, storage, solver
                figures = measure(case, options.repeats)
                row = "".join(f"{figure:>8.3f}" for figure in figures)
                print(f"{estimator:<22}{solver:<20}{storage:<10}{row}", flush=True)
                if options.kernels:
                    with tempfile.TemporaryDirectory() as cache:
                        for name, spent in in_fresh_process(case, cache, kernels=True):
                            print(f"    {name:<32}{spent:>8.2f}")


if __name__ == "__main__":
    main()
