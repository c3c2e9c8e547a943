"""Ridge regression on more random features than fit into memory: the talk's figure.

    python benchmarks/features_large.py [--problem generator] [--components 15000]
        [--methods ours,nystrom,jacobi,cg] [--limit 600] [--out results]

Problems have 463,715 rows, as YearPredictionMSD has: ``generator`` draws 90 correlated
columns with standard deviations that fall as 1/k, and a target of products and sines of
them; ``acsincome`` takes that many rows of acsincome_40pct.npz, one-hot coded. mu is
1e-5 on the mean-loss scale. Each method runs in a process of its own; conjugate
gradients go on to a gap of 1e-10, so that the lowest value of all stands for the
minimum. Writes features_<problem>.csv and .png: relative residual against seconds.
"""

import argparse
import csv
import json
import math
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from environment import machine
from matplotlib.figure import Figure
from memory import peak, reset_peak
from plots import stamp
from problems import Spec, load

from promise_learn import RandomFeaturesRegressor
from promise_learn._base import Task, _objective
from promise_learn.linalg.cg import pcg
from promise_learn.linalg.nystrom import Sketch
from promise_learn.losses import SquaredError
from promise_learn.preconditioners import woodbury
from promise_learn.solvers import Direct, minimize
from promise_learn.solvers.newton import jacobi
from promise_learn.solvers.sketch import curvature_inverse

ROWS, COLUMNS, MU, SKETCH = 463_715, 90, 1e-5, 500
TIGHT, GAP = 1e-10, 1e-6
LABELS = {
    "ours": "promise_learn, default",
    "nystrom": f"Nyström PCG, s = {SKETCH}",
    "jacobi": "Jacobi PCG",
    "cg": "CG",
}


def generated(n):
    """X in float32 with a decaying spectrum, and a target that is not linear in it."""
    rng = np.random.default_rng(0)
    Q = np.linalg.qr(rng.standard_normal((COLUMNS, COLUMNS)))[0]
    scales = np.arange(1, COLUMNS + 1.0) ** -1
    X = np.empty((n, COLUMNS), np.float32)
    for lo in range(0, n, 2**16):
        hi = min(n, lo + 2**16)
        X[lo:hi] = (rng.standard_normal((hi - lo, COLUMNS)) * scales) @ Q.T
    y = np.sin(3 * X[:, 0]) + X[:, 1] * X[:, 2] + 0.5 * rng.standard_normal(n)
    return X, y


def data(problem, n):
    """X and the standardised target of a problem."""
    if problem == "generator":
        X, y = generated(n)
    else:
        whole = load(Spec("acsincome_40pct.npz", "ridge", "onehot"))
        X, y = whole.X[:n].astype(np.float32), whole.y[:n]
    return X, (y - y.mean()) / y.std()


def model(problem, options):
    """Estimator of a problem."""
    return RandomFeaturesRegressor(
        options.components,
        alpha=MU * options.rows,
        random_state=0,
        gamma="scale" if problem == "generator" else 0.05,
    )


def preconditioner(method, point):
    """Inverse of a method's preconditioner, and the passes that it cost."""
    f, rng = point.objective, np.random.default_rng(0)
    if method == "ours":
        return curvature_inverse("auto", point, rng)
    if method == "cg":
        return lambda g: g, 0.0
    if method == "jacobi":
        return jacobi(point), 1.0
    sketch = Sketch.empty(f.dim, f.zeros()).grow(point.loss_product, SKETCH, rng)
    low = sketch.low_rank()
    rho = float(low.eigenvalues[-1]) + MU
    return woodbury(low.rows(), f.penalty + rho).apply, 1.0


def trace(method, options):
    """Seconds, passes, relative residual and objective of every CG iteration."""
    X, y = data(options.problem, options.rows)
    before, estimator = reset_peak(), model(options.problem, options)
    start = time.perf_counter()
    rows = estimator._rows(X, 1, True, np.ones(len(y)))
    weights = np.ones(options.rows)
    f, _ = _objective(Task(rows, y, SquaredError(), weights, estimator.alpha), True)
    point = f.expand(f.zeros())
    inverse, passes = preconditioner(method, point)
    passes, first = passes + 1, np.linalg.norm(point.gradient)
    history = [(time.perf_counter() - start, 1.0, 1.0, point.value)]
    for it in pcg(point.product, -point.gradient, inverse):
        seconds, value = time.perf_counter() - start, point.value - it.decrease
        residual = float(np.linalg.norm(it.residual) / first)
        history.append((seconds, passes + it.iteration, residual, value))
        if it.gap <= TIGHT * value or seconds > options.limit:
            break
    return {"history": history, "extra": peak() - before, "stored": rows.stored}


def fit(options):
    """Default fit: seconds, passes, value, and peak memory."""
    X, y = data(options.problem, options.rows)
    estimator = model(options.problem, options)
    before, start = reset_peak(), time.perf_counter()
    estimator.fit(X, y)
    seconds, top = time.perf_counter() - start, peak()
    history = estimator.history_
    result = {
        "seconds": seconds,
        "passes": float(history["passes"][-1]),
        "value": float(history["objective"][-1]),
        "gap": float(history["gap"][-1]),
        "resident": top,
        "extra": top - before,
        "solver": estimator.solver_,
    }
    if options.direct:
        estimator.memory = math.inf
        rows = estimator._rows(X, 1, True, np.ones(len(y)))
        task = Task(rows, y, SquaredError(), np.ones(options.rows), estimator.alpha)
        exact, _ = _objective(task, True)
        solution = minimize(exact, Direct(memory_limit=math.inf), tol=1e-13)
        result["direct"] = float(exact.value(solution.w))
    return result


def in_process(task, options):
    """Run one task in a process of its own."""
    probe = json.dumps([task, vars(options)])
    run = subprocess.run(
        [sys.executable, __file__, "--probe", probe],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(run.stdout)


def draw(traces, options, path):
    """Relative residual against seconds."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    ax = figure.add_subplot()
    for method, found in traces.items():
        seconds, _, residual, _ = zip(*found["history"], strict=True)
        style = {"color": "black", "zorder": 3} if method == "ours" else {}
        ax.plot(seconds, residual, label=LABELS[method], **style)
    ax.set(
        title=f"{options.problem}: {options.rows:,} rows, "
        f"{options.components:,} random features, mu = {MU:.0e}",
        xlabel="seconds",
        ylabel="relative residual",
        yscale="log",
    )
    ax.legend()
    stamp(figure)
    figure.savefig(path, dpi=120)


def write(traces, path):
    """All iterations of all methods as a table."""
    with path.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["# " + machine()])
        table.writerow(["method", "seconds", "passes", "residual", "objective"])
        for method, found in traces.items():
            for seconds, passes, residual, value in found["history"]:
                numbers = f"{seconds:.2f}", f"{passes:.2f}", f"{residual:.3e}"
                table.writerow([method, *numbers, f"{value:.12e}"])


def main(arguments=None):
    """Read the command line, run every method, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problem", choices=("generator", "acsincome"))
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--components", type=int, default=15_000)
    parser.add_argument("--methods", default=",".join(LABELS))
    parser.add_argument("--limit", type=float, default=600, help="seconds a method")
    parser.add_argument("--direct", action="store_true", help="a direct solution, too")
    parser.add_argument("--out", type=Path, help="folder for the table and the plot")
    parser.add_argument("--probe", help=argparse.SUPPRESS)
    parser.set_defaults(problem="generator")
    options = parser.parse_args(arguments)
    if options.probe:
        task, given = json.loads(options.probe)
        given = argparse.Namespace(**given)
        print(json.dumps(fit(given) if task == "fit" else trace(task, given)))
        return
    out, options.out = options.out, None
    print(machine(), "\n")
    fitted = in_process("fit", options)
    print(
        f"{options.problem}, {options.rows:,} x {options.components:,}: default fit "
        f"({fitted['solver']}) {fitted['seconds']:.0f} s, {fitted['passes']:.1f} "
        f"feature passes, peak resident {fitted['resident'] / 1e9:.2f} GB "
        f"({fitted['extra'] / 1e9:.2f} beyond X and y), gap by its own estimate "
        f"{fitted['gap']:.1e}",
        flush=True,
    )
    traces = {}
    for method in filter(None, options.methods.split(",")):
        traces[method] = in_process(method, options)
        last = traces[method]["history"][-1]
        print(
            f"{LABELS[method]:26s}{last[0]:7.0f} s {last[1]:7.1f} passes, relative "
            f"residual {last[2]:.1e}, objective {last[3]:.10f}",
            flush=True,
        )
    lowest = min(
        [fitted.get("direct", math.inf), fitted["value"]]
        + [row[3] for found in traces.values() for row in found["history"]]
    )
    against = "the direct solution" if options.direct else "the lowest value of all"
    gap = (fitted["value"] - lowest) / lowest
    print(f"gap of the default fit to {against}: {gap:.1e}")
    for method, found in traces.items():
        there = [row for row in found["history"] if row[3] <= lowest * (1 + GAP)]
        when = f"{there[0][0]:.0f} s, {there[0][1]:.1f} passes" if there else "not"
        print(f"{LABELS[method]:26s}within {GAP:.0e}: {when}")
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write(traces, out / f"features_{options.problem}.csv")
        draw(traces, options, out / f"features_{options.problem}.png")


if __name__ == "__main__":
    main()
