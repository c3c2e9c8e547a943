"""One adapter a library, each a module `bench_<library>` of the same three names.

name : str
    Distribution of the library.
available() : bool
    Whether it is installed.
entrants(problem) : iterable of Entrant
    Fits to time, each solver's from the loosest tolerance to the tightest; none where
    the library cannot minimise the objective of the problem.
"""

import importlib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

TOLERANCES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-6, 1e-8, 1e-10)


class Solution(NamedTuple):
    """Coefficients that a fit found, and the solver that the library chose."""

    coef: Any
    intercept: Any
    chosen: str = ""


class Entrant(NamedTuple):
    """A solver at one tolerance; the library's default where the tolerance is None."""

    label: str
    tolerance: float | None
    fit: Callable[[], Solution]


def installed(*modules):
    """Whether all modules can be imported."""
    return all(find_spec(module) is not None for module in modules)


def of_estimator(make, problem, labels=None):
    """Fit that makes an estimator and fits it; targets are y where no labels."""

    def fit():
        model = make().fit(problem.X, problem.y if labels is None else labels)
        return Solution(model.coef_, model.intercept_, getattr(model, "solver_", ""))

    return fit


def known():
    """Names of the adapters, ours first."""
    files = Path(__file__).parent.glob("bench_*.py")
    names = (file.stem.removeprefix("bench_") for file in files)
    return sorted(names, key=lambda name: (name != "promise_learn", name))


def adapters(names=None):
    """Adapters of the installed libraries; one line for each that is absent.

    Parameters
    ----------
    names : sequence of str or None
        Libraries to take part; all where None.

    Returns
    -------
    list of module
    """
    found = []
    for name in names or known():
        if name not in known():
            raise SystemExit(f"no adapter of {name!r}: use {', '.join(known())}.")
        adapter = importlib.import_module(f"{__name__}.bench_{name}")
        if adapter.available():
            found.append(adapter)
        else:
            print(f"{adapter.name} is not installed: skipped.")
    return found
