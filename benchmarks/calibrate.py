"""Measure the speeds that the cost model of solver="auto" assumes.

    python benchmarks/calibrate.py [--device]

Prints each rate of `promise_learn/design/rates.py` beside what this machine does, on
synthetic data larger than the caches. Only ratios matter to the model: a rate far from
the others is a reason to edit that file, and with it the table in
doc/how_to_choose.md.
"""

import argparse
import statistics
import time

import numpy as np
from environment import machine
from problems import random_csr
from scipy import sparse

from promise_learn import Ridge
from promise_learn.design import Design, FeatureRows, draw_map, rates
from promise_learn.linalg.cholesky import factor


def seconds(call, repeats):
    """Median time of a call that has been warmed up."""
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def dense(n, p, rng):
    """Centred dense design of standard normal numbers."""
    X = rng.standard_normal((n, p))
    return Design(X, X.mean(axis=0), intercept=True)


def features(n, d, rng):
    """Design of 2,000 generated features of d columns."""
    X = rng.standard_normal((n, d)).astype(np.float32)
    drawn = draw_map(X, 2_000, "rbf", 1.0 / d, 1, "gaussian", "kernel", rng)
    return Design(FeatureRows(X, drawn), intercept=True)


def measure(scale, repeats):
    """Yield the name of each rate and its value here."""
    rng = np.random.default_rng(0)

    def gram(design, unit=None):
        d = np.ones(design.shape[0])
        return seconds(lambda: design.gram(d, unit), repeats)

    def curved(design):
        d, v = np.ones(design.shape[0]), np.ones(design.shape[1])
        return seconds(lambda: design.curved(d, v), repeats)

    wide = dense(int(100_000 * scale), 500, rng)
    yield "DENSE_PASS", wide.rows.nbytes / curved(wide)
    yield "WIDE_GRAM", wide.shape[0] * 500**2 / gram(wide)
    unit = np.ones(wide.shape[1])
    yield "WIDE_GRAM, single", wide.shape[0] * 500**2 / gram(wide, unit)
    narrow = dense(int(500_000 * scale), 50, rng)
    yield "NARROW_GRAM", narrow.shape[0] * 50**2 / gram(narrow)
    short = Design(random_csr(int(500_000 * scale), 200, 15, rng), intercept=True)
    yield "SPARSE_PASS", curved(short) / short.rows.nnz
    full = Design(sparse.csr_matrix(rng.random((int(20_000 * scale), 200))))
    near = gram(full) / pairs(full)
    yield "SPARSE_GRAM", near
    long = Design(random_csr(int(500_000 * scale), 2000, 15, rng), intercept=True)
    far = gram(long) / pairs(long) - near
    yield "SPARSE_SCATTER", far * (1 + rates.SCATTERED * 15 / 2000)
    K = np.cov(rng.standard_normal((int(3000 * scale), 6000)).astype(np.float32))
    yield "FACTOR", len(K) ** 3 / 3 / seconds(lambda: factor(K), repeats)
    few, many = (features(int(50_000 * scale), d, rng) for d in (2, 256))
    least = curved(few) / few.rows.nnz
    yield "FEATURE", least
    yield "PROJECTION", 2 * 254 / (curved(many) / many.rows.nnz - least)


def measure_device(scale, repeats):
    """Yield the name of each rate of a CUDA device and its value here."""
    import cupy
    from gpu import on_device

    rng = np.random.default_rng(0)

    def timed(call):
        def finished():
            call()
            cupy.cuda.Device().synchronize()

        return seconds(finished, repeats)

    def curved(design):
        d, v = cupy.ones(design.shape[0]), cupy.ones(design.shape[1])
        return timed(lambda: design.curved(d, v))

    def gram(design):
        d = cupy.ones(design.shape[0])
        return timed(lambda: design.gram(d))

    n = int(200_000 * scale)
    wide, wider = (
        Design(on_device(rng.standard_normal((n, p))), intercept=True)
        for p in (1000, 2000)
    )
    yield "DEVICE_PASS", wide.rows.nbytes / curved(wide)
    entry = gram(wide) / wide.rows.nnz
    product = gram(wider) / wider.rows.nnz - entry
    yield "DEVICE_GRAM", 1000 / product
    yield "DEVICE_ENTRY", entry - product
    X = on_device(random_csr(int(1_000_000 * scale), 1000, 30, rng))
    thin = Design(X, intercept=True)
    yield "DEVICE_SPARSE_PASS", curved(thin) / thin.rows.nnz
    yield "DEVICE_EXPANDED", gram(thin) / np.prod(X.shape) - product
    K = cupy.eye(6000, dtype=cupy.float32)
    yield "DEVICE_FACTOR", len(K) ** 3 / 3 / timed(lambda: factor(K))
    X = on_device(rng.standard_normal((2000, 1000)))
    y = X @ cupy.ones(1000) + X[:, 0] ** 2
    model = Ridge(alpha=1e-3, solver="pcg", preconditioner="diagonal", tol=1e-9)
    yield "DEVICE_CALL", timed(lambda: model.fit(X, y)) / float(model.n_iter_)


def pairs(design):
    """Pairs of nonzeros that share a row."""
    return 0.5 * design.rows.nnz**2 / design.shape[0]


def main(arguments=None):
    """Print the table."""
    cli = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    cli.add_argument("--scale", type=float, default=1.0, help="size of the data")
    cli.add_argument("--repeats", type=int, default=5)
    cli.add_argument("--device", action="store_true", help="of CuPy arrays")
    args = cli.parse_args(arguments)
    print(machine())
    print(f"{'rate':20s}{'here':>10s}{'assumed':>10s}")
    rows = (measure_device if args.device else measure)(args.scale, args.repeats)
    for name, value in rows:
        assumed = getattr(rates, name.split(",")[0]) * (2 if "single" in name else 1)
        print(f"{name:20s}{value:10.2e}{assumed:10.2e}", flush=True)


if __name__ == "__main__":
    main()
