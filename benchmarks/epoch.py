"""Time of one SketchySAGA epoch and of one gradient pass, in reads of X.

    python benchmarks/epoch.py

A read is a plain sum over the stored entries, compiled, in the same number of threads:
one for an epoch, whose steps follow each other, all for a pass.
"""

import argparse
import functools
import statistics
import time

import numpy as np
import scipy.sparse as sp
from environment import machine
from numba import njit
from problems import random_csr

from promise_learn.design import Design
from promise_learn.kernels import _threads
from promise_learn.losses import Logistic
from promise_learn.objective import Objective
from promise_learn.solvers import SketchySAGA, sketchy_saga
from promise_learn.solvers._stochastic import StochasticRun

CASES = {
    "dense, 200,000 x 300": (200_000, 300, None),
    "dense, 50,000 x 1,000": (50_000, 1_000, None),
    "CSR, 400,000 x 2,000, 50 a row": (400_000, 2_000, 50),
}


@njit(nogil=True, fastmath=True)
def total(values):
    """Sum of all entries; a loop over numbers from zero up is compiled to vectors."""
    out = 0.0
    for k in range(values.shape[0]):
        out += values[k]
    return out


def read(X):
    """Sum over all entries of X, in the threads that a pass would use."""
    values = X.data if sp.issparse(X) else X.reshape(-1)
    edges = np.linspace(0, values.size, 17).astype(int)
    ranges = list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))
    return sum(_threads.run(lambda k, lo, hi: total(values[lo:hi]), ranges))


def read_alone(X):
    """Sum over all entries of X in one thread."""
    values = X.data if sp.issparse(X) else X.reshape(-1)
    return total(values)


def problem(n, p, entries, dtype):
    """Logistic objective on random data, and its X."""
    rng = np.random.default_rng(0)
    if entries is None:
        X = rng.standard_normal((n, p)).astype(dtype)
    else:
        X = random_csr(n, p, entries, rng, dtype)
    y = rng.choice([-1.0, 1.0], n)
    penalty = np.full(p, 1 / n)
    return Objective(Design(X), y, Logistic(), np.full(n, 1 / n), penalty, (p,)), X


def epoch_of(f):
    """Function that runs the compiled part of one SketchySAGA epoch."""
    solver, captured = SketchySAGA(), {}

    class Watched(StochasticRun):
        def sweep(self, *arguments, **options):
            captured["sweep"] = functools.partial(super().sweep, *arguments, **options)
            return captured["sweep"]()

    original, sketchy_saga.StochasticRun = sketchy_saga.StochasticRun, Watched
    steps = solver.iterate(f, f.zeros(), np.random.default_rng(0))
    next(steps), next(steps)
    sketchy_saga.StochasticRun = original
    return captured["sweep"]


def interleaved(calls, repeats):
    """Median seconds of each call, taken in turn."""
    times = [[] for _ in calls]
    for _ in range(repeats):
        for call, seconds in zip(calls, times, strict=True):
            start = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - start)
    return [statistics.median(seconds) for seconds in times]


def main(arguments=None):
    """Print a line a case."""
    cli = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    cli.add_argument("--scale", type=float, default=1.0, help="share of the rows")
    cli.add_argument("--repeats", type=int, default=7)
    args = cli.parse_args(arguments)
    print(machine())
    print(f"{'':40s}{'read ms':>9s}{'gradient':>9s}{'H v':>9s}{'epoch':>9s}")
    for name, (n, p, entries) in CASES.items():
        for dtype in ("float64", "float32"):
            f, X = problem(int(n * args.scale), p, entries, dtype)
            point, v, epoch = f.expand(f.zeros() + 1e-3), np.ones(p), epoch_of(f)
            calls = (
                lambda X=X: read(X),
                lambda f=f, point=point: f.expand(point.w),
                lambda point=point, v=v: point.product(v),
                lambda X=X: read_alone(X),
                epoch,
            )
            for call in calls:
                call()
            one, gradient, product, alone, whole = interleaved(calls, args.repeats)
            print(
                f"{name + ', ' + dtype:40s}{1e3 * one:9.1f}{gradient / one:9.2f}"
                f"{product / one:9.2f}{whole / alone:9.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
