"""Fits of CuPy arrays on a CUDA device against those of the same NumPy arrays.

    python benchmarks/gpu.py [--rows 1000000] [--columns 300] [--components 15000]

Default fits of ridge and logistic regression on dense float32 and float64 arrays and on
CSR, then ridge on random features that are generated in every pass, 463,715 rows as
YearPredictionMSD has. Host and device take turns; the first fit of each, which
compiles, is not timed. X is in place before a fit starts, and a fit on the device ends
when all work on it is done.
"""

import argparse
import statistics
import time
import warnings

import numpy as np
from environment import machine
from features_large import COLUMNS, MU, ROWS, generated
from scaling import dense, thin

from promise_learn import LogisticRegression, RandomFeaturesRegressor, Ridge

ROUNDS = 3


def on_device(X):
    """Array or CSR matrix of the host, as CuPy's."""
    import cupy
    from cupyx.scipy import sparse

    return sparse.csr_matrix(X) if hasattr(X, "indptr") else cupy.asarray(X)


def on_host(x):
    """Array of the host."""
    return x.get() if hasattr(x, "get") else x


def seconds(model, X, y):
    """Time of a fit until the device is idle."""
    import cupy

    start = time.perf_counter()
    model.fit(X, y)
    cupy.cuda.Device().synchronize()
    return time.perf_counter() - start


def cases(options):
    """Name, estimator, X and y of every comparison."""
    n, p = options.rows, options.columns
    for task, make in (("ridge", Ridge), ("logistic", LogisticRegression)):
        X, y = dense(n, p, task, 0)
        for dtype in ("float32", "float64"):
            name = f"{task}, {n:,} x {p:,}, {dtype}"
            yield name, make(random_state=0), X.astype(dtype), y
        X, y = thin(n, 10 * p, 30 * n, task, 0)
        yield f"{task}, {n:,} x {10 * p:,}, CSR", make(random_state=0), X, y


def main(arguments=None):
    """Print a line a comparison."""
    import cupy

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--columns", type=int, default=300)
    parser.add_argument("--components", type=int, default=15_000)
    options = parser.parse_args(arguments)
    properties = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)
    print(f"{properties['name'].decode()}, CuPy {cupy.__version__}; {machine()}\n")
    warnings.simplefilter("always")
    for name, model, X, y in cases(options):
        places = {"host": (X, y), "device": (on_device(X), cupy.asarray(y))}
        times, found, solvers = {place: [] for place in places}, {}, {}
        for _ in range(1 + ROUNDS):
            for place, arrays in places.items():
                times[place].append(seconds(model, *arrays))
                found[place], solvers[place] = on_host(model.coef_), model.solver_
        host, device = (statistics.median(times[place][1:]) for place in places)
        apart = np.abs(found["host"] - found["device"]).max()
        apart /= np.abs(found["host"]).max()
        print(
            f"{name:40s} host {host:7.3f} s ({solvers['host']}), device "
            f"{device:7.3f} s ({solvers['device']}), ratio {host / device:5.1f}; "
            f"coefficients differ by {apart:.0e}",
            flush=True,
        )
    X, y = generated(ROWS)
    y = (y - y.mean()) / y.std()
    model = RandomFeaturesRegressor(
        options.components, alpha=MU * ROWS, random_state=0, gamma="scale"
    )
    X, y = cupy.asarray(X), cupy.asarray(y)
    times = [seconds(model, X, y) for _ in range(2)]
    history = model.history_
    print(
        f"random features, {ROWS:,} x {COLUMNS} -> {options.components:,}, stored: "
        f"{model.stored_}: device {times[-1]:.2f} s, {history['passes'][-1]:.1f} "
        f"passes, gap by its own estimate {history['gap'][-1]:.0e}; memory pool "
        f"{cupy.get_default_memory_pool().total_bytes() / 1e9:.1f} GB"
    )


if __name__ == "__main__":
    main()
