"""Compilation ahead of the first fit."""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, NamedTuple
from warnings import catch_warnings

import numpy as np
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits

from .logistic import LogisticRegression
from .ridge import Ridge
from .solvers import Solver

_STORAGES: dict[str, Callable[[Any], Any]] = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "csr": lambda X: csr_array(X * (np.arange(X.size).reshape(X.shape) % 4 == 0)),
}
# what "auto" chooses from
_AUTO = ("direct", "pcg", "dual-cg", "newton-cholesky", "newton-cg")
_RIDGE_ONLY = ("direct", "pcg", "dual-cg", "nystrom-pcg")


class Compiled(NamedTuple):
    """A kernel that was compiled: its name, the storage of X, and the seconds."""

    kernel: str
    storage: str
    seconds: float


def warmup(
    solvers: str | Solver | Sequence[str | Solver] = "auto",
    storages: str | Sequence[str] = ("C", "F", "csr"),
    dtypes: str | Sequence[str] = "float64",
    verbose: bool = False,
) -> list[Compiled]:
    """Compile the kernels of the solvers, or load them from the cache on disk.

    Fits small problems of one and several targets and of two and three classes, so that
    later fits wait for no compilation. What is compiled stays in Numba's cache, where
    later processes find it: once for an installation is enough, in an image of a
    container for instance.

    Parameters
    ----------
    solvers : str, Solver, or sequence of them, default="auto"
        Names or objects of `promise_learn.solvers`; "auto" stands for all that it may
        choose. Each stochastic solver takes some seconds more a storage.
    storages : str or sequence of str, default=("C", "F", "csr")
        Memory order of dense arrays, and CSR with 32-bit indices.
    dtypes : str or sequence of str, default="float64"
        Of X: "float64", "float32" or both.
    verbose : bool, default=False
        Print a line for each kernel that is compiled.

    Returns
    -------
    list of Compiled
        Named tuples ``(kernel, storage, seconds)`` of what was compiled, in order; a
        kernel that several storages share counts for the first. Empty where everything
        came from the cache.

    Examples
    --------
    >>> from promise_learn import warmup
    >>> compiled = warmup(storages="C")
    >>> warmup(storages="C")
    []
    """
    from numba.core.event import install_recorder

    records = []
    for dtype in _known("dtypes", dtypes, ("float64", "float32")):
        for storage in _known("storages", storages, _STORAGES):
            with install_recorder("numba:compile") as recorder:
                _fit(solvers, storage, dtype)
            for kernel, seconds in _outermost(recorder.buffer):
                records.append(Compiled(kernel, f"{storage} {dtype}", seconds))
                if verbose:
                    print(f"{kernel:<24}{records[-1].storage:<14}{seconds:6.2f} s")
    if verbose and not records:
        print("nothing to compile")
    return records


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str | Solver) else value


def _known(name: str, value: Any, known: Collection[str]) -> Any:
    """Several of what is known, or ValueError."""
    for each in _several(value):
        if each not in known:
            raise ValueError(f"{name}={each!r}: use any of {', '.join(known)}")
    return _several(value)


def _fit(solvers: Any, storage: str, dtype: str) -> None:
    """Make small fits by the solvers that reach all their kernels."""
    rng = np.random.default_rng(0)
    # rows enough to start on a sample of them, and outliers that make Newton search its
    # step; columns enough for BLAS; fewer rows than columns
    tall, broad = rng.standard_cauchy((8000, 2)), rng.standard_normal((1500, 150))
    for X in (tall, broad, broad[:4, :8]):
        score = X.sum(axis=1)
        classes = np.digitize(score, np.quantile(score, [0.3, 0.6]))
        data = _STORAGES[storage](X.astype(dtype))
        # so few iterations need not converge, and need no threads
        with catch_warnings(action="ignore"), threadpool_limits(1):
            for options in _options(solvers):
                ridge = Ridge(max_iter=3, random_state=0, **options)
                ridge.fit(data, score).fit(data, np.column_stack([score, -score]))
                if getattr(options["solver"], "name", options["solver"]) in _RIDGE_ONLY:
                    continue
                logistic = LogisticRegression(max_iter=3, random_state=0, **options)
                logistic.fit(data, classes > 0).fit(data, classes)


def _options(solvers: Any) -> Iterator[dict[str, Any]]:
    """Parameters of the estimators to fit."""
    for solver in _several(solvers):
        if solver != "auto":
            yield {"solver": solver}
            continue
        for name in _AUTO:
            yield {"solver": name}
        yield {"solver": "newton-cg", "preconditioner": "nystrom"}


def _outermost(events: Any) -> Iterator[tuple[str, float]]:
    """Name and seconds of compilations, each with those that it asked for inside."""
    depth, start = 0, 0.0
    for time, event in events:
        if event.is_start:
            start = start if depth else time
            depth += 1
        else:
            depth -= 1
            if depth == 0:
                yield event.data["dispatcher"].py_func.__name__, time - start
