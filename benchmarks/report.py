"""The CSV and the Markdown of a run."""

import csv
import math
import statistics

from measure import ratio, reaching

OURS = "promise-learn"
COLUMNS = (
    *("problem", "task", "n", "p", "mu"),
    *("library", "solver", "tolerance", "chosen"),
    *("objective", "gap", "seconds", "rounds"),
)


def write_csv(results, machine, path):
    """One row a point; the first line, a comment, says where and when.

    Parameters
    ----------
    results : list of list of Point
        Of each problem.
    machine : str
    path : Path
    """
    with path.open("w", newline="") as file:
        file.write(f"# {machine}\n")
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for points in results:
            table.writerows(_cells(point) for point in points)


def _cells(point):
    problem, entrant = point.problem, point.entrant
    tolerance = "default" if point.default else f"{entrant.tolerance:g}"
    return [
        *(problem.name, problem.task, *problem.X.shape, f"{problem.mu:.6g}"),
        *(point.library, entrant.label, tolerance, point.chosen),
        *(repr(point.value), f"{point.gap:.3e}"),
        *(f"{point.median:.6f}", len(point.seconds)),
    ]


def write_markdown(results, machine, gap, startup, path):
    """Tables of a run: ours against the best peer, all libraries, first calls.

    Parameters
    ----------
    results : list of list of Point
        Of each problem.
    machine : str
    gap : float
        Gap that counts as solved.
    startup : list of dict
        Rows of `startup.startup`.
    path : Path
    """
    parts = [
        "# Time to a relative gap",
        machine,
        f"Seconds until (F - F\\*) / F\\* <= {gap:g}, medians of interleaved rounds; F "
        "is evaluated in float64 by the benchmark. promise-learn runs at its defaults, "
        "every other library at the fastest of its solvers and tolerances. Ratio: the "
        "peer's seconds over ours, the median over rounds.",
        _table(_against_peers(results, gap)),
        _summary(results, gap),
        "## All libraries",
        _table(_all_libraries(results, gap)),
    ]
    if startup:
        parts += [
            "## First calls",
            "Seconds that the first fit of a fresh process takes beyond the second, "
            "with the compiler's cache on disk empty and filled.",
            _table(startup),
        ]
    path.write_text("\n\n".join(parts) + "\n")


def _against_peers(results, gap):
    for points in results:
        problem = points[0].problem
        row = dict(zip(("problem", "n", "p"), _heading(problem), strict=True))
        mine = next((p for p in points if p.library == OURS and p.default), None)
        peer = _best_peer(points, gap)
        if mine:
            row |= {"ours": f"{mine.median:.3g}", "gap": f"{mine.gap:.0e}"}
            row["solver"] = mine.chosen
        if peer:
            row |= {"peer": f"{peer.median:.3g}", "best peer": " ".join(peer.key)}
        row["ratio"] = _score(mine, peer, gap)
        yield row


def _heading(problem):
    n, p = problem.X.shape
    return problem.name, f"{n:,}", f"{p:,}"


def _best_peer(points, gap):
    peers = reaching(points, gap)
    peers.pop(OURS, None)
    return min(peers.values(), key=lambda point: point.median, default=None)


def _score(mine, peer, gap):
    if mine is None:
        return "-"
    if mine.gap > gap:
        return "missed"
    return f"{ratio(mine, peer):.2f}" if peer else "no peer"


def _summary(results, gap):
    """Geometric mean of the ratios where both reached the gap."""
    scores = [row["ratio"] for row in _against_peers(results, gap)]
    ratios = [float(score) for score in scores if score[0].isdigit()]
    if not ratios:
        return "No problem has a ratio."
    mean = math.exp(statistics.fmean(math.log(each) for each in ratios))
    return (
        f"{len(ratios)} ratios of {len(scores)} problems, ahead on "
        f"{sum(each >= 1 for each in ratios)}, geometric mean {mean:.2f}, "
        f"least {min(ratios):.2f}; missed {scores.count('missed')}."
    )


def _all_libraries(results, gap):
    libraries = dict.fromkeys(point.library for points in results for point in points)
    for points in results:
        fastest = reaching(points, gap)
        row = {"problem": points[0].problem.name}
        for library in libraries:
            point = fastest.get(library)
            row[library] = (
                f"{point.median:.3g} ({point.entrant.label})" if point else "-"
            )
        yield row


def _table(rows):
    """Markdown of rows, whose keys are the headings."""
    rows = list(rows)
    heads = list(dict.fromkeys(key for row in rows for key in row))
    lines = [heads, ["---"] * len(heads)]
    lines += [[str(row.get(head, "-")) for head in heads] for row in rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
