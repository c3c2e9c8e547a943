"""The command ``compare``: our solvers and scikit-learn's on the same objective.

The command evaluates the objective itself, in float64, so that no library marks its own
work. A fit of ours at a tight tolerance gives the optimum that gaps are measured from.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from sklearn import clone, linear_model
from sklearn.exceptions import ConvergenceWarning

from ._arrays import is_sparse
from ._problems import BUILT_IN, CompareError, Problem, load_problem
from .logistic import LogisticRegression
from .plotting import ConvergenceDisplay
from .ridge import Ridge
from .solvers import SOLVERS

__all__ = ["compare"]

_PEERS = {
    # liblinear is not among them: it penalises the intercept, another objective
    "logistic": ("lbfgs", "newton-cholesky", "newton-cg", "sag", "saga"),
    "ridge": ("cholesky", "svd", "lsqr", "sparse_cg", "sag"),
}
_DIRECT = ("newton-cholesky", "cholesky", "svd")
_DIRECT_LIMIT = 5_000  # order of the largest dense matrix that a direct peer may form
_PEER_SECONDS = 3.0
_PEER_ITERATIONS = 1_000
_REFERENCE_TOL = 1e-12


@dataclass(frozen=True)
class Run:
    """One fit: an estimator's name and class of solver, and how it went."""

    solver: str
    estimator: Any
    seconds: float = np.nan
    objective: float = np.nan
    converged: bool = False

    @property
    def ours(self) -> bool:
        """Whether the estimator is of this package."""
        return type(self.estimator).__module__.startswith("promise_learn")

    @property
    def label(self) -> str:
        """Library and solver, with what "auto" chose."""
        chosen = getattr(self.estimator, "solver_", self.solver)
        detail = f" ({chosen})" if self.ours and chosen != self.solver else ""
        return (
            f"{'promise_learn' if self.ours else 'scikit-learn'} {self.solver}{detail}"
        )

    @property
    def passes(self) -> str:
        """Passes over the data, or iterations where passes are not known."""
        if self.ours:
            return f"{self.estimator.history_['passes'][-1]:.0f}"
        iterations = getattr(self.estimator, "n_iter_", None)
        if iterations is None:
            return "-"
        unit = "" if self.solver in ("sag", "saga") else " it"
        return f"{int(np.max(iterations))}{unit}"


def compare(
    sources: Sequence[str],
    task: str | None,
    solvers: Sequence[str],
    tol: float,
    folder: Path,
) -> None:
    """Fit, print a table row by row, and plot each problem.

    Parameters
    ----------
    sources : sequence of str
        Names of built-in problems, and LIBSVM files; empty for all that is built in.
    task : {"logistic", "ridge"} or None
        What to fit; guessed from y where None.
    solvers : sequence of str
        Solvers of ours to run besides "auto".
    tol : float
        Tolerance given to every fit.
    folder : Path
        Where the plots go.

    Raises
    ------
    CompareError
        An error of the user's, in one sentence.
    """
    _check_solvers(solvers)
    _prepare(folder)
    sources = sources or [
        name for name, kind in BUILT_IN.items() if task in (None, kind or task)
    ]
    problems = [load_problem(source, task) for source in sources]
    _print_header()
    plans = [_plan(problem, solvers, tol) for problem in problems]
    with _progress(sum(map(len, plans)) + len(plans)) as advance:
        for problem, plan in zip(problems, plans, strict=True):
            reference = _reference(problem)
            advance()
            print(problem)
            runs = []
            for run in plan:
                runs.append(_fit(run, problem))
                _print_row(runs[-1], reference)
                advance()
            _plot(problem, runs, reference, folder)
    print(f"\nPlots of suboptimality against seconds: {folder.absolute()}")


def _check_solvers(solvers: Sequence[str]) -> None:
    known = ("auto", *SOLVERS)
    for name in solvers:
        if name not in known:
            raise CompareError(
                f"solver {name!r} is not known: use one of {', '.join(known)}."
            )


def _plan(problem: Problem, solvers: Sequence[str], tol: float) -> list[Run]:
    """Fits to make: our default, the solvers asked for, scikit-learn's."""
    kind = LogisticRegression if problem.task == "logistic" else Ridge
    plan = [
        Run(name, kind(solver=name, tol=tol, random_state=0))
        for name in dict.fromkeys(["auto", *solvers])
    ]
    peer = getattr(linear_model, kind.__name__)
    order = (problem.X.shape[1] + 1) * problem.n_outputs
    for name in _PEERS[problem.task]:
        if name in _DIRECT and order > _DIRECT_LIMIT:
            continue
        if is_sparse(problem.X) and name in ("cholesky", "svd"):
            continue  # scikit-learn refuses these for sparse X with an intercept
        plan.append(Run(name, peer(solver=name, tol=tol, random_state=0)))
    return plan


def _reference(problem: Problem) -> float:
    """Optimal value of a problem, from a fit of ours at a tight tolerance."""
    kind = LogisticRegression if problem.task == "logistic" else Ridge
    run = Run("auto", kind(tol=_REFERENCE_TOL, random_state=0))
    return _fit(run, problem).objective


def _fit(run: Run, problem: Problem) -> Run:
    """Make one fit and measure it; kernels are compiled before the clock starts."""
    estimator = run.estimator
    if run.ours:
        _timed(clone(estimator).set_params(max_iter=1), problem)
    elif run.solver not in _DIRECT:
        probe, _ = _timed(clone(estimator).set_params(max_iter=2), problem)
        # each step of newton-cg runs more inner iterations than the one before
        growth = 5 if run.solver == "newton-cg" else 1
        affordable = int(2 * _PEER_SECONDS / (growth * probe))
        estimator.set_params(max_iter=min(max(affordable, 5), _PEER_ITERATIONS))
    seconds, converged = _timed(estimator, problem)
    return replace(
        run,
        seconds=seconds,
        objective=problem.objective(estimator),
        converged=converged,
    )


def _timed(estimator: Any, problem: Problem) -> tuple[float, bool]:
    """Seconds of a fit, and whether it converged by its own account."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        start = perf_counter()
        try:
            estimator.fit(problem.X, problem.y)
        except (ValueError, MemoryError) as error:
            name = type(estimator).__name__
            raise CompareError(f"{problem.name}: {name}: {error}") from error
        seconds = perf_counter() - start
    failed = any(issubclass(each.category, ConvergenceWarning) for each in caught)
    return seconds, not failed


def _print_header() -> None:
    print(
        "gap: (F - F*) / F*, F evaluated in float64, F* from a fit of ours at "
        f"tol={_REFERENCE_TOL:g}.\n"
        "passes: over the data; scikit-learn's iterations (it) where unknown.\n"
        f"converged: by the solver's own account, scikit-learn's within "
        f"{_PEER_ITERATIONS:,} iterations\nand about {_PEER_SECONDS:g} seconds.\n\n"
        f"{'':<38}{'seconds':>9}{'gap':>10}{'passes':>10}{'converged':>11}"
    )


def _print_row(run: Run, reference: float) -> None:
    gap = (run.objective - reference) / abs(reference) if reference else run.objective
    converged = "yes" if run.converged else "no"
    figures = f"{run.seconds:>9.3f}{gap:>10.1e}{run.passes:>10}{converged:>11}"
    print(f"  {run.label:<36}{figures}", flush=True)


def _prepare(folder: Path) -> None:
    """Make the folder of the plots."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CompareError(f"cannot write plots: {error}") from error


def _plot(
    problem: Problem, runs: Sequence[Run], reference: float, folder: Path
) -> None:
    """Plot the runs of a problem to a PNG: ours as lines, scikit-learn's as points."""
    from matplotlib.figure import Figure

    ours = {run.label: run.estimator for run in runs if run.ours}
    optimum = min(reference, *(run.objective for run in runs))
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    display = ConvergenceDisplay.from_estimators(
        ours, optimum=optimum, ax=figure.add_subplot()
    )
    for run in runs:
        if not run.ours:
            gap = display.suboptimality(run.objective)
            display.ax_.plot(run.seconds, gap, "x", label=run.label)
    display.ax_.set(title=str(problem), xscale="log")
    display.ax_.legend(fontsize="small")
    figure.savefig(folder / f"{problem.name}.png", dpi=150)


@contextmanager
def _progress(total: int) -> Iterator[Any]:
    """Progress bar of `total` fits on a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console()
    if not console.is_terminal:
        yield lambda: None
        return
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("fits", total=total)
        yield lambda: bar.advance(task)
