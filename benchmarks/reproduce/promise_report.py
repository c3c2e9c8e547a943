"""Page and picture of PROMISE's table, from the lines that promise_table.py wrote."""

import statistics
from math import inf

import plots
from promise_problems import COLUMNS, PUBLISHED, SOLVED, STRENGTHS, published

from promise_learn.preconditioners import PRECONDITIONERS

ACCURACY = 1e-4
KEPT = {"paper": "ssn", "auto": "auto"}  # preconditioner of a preset in the picture
KINDS = ("sketchy-sgd", "sketchy-svrg", "sketchy-saga", "sketchy-katyusha")


def report(lines):
    """Text of the page: problems one by one, then counts and medians."""
    lines, rest = compared(lines)
    tables = [*problems_table(lines), *counts_table(lines)]
    tables += [*summary(lines, "passes"), *summary(lines, "all passes")]
    for name, mu0 in dict.fromkeys((x["problem"], x["mu_0"]) for x in rest):
        own = [x for x in rest if (x["problem"], x["mu_0"]) == (name, mu0)]
        solved = sum(value(x, "epochs") < inf for x in own)
        tables.append(
            f"\nBeside these, {name} at mu_0 = {mu0} ran with one preset alone "
            f"({own[0]['preset']}): {solved} of {len(own)} runs solved."
        )
    return "\n".join(tables) + "\n"


def compared(lines):
    """Lines of the problems that ran with every preset there is, and the others."""
    presets = {line["preset"] for line in lines}
    ran = {}
    for line in lines:
        ran.setdefault((line["problem"], line["mu_0"]), set()).add(line["preset"])
    split = [], []
    for line in lines:
        split[ran[line["problem"], line["mu_0"]] != presets].append(line)
    return split


def value(line, key):
    """Number of a line; None where there is none."""
    return float(line[key]) if line[key] != "" else None


def text(epochs):
    """Epochs as the published tables write them: a hyphen where unsolved."""
    if epochs is None:
        return ""
    return "-" if epochs == inf else f"{epochs:.0f}"


def problems_table(lines):
    """Optima and epochs of the four columns that PROMISE states by problem."""
    heads = [f"{s.removeprefix('sketchy-')} {p}" for s, p in COLUMNS]
    out = [
        'Epochs at mu_0 = 1e-2: published / preset "paper" / our defaults.\n',
        "| problem | n | p | F published | F* | " + " | ".join(heads) + " |",
        "|---|---|---|---|---|" + "---|" * len(heads),
    ]
    first = [line for line in lines if float(line["mu_0"]) == STRENGTHS[0]]
    for name in dict.fromkeys(line["problem"] for line in first):
        own = [line for line in first if line["problem"] == name]
        key = {(x["solver"], x["preconditioner"], x["preset"]): x for x in own}
        cells = []
        for solver, preconditioner in COLUMNS:
            ours = [key.get((solver, preconditioner, k)) for k in KEPT]
            epochs = [published(name, STRENGTHS[0], solver, preconditioner)]
            epochs += [x and value(x, "epochs") for x in ours]
            cells.append(" / ".join(map(text, epochs)))
        same = "" if PUBLISHED[name].same else " *"
        facts = (own[0][k] for k in ("n", "p", "F published", "F*"))
        out.append(f"| {name}{same} | " + " | ".join([*facts, *cells]) + " |")
    out.append("\n\\* the recipe of PROMISE, with random features of another stream.")
    return out


def summary(lines, column):
    """Problems solved and the median of a column, by solver and preconditioner."""
    names = [*PRECONDITIONERS, "auto"]
    out = []
    for mu0 in STRENGTHS:
        own = [line for line in lines if float(line["mu_0"]) == mu0]
        count = len({line["problem"] for line in own})
        if count:
            out += [
                f"\nSolved of {count} at mu_0 = {mu0:g}, and the median of {column}: "
                'preset "paper" / our defaults.\n',
                "| solver | " + " | ".join(names) + " |",
                "|---|" + "---|" * len(names),
            ]
            for solver in KINDS:
                cells = (both_presets(own, solver, name, column) for name in names)
                out.append(f"| {solver} | " + " | ".join(cells) + " |")
    return out


def both_presets(*args):
    """Cells of both presets, where they ran."""
    cells = (solved_and_median(*args, preset) for preset in KEPT)
    return " / ".join(filter(None, cells))


def solved_and_median(lines, solver, preconditioner, column, preset):
    """Problems solved and the median of a column; empty where nothing ran."""
    costs = [
        value(line, column) if value(line, "epochs") < inf else inf
        for line in lines
        if (solver, preconditioner, preset)
        == (line["solver"], line["preconditioner"], line["preset"])
    ]
    return cell_of(costs) if costs else ""


def counts_table(lines):
    """Solved problems and median epochs: of PROMISE, with its constants, and ours."""
    out = []
    for mu0, stated in SOLVED.items():
        own = [line for line in lines if float(line["mu_0"]) == mu0]
        names = list(dict.fromkeys(line["problem"] for line in own))
        if not names:
            continue
        out += [
            f"\nSolved at mu_0 = {mu0:g}, and the median of epochs on the problems at "
            "hand.\n",
            "| solver | published, of 34 logistic + 17 ridge | "
            f'published, of these {len(names)} | preset "paper" | our defaults |',
            "|---|---|---|---|---|",
        ]
        for key, (logistic, ridge) in stated.items():
            epochs = [published(name, mu0, *key) for name in names]
            here = "" if None in epochs else cell_of(epochs)
            ours = (solved_and_median(own, *key, "epochs", k) for k in KEPT)
            cells = (" ".join(key), f"{logistic} + {ridge}", here, *ours)
            out.append("| " + " | ".join(cells) + " |")
    return out


def cell_of(costs):
    """Count of finite costs, and their median with the infinite ones."""
    return f"{sum(cost < inf for cost in costs)}, {text(statistics.median(costs))}"


def draw(lines, path):
    """Performance profile in passes: the paper's ssn against our default."""
    times = {}
    for line in compared(lines)[0]:
        if line["preconditioner"] != KEPT[line["preset"]]:
            continue
        label = {"paper": "paper, ssn", "auto": "default"}[line["preset"]]
        found = times.setdefault((line["problem"], line["mu_0"]), {})
        if value(line, "passes") < inf:
            found[f"{line['solver']} {label}"] = value(line, "passes")
    names = [f"{s} {k}" for k in ("paper, ssn", "default") for s in KINDS]
    colour = {name: f"C{i % len(KINDS)}" for i, name in enumerate(names)}
    plots.profile(
        list(times.values()), colour, ACCURACY, path, "passes", names[: len(KINDS)]
    )
