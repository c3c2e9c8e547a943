"""Does a solver, at its defaults, get to a tolerance on every problem of a suite?

    python benchmarks/untuned.py --solver osgm --suite full --tol 1e-4

One line a problem: iterations, passes, seconds, the gap that the fit reports, and what
it warned of.
"""

import argparse
import time
import warnings

import numpy as np
from environment import machine
from problems import SUITES, estimator, load
from sklearn.exceptions import ConvergenceWarning

from promise_learn.solvers import SOLVERS


def line(problem, solver, tol):
    """What became of one fit."""
    model = estimator(problem, solver).set_params(tol=tol)
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit(problem.X, problem.y)
    seconds, history = time.perf_counter() - start, model.history_
    iterations = int(np.max(model.n_iter_))
    told = "; ".join(str(warning.message) for warning in caught) or "solved"
    return (
        f"{problem.name:32s} {iterations:6d} iterations {history['passes'][-1]:8.0f} "
        f"passes {seconds:7.1f} s  gap {history['gap'][-1]:.1e}  {told}"
    )


def main(arguments=None):
    """Print a line a problem."""
    cli = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    cli.add_argument("--solver", default="osgm", choices=list(SOLVERS))
    cli.add_argument("--suite", default="quick", choices=sorted(SUITES))
    cli.add_argument("--tol", type=float, default=1e-4)
    args = cli.parse_args(arguments)
    print(machine(), f"\n{args.solver}, tol = {args.tol}\n")
    for spec in SUITES[args.suite]:
        try:
            problem = load(spec)
        except FileNotFoundError as error:
            print(f"{spec.name}: skipped, {error}", flush=True)
            continue
        print(line(problem, args.solver, args.tol), flush=True)


if __name__ == "__main__":
    main()
