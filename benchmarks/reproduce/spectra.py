"""Spectra of four Hessians before and after preconditioning, and condition numbers.

    python benchmarks/reproduce/spectra.py

The Hessian is that of a fit, at its coefficients. Every preconditioner is built twice:
as PROMISE does (floor(sqrt(n)) rows, rho = 1e-3, rank 10, no equilibration) and by the
defaults of `HessianSpectrum` (10 sqrt(n) rows, damped by the penalty, rank 50,
equilibrated columns).
Condition numbers come from all eigenvalues of a dense matrix, the picture from
`SpectrumDisplay`. Writes spectra.csv and spectra.png.
"""

import argparse
import csv
import sys
from math import isqrt
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

sys.path.insert(0, str(Path(__file__).parents[1]))

from environment import machine
from plots import stamp
from problems import SUITES, Spec, estimator, load

from promise_learn import HessianSpectrum, SpectrumDisplay
from promise_learn.preconditioners import PRECONDITIONERS
from promise_learn.spectra import fitted_objective

NAMES = (
    "a9a-raw-logistic",
    "ijcnn1-rbf500-logistic",
    "covtype_20k-dense-logistic",
    "cadata-rbf1000-ridge",
)
SMOKE = (Spec("diabetes", "ridge", "dense"),)
RESULTS = Path(__file__).parent / "results"


def paper(f, w, name):
    """Preconditioner with the constants of PROMISE."""
    specification, rng = PRECONDITIONERS[name](), np.random.default_rng(0)
    if "rank" in specification.get_params():
        specification.set_params(rank=10)
    root = f.hessian_root(w, f.sample(isqrt(f.n_rows), rng))
    return specification.build(root, 1e-3, rng)


def condition(f, w, preconditioner=None):
    """Condition number from all eigenvalues."""
    values = HessianSpectrum(f, w, preconditioner).eigenvalues()
    return values[-1] / values[0]


def row(problem, f, w):
    """Line of the table."""
    mu, spectrum = problem.mu, HessianSpectrum(f, w)
    found = {
        "problem": problem.name,
        "rows": f.n_rows,
        "columns": f.dim,
        "mu": f"{mu:.2e}",
        "effective dimension": f"{spectrum.effective_dimension(mu):.1f}",
        "none": f"{condition(f, w):.3g}",
    }
    for name in PRECONDITIONERS:
        found[f"{name}, paper"] = f"{condition(f, w, paper(f, w, name)):.3g}"
        found[f"{name}, default"] = f"{condition(f, w, name):.3g}"
    return found


def main(arguments=None):
    """Write the table and the picture."""
    cli = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    cli.add_argument("--suite", default="quick", choices=["smoke", "quick"])
    cli.add_argument("--preconditioner", default="ssn", choices=sorted(PRECONDITIONERS))
    cli.add_argument("--out", type=Path, default=RESULTS)
    args = cli.parse_args(arguments)
    args.out.mkdir(parents=True, exist_ok=True)
    print(machine())
    chosen = [spec for spec in SUITES["quick"] if spec.name in NAMES]
    specs = SMOKE if args.suite == "smoke" else chosen
    figure = Figure(figsize=(11, 7), layout="constrained")
    panels, rows = np.ravel(figure.subplots(2, 2)), []
    for ax, spec in zip(panels, specs, strict=False):
        try:
            problem = load(spec)
        except FileNotFoundError as error:
            print(f"{spec.name}: skipped. {error}")
            continue
        model = estimator(problem).fit(problem.X, problem.y)
        f, w = fitted_objective(model, problem.X, problem.y)
        rows.append(row(problem, f, w))
        print(", ".join(f"{key}: {value}" for key, value in rows[-1].items()))
        SpectrumDisplay.from_objective(f, w, preconditioner=args.preconditioner, ax=ax)
        before, after = (
            rows[-1][k] for k in ("none", f"{args.preconditioner}, default")
        )
        ax.set_title(f"{problem.name}: {before} to {after}", fontsize="medium")
    with (args.out / "spectra.csv").open("w", newline="") as file:
        file.write(f"# {machine()}\n")
        table = csv.DictWriter(file, list(rows[0]) if rows else [], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    figure.suptitle("Spectral density and condition number of the Hessian")
    stamp(figure)
    figure.savefig(args.out / "spectra.png", dpi=110)


if __name__ == "__main__":
    main()
