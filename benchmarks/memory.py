"""Peak memory of a fit beyond X and y, for every way to store X.

    python benchmarks/memory.py [--gigabytes 2] [--storage C,csr] [--solvers auto]

Each case has processes of its own: one that fits a single iteration, so that compiled
code is in Numba's cache, and one that is measured, in which a fit of a small problem
has loaded that code before. X is made in place, block by block, and the peak is reset
before the fit where the system can. A row above 0.3 of the bytes of X is marked.
"""

import argparse
import itertools
import json
import resource
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from environment import machine
from scipy import sparse

from promise_learn import LogisticRegression, Ridge

COLUMNS = 200
SPARSE_COLUMNS = 20_000
ENTRIES = 50  # of a sparse row
BLOCK = 4_096
SMALL = 1e6  # bytes of X of the fit that loads compiled code
MARKED = 0.3
STATUS = Path("/proc/self/status")


def make(storage, dtype, size):
    """X of about `size` bytes with columns of falling scale, and labels from a model.

    Parameters
    ----------
    storage : {"C", "F", "csr"}
    dtype : str
    size : float

    Returns
    -------
    X : ndarray or csr_matrix
    y : ndarray
        0 or 1, float64: a target for ridge too.
    """
    rng = np.random.default_rng(0)
    width = np.dtype(dtype).itemsize
    if storage == "csr":
        X = _sparse(max(int(size / (ENTRIES * (width + 4))), 10), dtype, rng)
    else:
        shape = max(int(size / (COLUMNS * width)), 10), COLUMNS
        X = _dense(np.empty(shape, dtype, order=storage), rng)
    w = rng.standard_normal(X.shape[1]).astype(dtype)
    margins = np.empty(X.shape[0])
    for start in range(0, X.shape[0], BLOCK):
        margins[start : start + BLOCK] = X[start : start + BLOCK] @ w
    return X, (margins + rng.logistic(size=len(margins)) > 0).astype(np.float64)


def _dense(X, rng):
    scales = np.arange(1, X.shape[1] + 1, dtype=X.dtype) ** -1.0
    for start in range(0, X.shape[0], BLOCK):
        block = X[start : start + BLOCK]
        block[:] = rng.standard_normal(block.shape, dtype=X.dtype)
        block *= scales
    return X


def _sparse(n, dtype, rng):
    """One entry of each row in each of as many ranges of columns, so all are sorted."""
    values = np.empty(n * ENTRIES, dtype)
    columns = np.empty(n * ENTRIES, np.int32)
    starts = np.arange(ENTRIES, dtype=np.int32) * (SPARSE_COLUMNS // ENTRIES)
    for start in range(0, n, BLOCK):
        shape = min(BLOCK, n - start), ENTRIES
        part = slice(start * ENTRIES, (start + shape[0]) * ENTRIES)
        chosen = starts + rng.integers(0, starts[1], shape, dtype=np.int32)
        columns[part] = chosen.ravel()
        values[part] = rng.standard_normal(shape[0] * ENTRIES, dtype=dtype)
        values[part] /= 1 + columns[part] % 100
    indptr = np.arange(0, n * ENTRIES + 1, ENTRIES, dtype=np.int32)
    return sparse.csr_matrix((values, columns, indptr), shape=(n, SPARSE_COLUMNS))


def n_bytes(X):
    """Bytes of an array or CSR matrix."""
    if sparse.issparse(X):
        return X.data.nbytes + X.indices.nbytes + X.indptr.nbytes
    return X.nbytes


def resident(field):
    """Bytes of a field of the process's status, or None where there is no such file."""
    if not STATUS.exists():
        return None
    lines = STATUS.read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(field))


def reset_peak():
    """Resident bytes now; the peak counts from here where the system can reset it."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return max_resident()
    return resident("VmRSS")


def peak():
    """Largest resident bytes since `reset_peak`."""
    return resident("VmHWM") or max_resident()


def max_resident():
    """Largest resident bytes of the process's life."""
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def measure(case, size, task, max_iter):
    """Bytes of X, extra bytes and seconds of one fit in this process."""
    storage, dtype, solver = case
    kind = Ridge if task == "ridge" else LogisticRegression
    model = kind(solver=solver, max_iter=max_iter, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(*make(storage, dtype, SMALL))
        X, y = make(storage, dtype, size)
        before, start = reset_peak(), time.perf_counter()
        model.fit(X, y)
    extra, seconds = peak() - before, time.perf_counter() - start
    return {
        "bytes": n_bytes(X),
        "extra": extra,
        "seconds": seconds,
        "solver": model.solver_,
        "gap": float(model.history_["gap"][-1]),
    }


def in_process(case, size, task, max_iter=None):
    """Result of `measure` in a process of its own."""
    probe = json.dumps([case, size, task, max_iter])
    run = subprocess.run(
        [sys.executable, __file__, "--probe", probe],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(run.stdout)


def main(arguments=None):
    """Read the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=2.0, help="size of X")
    parser.add_argument("--storage", default="C,F,csr")
    parser.add_argument("--dtypes", default="float64,float32")
    parser.add_argument("--solvers", default="auto,sketchy-saga")
    parser.add_argument("--task", choices=("logistic", "ridge"), default="logistic")
    parser.add_argument("--probe", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.probe:
        print(json.dumps(measure(*json.loads(options.probe))))
        return
    print(machine(), "\n")
    lists = (options.storage, options.dtypes, options.solvers)
    print(
        f"{'X':5s}{'dtype':9s}{'solver':31s}{'X':>9s}{'extra':>11s}{'ratio':>8s}"
        f"{'seconds':>10s}{'gap':>9s}"
    )
    for case in itertools.product(*(names.split(",") for names in lists)):
        size = options.gigabytes * 1e9
        in_process(case, size, options.task, max_iter=1)
        result = in_process(case, size, options.task)
        ratio = result["extra"] / result["bytes"]
        storage, dtype, solver = case
        chosen = f"{solver} ({result['solver']})" if solver == "auto" else solver
        print(
            f"{storage:5s}{dtype:9s}{chosen:31s}{result['bytes'] / 1e6:6.0f} MB"
            f"{result['extra'] / 1e6:8.0f} MB{ratio:8.3f}{result['seconds']:10.2f}"
            f"{result['gap']:9.0e}{'  above 0.3' if ratio > MARKED else ''}",
            flush=True,
        )


if __name__ == "__main__":
    main()
