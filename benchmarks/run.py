"""Time to a given gap of every library on every problem of a suite.

    python benchmarks/run.py --suite quick --libraries promise_learn,sklearn,glum \\
        --out results --budget 20

Writes to the folder results.csv, report.md, profile.png and curves_<problem>.png. The
suite "smoke" needs no files; the others look for them in PROMISE_LEARN_DATA.
"""

import argparse
from pathlib import Path

import plots
from environment import machine
from libraries import adapters
from measure import measure, reaching
from problems import SUITES, load
from report import write_csv, write_markdown
from startup import startup


def loaded(specs):
    """Specs with their problems, one after the other; absent files are told."""
    for spec in specs:
        try:
            yield spec, load(spec)
        except FileNotFoundError as error:
            print(f"{spec.name}: skipped. {error}")


def print_problem(points, gap):
    """One line a library: seconds to the gap, by which solver and tolerance."""
    fastest = reaching(points, gap)
    for library in dict.fromkeys(point.library for point in points):
        point = fastest.get(library)
        if point is None:
            own = [point for point in points if point.library == library]
            closest = min(own, key=lambda point: point.gap)
            text = f"not reached, {closest.gap:.1e} by {closest.entrant.label}"
        else:
            tolerance = "" if point.default else f" at {point.entrant.tolerance:g}"
            solver = point.chosen or point.entrant.label
            text = f"{point.median:.4f} s, {point.gap:.1e} by {solver}{tolerance}"
        print(f"  {library:22s}{text}", flush=True)


def run(specs, libraries, options):
    """Measure all problems and write the report; results by problem."""
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    here = machine(*(adapter.name for adapter in libraries))
    print(here, "\n")
    colour = plots.colours([adapter.name for adapter in libraries])
    present, results = [], []
    for spec, problem in loaded(specs):
        n, p = problem.X.shape
        print(f"{problem.name}, {n:,} x {p:,}", flush=True)
        points = measure(problem, libraries, options.rounds, options.budget)
        print_problem(points, options.gap)
        plots.curves(points, colour, options.gap, out / f"curves_{problem.name}.png")
        present.append(spec)
        results.append(points)
    if not results:
        raise SystemExit("no problem of that name, or none whose file is there.")
    times = [
        {name: point.median for name, point in reaching(points, options.gap).items()}
        for points in results
    ]
    solved = [row for row in times if row]
    plots.profile(solved, colour, options.gap, out / "profile.png")
    write_csv(results, here, out / "results.csv")
    firsts = list(startup(present, libraries)) if options.startup else []
    write_markdown(results, here, options.gap, firsts, out / "report.md")
    print(f"\nWritten to {out}: report.md, results.csv, profile.png, curves_*.png")
    return results


def main(arguments=None):
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--suite", choices=SUITES, default="quick")
    parser.add_argument("--libraries", type=lambda text: text.split(","))
    parser.add_argument("--only", default="", help="part of the names of problems")
    parser.add_argument("--out", default="results")
    parser.add_argument(
        "--budget", type=float, default=20, help="seconds of a solver on a problem"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--gap", type=float, default=1e-6)
    parser.add_argument(
        "--startup",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="also measure what first fits of a process cost",
    )
    options = parser.parse_args(arguments)
    specs = [spec for spec in SUITES[options.suite] if options.only in spec.name]
    run(specs, adapters(options.libraries), options)


if __name__ == "__main__":
    main()
