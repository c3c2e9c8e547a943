"""How much slower solver="auto" is than the best of our own solvers.

    python benchmarks/regret.py --suite full

Every solver fits each problem in a process of its own and is stopped at five times the
time of "auto". A solver that warns did not solve the problem. The fastest that did
takes turns with "auto", and the ratio is the median over the rounds; required is at
most 1.3.
"""

import argparse
import multiprocessing
import statistics
import time
import warnings

from environment import machine
from problems import SUITES, estimator, load
from sklearn.exceptions import ConvergenceWarning

from promise_learn.solvers import SOLVERS

PATIENCE, LEAST = 5.0, 2.0  # times the seconds of "auto", and seconds


def seconds(problem, solver):
    """Time of a fit, infinite where it warns or refuses."""
    start = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            estimator(problem, solver).fit(problem.X, problem.y)
    except (ConvergenceWarning, ValueError):
        return float("inf")
    return time.perf_counter() - start


def within(problem, solver, limit):
    """`seconds` of a second fit in a process that is stopped at the limit."""
    context = multiprocessing.get_context("fork")
    receive, send = context.Pipe(duplex=False)

    def work():
        seconds(problem, solver)
        send.send(seconds(problem, solver))

    process = context.Process(target=work)
    process.start()
    found = receive.recv() if receive.poll(2 * limit) else float("inf")
    process.kill()
    process.join()
    return found


def main(arguments=None):
    """Print a line a problem."""
    cli = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    cli.add_argument("--suite", default="quick", choices=sorted(SUITES))
    cli.add_argument("--rounds", type=int, default=5)
    args = cli.parse_args(arguments)
    print(machine())
    print(f"{'problem':32s}{'auto s':>9s}{'regret':>8s}  auto's choice, the best other")
    for spec in SUITES[args.suite]:
        try:
            problem = load(spec)
        except FileNotFoundError as error:
            print(f"{spec.name:32s} skipped: {error}")
            continue
        chosen = estimator(problem, "auto").fit(problem.X, problem.y).solver_
        auto = min(seconds(problem, "auto") for _ in range(2))
        limit = max(PATIENCE * auto, LEAST)
        others = [name for name in SOLVERS if name != chosen]
        times = {name: within(problem, name, limit) for name in others}
        best = min(times, key=times.get)
        regret = 0.0
        if times[best] < PATIENCE * auto:
            regret = statistics.median(
                seconds(problem, "auto") / seconds(problem, best)
                for _ in range(args.rounds)
            )
        print(f"{spec.name:32s}{auto:9.3f}{regret:8.2f}  {chosen}, {best}", flush=True)


if __name__ == "__main__":
    main()
