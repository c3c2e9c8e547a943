"""PROMISE's performance table: epochs to F* + 1e-4, published, repeated, and ours.

    python benchmarks/reproduce/promise_table.py

Five preconditioners and four solvers, with `preset="paper"` (the published constants)
and with our defaults, at mu_0 = 1e-2 and 1e-1. A problem is solved when F at the end of
an epoch, a sweep over the rows, is at most F* + 1e-4 within 200 epochs (SGD, SAGA) or
100 (SVRG, Katyusha), as PROMISE counts. A pass is a sweep or a snapshot's gradient, as
there, so Katyusha, with a snapshot an epoch in the paper and two by default, takes two
and three an epoch; "all passes" adds evaluations of F and preconditioners, which the
paper leaves out. F* is by exact Newton steps, stated beside the published reference.

Every problem and mu_0 is appended to promise_table.csv when it is done; a second run
goes on with those that are missing. Then promise_table.md and promise_table.png are
written (promise_report.py). `--problems ijcnn1` adds what the default set leaves out
as too large.
"""

import argparse
import csv
import sys
import time
from itertools import product
from math import inf
from pathlib import Path

import numpy as np
from scipy import linalg
from scipy.special import expit

sys.path.insert(0, str(Path(__file__).parents[1]))

from environment import machine
from promise_problems import LARGE, MAKERS, PUBLISHED, STRENGTHS, published
from promise_report import ACCURACY, draw, report

from promise_learn.design import Design
from promise_learn.losses import LOSSES
from promise_learn.objective import Objective
from promise_learn.preconditioners import PRECONDITIONERS
from promise_learn.solvers import SOLVERS

BUDGETS = {
    "sketchy-sgd": 200,
    "sketchy-svrg": 100,
    "sketchy-saga": 200,
    "sketchy-katyusha": 100,
}
RESULTS = Path(__file__).parent / "results"
FIELDS = (
    *("problem", "task", "n", "p", "mu_0", "preset", "preconditioner", "solver"),
    *("F published", "F*", "epochs published", "epochs", "passes", "all passes"),
    *("seconds", "F"),
)


def objective(problem):
    """Our objective of a problem, without intercept."""
    n, p = problem.X.shape
    loss = LOSSES["squared_error" if problem.task == "ridge" else "logistic"]()
    weights, penalty = np.full(n, 1 / n), np.full(p, problem.mu)
    return Objective(Design(problem.X), problem.y, loss, weights, penalty, (p,))


def minimum(problem):
    """Least value of F, by exact Newton steps with halving."""
    X = problem.X.toarray() if hasattr(problem.X, "toarray") else problem.X
    n, p = X.shape
    w, value = np.zeros(p), problem.objective(np.zeros(p), 0.0)
    for _ in range(100):
        margins, slope, curvature = X @ w, None, np.ones(n)
        if problem.task == "ridge":
            slope = margins - problem.y
        else:
            share = expit(-problem.y * margins)
            slope, curvature = -problem.y * share, share * (1 - share)
        H = (X.T * curvature) @ X / n + problem.mu * np.eye(p)
        d = linalg.solve(H, X.T @ slope / n + problem.mu * w, assume_a="pos")
        for t in 2.0 ** -np.arange(30):
            lower = problem.objective(w - t * d, 0.0)
            if lower < value:
                break
        else:
            break
        w, value, gain = w - t * d, lower, value - lower
        if gain <= 1e-15 * abs(value):
            break
    return value


def make(kind, preconditioner, preset):
    """Solver, and the passes of its epoch: the sweep, and a gradient for a snapshot."""
    solver = SOLVERS[kind](preconditioner, preset=preset)
    if kind == "sketchy-katyusha":
        if preset == "paper":
            solver.set_params(snapshots=1)
        return solver, 1 + solver.snapshots
    return solver, 2 if kind == "sketchy-svrg" else 1


def run(f, solver, level, budget):
    """Epochs, all passes, seconds and F of a run to a level of F.

    Epochs are infinite where the budget does not suffice. Seconds include compilation
    of a kernel where it is met first, and the solver's own evaluations of F.
    """
    start, value, passes = time.perf_counter(), inf, 0.0
    steps = solver.iterate(f, f.zeros(), np.random.default_rng(0))
    for epoch, step in zip(range(1, budget + 1), steps, strict=False):
        value, passes = step.value, step.passes
        if value <= level:
            return epoch, passes, time.perf_counter() - start, value
    return inf, passes, time.perf_counter() - start, value


def rows_of(name, mu0, presets):
    """Lines of the table for one problem and mu_0."""
    problem = MAKERS[name](name, mu0)
    f, best = objective(problem), minimum(problem)
    reference = PUBLISHED[name].optimum[STRENGTHS.index(mu0)]
    for preset in presets:
        named = list(PRECONDITIONERS) + ["auto"] * (preset == "auto")
        for preconditioner, (kind, budget) in product(named, BUDGETS.items()):
            solver, passes_each = make(kind, preconditioner, preset)
            found = run(f, solver, best + ACCURACY, budget)
            epochs, passes, seconds, value = found
            stated = published(name, mu0, kind, preconditioner)
            line = (
                *(name, problem.task, *problem.X.shape, mu0, preset),
                *(preconditioner, kind, reference, f"{best:.9f}", stated),
                *(epochs, epochs * passes_each, f"{passes:.1f}"),
                *(f"{seconds:.3f}", f"{value:.9f}"),
            )
            yield dict(zip(FIELDS, line, strict=True))


def read(path):
    """Lines that an earlier run wrote."""
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(line for line in file if line[:1] != "#"))


def append(path, lines):
    """Add the lines of a problem, below the machine that they come from."""
    new = not path.is_file()
    with path.open("a", newline="") as file:
        table = csv.DictWriter(file, FIELDS, lineterminator="\n")
        if new:
            table.writeheader()
        file.write(f"# {machine()}\n")
        table.writerows(lines)


def main(arguments=None):
    """Run what is missing, and write the report."""
    small = [name for name in MAKERS if name not in LARGE]
    cli = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    cli.add_argument("--problems", default=",".join(small), help=f"of {list(MAKERS)}")
    cli.add_argument("--presets", default="paper,auto")
    cli.add_argument("--quick", action="store_true", help="mu_0 = 1e-2 alone")
    cli.add_argument("--out", type=Path, default=RESULTS)
    args = cli.parse_args(arguments)
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "promise_table.csv"
    print(machine())
    keys = ("problem", "mu_0", "preset")
    done = {tuple(line[key] for key in keys) for line in read(path)}
    names, strengths = args.problems.split(","), STRENGTHS[: 1 if args.quick else 2]
    for name, mu0 in product(names, strengths):
        if name not in MAKERS:
            raise SystemExit(f"no problem {name!r}: choose of {', '.join(MAKERS)}")
        presets = args.presets.split(",")
        presets = [each for each in presets if (name, str(mu0), each) not in done]
        if not presets:
            print(f"{name}, {mu0:g}: in {path.name} already")
            continue
        start = time.perf_counter()
        try:
            lines = list(rows_of(name, mu0, presets))
        except FileNotFoundError as error:
            print(f"{name}: skipped. {error}")
            continue
        append(path, lines)
        solved = sum(line["epochs"] < inf for line in lines)
        seconds = time.perf_counter() - start
        count = f"{solved} of {len(lines)} runs solved"
        print(f"{name}, {mu0:g}: {count}, {seconds:.0f} s", flush=True)
    lines = read(path)
    if lines:
        (args.out / "promise_table.md").write_text(f"{machine()}\n\n{report(lines)}")
        draw(lines, args.out / "promise_table.png")


if __name__ == "__main__":
    main()
