"""How the cost of the default fit grows, one axis at a time.

    python benchmarks/scaling.py [--axes n,nnz] [--sizes 1e4,1e5,1e6] [--task ridge]

Axes: rows n, columns p, stored entries nnz of sparse X, classes, threads. Columns of
the synthetic data are correlated, or scaled where X is sparse, so that the condition
number of X'X is about 1e6.

Required: seconds grow no faster than n^1.05 and nnz^1.05 over two decades, and they do
not jump where solver="auto" changes its mind. The solver of every size is printed; a
step across which the solver changes and seconds grow half again as much as the order of
the axis foresees is marked as a cliff.
"""

import argparse
import csv
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from environment import machine, threads
from matplotlib.figure import Figure
from scipy import sparse
from threadpoolctl import threadpool_limits

from promise_learn import LogisticRegression, Ridge
from promise_learn.datasets import make_ill_conditioned

CONDITION = 1e6
CLIFF = 1.5


def dense(n, p, task, seed):
    """Rows of a covariance with a power-law spectrum."""
    return make_ill_conditioned(
        int(n), int(p), condition=CONDITION, task=task, random_state=seed
    )


def thin(n, p, nnz, task, seed):
    """CSR with about nnz entries, columns scaled by a power law."""
    rng = np.random.default_rng(seed)
    each = max(int(nnz / n), 1)  # one entry in each of so many ranges of columns
    edges = np.linspace(0, p, each + 1).astype(np.int32)
    columns = rng.integers(edges[:-1], edges[1:], (n, each), dtype=np.int32)
    scales = np.arange(1, p + 1) ** (-np.log(CONDITION) / np.log(p) / 2)
    rng.shuffle(scales)
    values = rng.standard_normal((n, each)) * scales[columns]
    indptr = np.arange(0, n * each + 1, each, dtype=np.int32)
    X = sparse.csr_matrix((values.ravel(), columns.ravel(), indptr), shape=(n, p))
    margins = X @ (rng.standard_normal(p) / scales) * (2 / np.sqrt(each))
    noise = rng.logistic(size=n) if task == "logistic" else rng.standard_normal(n)
    y = margins + noise
    return X, (y > 0).astype(int) if task == "logistic" else y


def classes(n, p, count, seed):
    """Rows as of `dense`, and labels drawn from a multinomial model."""
    X, _ = dense(n, p, "logistic", seed)
    rng = np.random.default_rng(seed)
    whitened = X / X.std(axis=0)
    scores = whitened @ rng.standard_normal((p, int(count))) * (2 / np.sqrt(p))
    return X, np.argmax(scores + rng.gumbel(size=scores.shape), axis=1)


@dataclass(frozen=True)
class Axis:
    """What varies.

    Parameters
    ----------
    sizes : tuple of float
        Where the command line gives none.
    make : callable
        (size, task, seed) -> X, y.
    order : float
        Growth that a cliff is judged against.
    limit : float or None
        Required bound on the exponent.
    tasks : tuple of str
    """

    sizes: tuple
    make: Callable
    order: float
    limit: float | None = None
    tasks: tuple = ("logistic", "ridge")


AXES = {
    "n": Axis(
        (10_000, 30_000, 100_000, 300_000, 1_000_000),
        lambda size, task, seed: dense(size, 50, task, seed),
        order=1,
        limit=1.05,
    ),
    "p": Axis(
        (20, 60, 200, 600, 2_000),
        lambda size, task, seed: dense(20_000, size, task, seed),
        order=2,
    ),
    "nnz": Axis(
        (1e5, 3e5, 1e6, 3e6, 1e7),
        lambda size, task, seed: thin(100_000, 500, size, task, seed),
        order=1,
        limit=1.05,
    ),
    "classes": Axis(
        (3, 6, 12, 24, 48),
        lambda size, _, seed: classes(20_000, 50, size, seed),
        order=2,
        tasks=("logistic",),
    ),
    "threads": Axis(
        tuple(sorted({*(2**k for k in range(threads().bit_length())), threads()})),
        lambda _, task, seed: dense(200_000, 100, task, seed),
        order=0,
    ),
}


def fit(task, X, y, repeats, limit):
    """Fitted model and median seconds, after a fit that may compile."""
    kind = Ridge if task == "ridge" else LogisticRegression
    seconds = []
    with warnings.catch_warnings(), threadpool_limits(limit):
        warnings.simplefilter("ignore")
        for _ in range(repeats + 1):
            start = time.perf_counter()
            model = kind(random_state=0).fit(X, y)
            seconds.append(time.perf_counter() - start)
    return model, statistics.median(seconds[1:])


def scale(name, task, sizes, repeats, seed):
    """Rows of one axis and task, printed as they come.

    Returns
    -------
    list of dict
    """
    axis, rows = AXES[name], []
    for size in sizes or axis.sizes:
        X, y = axis.make(size, task, seed)
        # what was asked for and what could be made may differ for sparse X
        actual = X.nnz if name == "nnz" else int(size)
        limit = actual if name == "threads" else None
        model, seconds = fit(task, X, y, repeats, limit)
        row = {"axis": name, "task": task, "size": actual, "seconds": seconds}
        row |= {"solver": model.solver_, "passes": float(model.history_["passes"][-1])}
        row["gap"] = float(model.history_["gap"][-1])
        row["note"] = cliff(rows[-1], row, axis.order) if rows else ""
        rows.append(row)
        print(
            f"{name:8s}{task:10s}{actual:>12,}{seconds:11.4f} s{row['passes']:8.1f} "
            f"passes{row['gap']:9.1e}  {row['solver']:16s}{row['note']}",
            flush=True,
        )
    return rows


def cliff(before, after, order):
    """What to say of a step across which the solver changes."""
    if before["solver"] == after["solver"]:
        return ""
    foreseen = (after["size"] / before["size"]) ** order
    jump = after["seconds"] / before["seconds"] / foreseen
    mark = "CLIFF" if jump > CLIFF else "change"
    return f"{mark}: {jump:.2f} x size^{order:g}"


def exponent(rows):
    """Slope of log seconds against log size."""
    sizes, seconds = (np.log([row[key] for row in rows]) for key in ("size", "seconds"))
    return float(np.polyfit(sizes, seconds, 1)[0])


def plot(series, here, path):
    """Draw seconds against size, a panel an axis, a marker for each solver.

    Parameters
    ----------
    series : list of list of dict
        Of each axis and task.
    here : str
        Machine, versions and date.
    path : Path
        File to write.
    """
    names = list(dict.fromkeys(rows[0]["axis"] for rows in series))
    solvers = sorted({row["solver"] for rows in series for row in rows})
    markers = dict(zip(solvers, "os^Dv*PX", strict=False))
    colours = {"logistic": "tab:blue", "ridge": "tab:orange"}
    figure = Figure(figsize=(1 + 3.6 * len(names), 4.4), layout="constrained")
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    for ax, name in zip(panels, names, strict=True):
        for rows in (rows for rows in series if rows[0]["axis"] == name):
            sizes, seconds = ([row[key] for row in rows] for key in ("size", "seconds"))
            task = rows[0]["task"]
            slope = f", ${name}^{{{exponent(rows):.2f}}}$" if len(rows) > 1 else ""
            ax.plot(sizes, seconds, color=colours[task], label=f"{task}{slope}")
            for row in rows:
                style = {"color": colours[task], "marker": markers[row["solver"]]}
                ax.plot(row["size"], row["seconds"], **style)
        ax.set(xlabel=name, xscale="log", yscale="log")
        ax.grid(alpha=0.3)
        ax.legend(fontsize="small")
    figure.axes[0].set_ylabel("seconds of the default fit")
    for solver, marker in markers.items():
        figure.axes[0].plot([], [], "k", marker=marker, linestyle="", label=solver)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    chosen = [i for i, label in enumerate(labels) if label in solvers]
    figure.legend(
        [handles[i] for i in chosen],
        [labels[i] for i in chosen],
        loc="outside upper center",
        ncols=len(chosen),
        frameon=False,
    )
    figure.supxlabel(here, fontsize=6, color="0.4")
    figure.savefig(path, dpi=130)


def main(arguments=None):
    """Read the command line, measure, and write scaling.csv and scaling.png."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--axes", default=",".join(AXES))
    parser.add_argument("--sizes", help="in place of an axis's own, as 1e4,1e5")
    parser.add_argument("--task", choices=("logistic", "ridge"))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="results")
    options = parser.parse_args(arguments)
    sizes = options.sizes and [float(size) for size in options.sizes.split(",")]
    here, series = machine(), []
    print(here, "\n")
    for name in options.axes.split(","):
        for task in AXES[name].tasks:
            if options.task in (None, task):
                rows = scale(name, task, sizes, options.repeats, options.seed)
                series.append(rows)
                if len(rows) > 1:
                    print(f"{'':18s}{verdict(name, exponent(rows))}\n")
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    with (out / "scaling.csv").open("w", newline="") as file:
        file.write(f"# {here}\n")
        table = csv.DictWriter(file, series[0][0])
        table.writeheader()
        table.writerows(row for rows in series for row in rows)
    plot(series, here, out / "scaling.png")


def verdict(name, slope):
    """Exponent of an axis, against what is required."""
    limit = AXES[name].limit
    if limit is None:
        return f"seconds ~ {name}^{slope:.2f}"
    judged = "as required" if slope <= limit else "MORE THAN REQUIRED"
    return f"seconds ~ {name}^{slope:.2f}, at most {limit:g}: {judged}"


if __name__ == "__main__":
    main()
