"""Time-to-gap curves and performance profiles."""

import numpy as np
from environment import machine
from matplotlib import rcParams
from matplotlib.figure import Figure

LOWEST = 1e-12  # gaps below are rounding
OURS = "promise-learn"
STYLES = ("-", "--", ":", "-.", (0, (1, 3)))


def colours(libraries):
    """A colour for each library, the same in every plot of a run; ours is black."""
    cycle = rcParams["axes.prop_cycle"].by_key()["color"]
    others = (name for name in libraries if name != OURS)
    return {OURS: "black", **dict(zip(others, cycle, strict=False))}


def curves(points, colour, gap, path):
    """Draw the least gap that each solver reaches within given seconds.

    Parameters
    ----------
    points : list of Point
        Of one problem.
    colour : dict of str to colour
        By library.
    gap : float
        Gap that counts as solved, drawn as a line.
    path : Path
        File to write.
    """
    figure = Figure(figsize=(9, 5), layout="constrained")
    ax = figure.add_subplot()
    seen = {}
    for library, label in dict.fromkeys(point.key for point in points):
        own = [point for point in points if point.key == (library, label)]
        own.sort(key=lambda point: point.median)
        style = STYLES[seen.setdefault(library, 0) % len(STYLES)]
        seen[library] += 1
        star = own[0].default and library == OURS
        ax.plot(
            [point.median for point in own],
            np.minimum.accumulate([max(point.gap, LOWEST) for point in own]),
            color=colour[library],
            linestyle=style,
            marker="*" if star else ".",
            markersize=14 if star else 6,
            zorder=3 if library == OURS else 2,
            label=f"{library} {label}",
        )
    ax.axhline(gap, color="0.7", linewidth=0.8, zorder=1)
    problem = points[0].problem
    n, p = problem.X.shape
    ax.set(
        title=f"{problem.name}, {n:,} x {p:,}",
        xlabel="seconds",
        ylabel=r"relative gap $(F - F^*) / F^*$",
        xscale="log",
        yscale="log",
        ylim=(LOWEST / 2, None),
    )
    ax.grid(alpha=0.3)
    _save(figure, path)


def profile(times, colour, gap, path, unit="seconds", dashed=()):
    """Draw the performance profile of Dolan and More (2002).

    The curve of a library at tau is the share of problems that it solves within tau
    times the seconds of the fastest library.

    Parameters
    ----------
    times : list of dict of str to float
        For every problem the seconds, or other cost, of the libraries that reached the
        gap.
    colour : dict of str to colour
        By library.
    gap : float
        Gap that counts as solved: relative in `run.py`.
    path : Path
        File to write.
    unit : str
        Name of the cost.
    dashed : collection of str
        Libraries drawn with dashed lines.
    """
    figure = Figure(figsize=(7.5, 4.5), layout="constrained")
    ax = figure.add_subplot()
    slowdowns = {
        library: np.sort(
            [row[library] / min(row.values()) for row in times if library in row]
        )
        for library in colour
    }
    right = 1.3 * max((rows[-1] for rows in slowdowns.values() if len(rows)), default=2)
    for library, rows in slowdowns.items():
        shares = np.arange(len(rows) + 1) / max(len(times), 1)
        ax.step(
            np.concatenate([[1.0], rows, [right]]),
            np.append(np.append(0.0, shares[1:]), shares[-1]),
            where="post",
            color=colour[library],
            linestyle="--" if library in dashed else "-",
            linewidth=2.5 if library == OURS else 1.5,
            zorder=3 if library == OURS else 2,
            label=f"{library} ({len(rows)} of {len(times)})",
        )
    ax.set(
        title=f"Performance profile, {len(times)} problems, gap {gap:g}",
        xlabel=rf"$\tau$: {unit} over those of the fastest",
        ylabel=r"share of problems solved within $\tau$",
        xscale="log",
        xlim=(1, right),
        ylim=(0, 1.03),
    )
    ax.grid(alpha=0.3)
    _save(figure, path)


def stamp(figure):
    """Write machine, versions and date at the foot of a figure."""
    figure.supxlabel(machine(), x=0.01, ha="left", fontsize=5)


def _save(figure, path):
    figure.legend(
        loc="outside right upper", fontsize="small", frameon=False, handlelength=3
    )
    stamp(figure)
    figure.savefig(path, dpi=130)
