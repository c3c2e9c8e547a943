"""Where the time of a fit goes: passes over X, factors, validation, Python.

    python benchmarks/profile.py --suite quick

Fits every problem of a suite under Python's profiler, and divides the time by what it
was spent on. "overhead" is all that is neither a kernel over X, a dense factor nor
scikit-learn's own validation: what a user pays beside the work. The profiler makes
Python look two or three times slower than it is, so the last column is the whole fit
without it.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

# the standard library has a module of this file's name, which the profiler needs
sys.path[:] = [*sys.path[1:], str(Path(__file__).parent)]

import cProfile  # noqa: E402
import pstats  # noqa: E402

from environment import machine  # noqa: E402
from problems import SUITES, estimator, load  # noqa: E402

PARTS = {
    "passes": ("passes.py", "_rows_numba.py", "kernels/rows.py"),
    "gram": ("grams.py", "tiled_gram.py", "wide_gram.py"),
    "factor": ("cholesky.py", "spd.py", "dpotrf", "_linalg.py"),
    "validation": ("sklearn/", "narwhals", "inspect.py", "scipy/sparse"),
}


def part(function):
    """Name of the part that a profiled function belongs to."""
    file, _, name = function
    for label, marks in PARTS.items():
        if any(mark in file or mark == name for mark in marks):
            return label
    return "overhead"


def divide(problem, repeats):
    """Milliseconds of each part, and of a fit without the profiler."""
    model, whole = estimator(problem).fit(problem.X, problem.y), []
    for _ in range(repeats):
        start = time.perf_counter()
        model.fit(problem.X, problem.y)
        whole.append(time.perf_counter() - start)
    profiler = cProfile.Profile()
    with profiler:
        for _ in range(repeats):
            model.fit(problem.X, problem.y)
    parts = dict.fromkeys((*PARTS, "overhead"), 0.0)
    for function, row in pstats.Stats(profiler).stats.items():
        parts[part(function)] += 1e3 * row[2] / repeats
    return parts, 1e3 * statistics.median(whole), model.solver_


def main(arguments=None):
    """Print a line a problem."""
    cli = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    cli.add_argument("--suite", default="quick", choices=sorted(SUITES))
    cli.add_argument("--repeats", type=int, default=5)
    args = cli.parse_args(arguments)
    print(machine())
    columns = (*PARTS, "overhead", "fit")
    print(f"{'ms':32s}" + "".join(f"{name:>11s}" for name in columns))
    for spec in SUITES[args.suite]:
        try:
            problem = load(spec)
        except FileNotFoundError as error:
            print(f"{spec.name:32s} skipped: {error}")
            continue
        parts, whole, solver = divide(problem, args.repeats)
        values = "".join(f"{value:11.2f}" for value in (*parts.values(), whole))
        print(f"{spec.name:32s}{values}  {solver}", flush=True)


if __name__ == "__main__":
    main()
