"""The talk's table of solved instances in LIBSVM, on the files that are at hand.

    python benchmarks/reproduce/libsvm_table.py

Two problems a data set, sums over rows without a penalty: the smoothed SVM
1/2 sum max(0, 1 - y (a.w - b))^2, and logistic regression. Solved means that the
largest entry of the gradient falls below 1e-4 in fewer than 999 gradient evaluations.
Every method of the published comparison is run over its published grid and its best
run counts; the last column is our solver "osgm", without any tuning. Writes
libsvm_table.csv, libsvm_table.md and libsvm_table.png to the folder results.
"""

import argparse
import csv
import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy import sparse
from scipy.special import expit

sys.path.insert(0, str(Path(__file__).parents[1]))

from baselines import published_grids
from environment import machine
from plots import stamp

from promise_learn.datasets import load_libsvm
from promise_learn.design import Design
from promise_learn.losses import LOSSES
from promise_learn.objective import Objective
from promise_learn.solvers import SOLVERS

BUDGET, TOL, SEED = 999, 1e-4, 20250128
RESULTS = Path(__file__).parent / "results"
PUBLISHED = {
    "GD": (5, 2),
    "GD-HB": (9, 7),
    "AGD-CVX": (8, 3),
    "AGD-SCVX": (7, 6),
    "Adam": (26, 11),
    "AdaGrad": (9, 8),
    "L-BFGS-M1": (13, 11),
    "L-BFGS-M3": (20, 14),
    "L-BFGS-M5": (26, 16),
    "L-BFGS-M10": (31, 18),
    "BFGS": (32, 26),
    "OSGM (tuned)": (32, 21),
}
"""Solved SVM and logistic instances of 33, from the talk."""

FILES = {
    "a1a": "",
    "a3a": "",
    "a9a": "",
    "mushrooms": "",
    "german.numer_scale": "",
    "heart_scale": "",
    "svmguide1": "",
    "australian": "columns scaled to [-1, 1] here",
    "splice_all": "all 3,175 rows, columns scaled to [-1, 1] here",
    "ijcnn1.tr": "35,000 of its 49,990 training rows",
}
"""Data sets of the published list that may be at hand, and how ours differ."""


class Problem:
    """One instance: matrix with its constant column, labels, loss."""

    def __init__(self, X, y, kind):
        constant = np.full((X.shape[0], 1), -1.0 if kind == "svm" else 1.0)
        self.A, self.kind = sparse.hstack([X, constant], format="csr"), kind
        self.y = np.where(y > np.min(y), 1.0, -1.0)
        self.L = float(sparse.linalg.svds(self.A, k=1, random_state=SEED)[1][0] ** 2)
        start = np.random.default_rng(SEED).standard_normal(self.A.shape[1])
        self.start = start / np.linalg.norm(start)

    def __call__(self, x):
        """Sum of the losses and its gradient."""
        margin = self.y * (self.A @ x)
        if self.kind == "svm":
            short = np.maximum(0, 1 - margin)
            return 0.5 * short @ short, -(self.A.T @ (self.y * short))
        value = np.logaddexp(0, -margin).sum()
        return value, -(self.A.T @ (self.y * expit(-margin)))


class Counted(Objective):
    """Mean of the losses as our solvers take it; counts reads of X, products too."""

    evaluations = 0

    def expand(self, w):
        self.evaluations += 1
        return super().expand(w)


def untuned(problem):
    """Passes over X that our default OSGM takes; None where it does not get there."""
    n, p = problem.A.shape
    loss = LOSSES["squared_hinge" if problem.kind == "svm" else "logistic"]()
    weights, penalty = np.full(n, 1 / n), np.zeros(p)
    f = Counted(Design(problem.A), problem.y, loss, weights, penalty, (p,))
    for step in SOLVERS["osgm"]().iterate(f, problem.start, np.random.default_rng(0)):
        if np.abs(n * step.gradient).max() < TOL:
            return int(step.passes)
        if step.passes >= BUDGET:
            return None
    return None


def best(problem, settings):
    """Fewest evaluations over the settings, and whether any of them solved."""
    budget, solved = BUDGET, None
    for method in settings:
        with np.errstate(all="ignore"):
            run = method(problem, problem.start, problem.L, tol=TOL, budget=budget)
        if run.solved:
            budget = solved = run.evaluations
    return solved


def load(name):
    """X and y of a data set, scaled as its name asks."""
    X, y = load_libsvm(name)
    if "scaled" in FILES[name]:
        X = X.toarray()
        low, high = X.min(axis=0), X.max(axis=0)
        X = sparse.csr_array(2 * (X - low) / np.where(high > low, high - low, 1) - 1)
    return sparse.csr_array(X), y


def main(arguments=None):
    """Run what is asked for, and write the table."""
    cli = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    cli.add_argument("--out", type=Path, default=RESULTS)
    cli.add_argument("--data", default=",".join(FILES), help="names, by commas")
    cli.add_argument("--only-ours", action="store_true", help="run untuned OSGM alone")
    args = cli.parse_args(arguments)
    rows, line = [], machine()
    print(line)
    for name in args.data.split(","):
        try:
            X, y = load(name)
        except FileNotFoundError as error:
            print(f"{name:20s} skipped: {error}")
            continue
        for kind in ("svm", "logistic"):
            problem = Problem(X, y, kind)
            row = {"data": name, "problem": kind}
            grids = {} if args.only_ours else published_grids(problem.L)
            row |= {method: best(problem, grid) for method, grid in grids.items()}
            row["OSGM (untuned)"] = untuned(problem)
            rows.append(row)
            print("  ".join(f"{k} {v or '-'}" for k, v in row.items()), flush=True)
    if not args.only_ours and rows:
        write(args.out, rows, line)


def write(out, rows, line):
    """Write the CSV file, the page and the chart."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / "libsvm_table.csv").open("w", newline="") as file:
        file.write(f"# {line}\n")
        table = csv.DictWriter(file, rows[0], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    methods = list(rows[0])[2:]
    count = {
        m: [
            sum(row[m] is not None for row in rows if row["problem"] == kind)
            for kind in ("svm", "logistic")
        ]
        for m in methods
    }
    sets = len(rows) // 2
    head = f"| method | SVM, of {sets} | logistic, of {sets} | talk, of 33 |"
    lines = [
        "# Solved instances in LIBSVM",
        "",
        f"Made by `python benchmarks/reproduce/libsvm_table.py` on: {line}",
        "",
        head,
        "|---|---|---|---|",
    ]
    for m in methods:
        talk = "{}, {}".format(*PUBLISHED[m]) if m in PUBLISHED else ""
        lines.append(f"| {m} | {count[m][0]} | {count[m][1]} | {talk} |")
    lines += ["", "Data sets:", ""]
    lines += [
        f"- {name}{': ' + FILES[name] if FILES[name] else ''}"
        for name in dict.fromkeys(row["data"] for row in rows)
    ]
    (out / "libsvm_table.md").write_text("\n".join(lines) + "\n")
    chart(out / "libsvm_table.png", count, sets)


def chart(path, count, sets):
    """Bars of the solved instances."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.add_subplot()
    place = np.arange(len(count))
    for shift, (k, kind) in zip(
        (-0.2, 0.2), enumerate(("SVM", "logistic")), strict=True
    ):
        axes.bar(place + shift, [c[k] for c in count.values()], 0.4, label=kind)
    axes.set_xticks(place, count, rotation=45, ha="right")
    axes.set(ylabel=f"solved, of {sets}", ylim=(0, sets + 0.5))
    axes.legend()
    stamp(figure)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
