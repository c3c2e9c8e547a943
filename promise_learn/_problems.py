"""Problems of the command ``compare``: data, checked, and the objective on them."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp
from sklearn import datasets as sklearn_datasets

from . import datasets
from ._arrays import is_sparse

__all__ = ["BUILT_IN", "CompareError", "Problem", "load_problem"]

BUILT_IN = {
    "breast_cancer": "logistic",
    "digits": "logistic",
    "diabetes": "ridge",
    "ill_conditioned": None,
}
_CLASSES = 20  # more whole values than these are taken for targets


class CompareError(Exception):
    """An error of the user's, told in one sentence."""


@dataclass(frozen=True)
class Problem:
    r"""Data and the objective that every solver minimises on it.

    .. math:: F(w, b) = \frac1n \sum_i \ell(x_i^T w + b, y_i)
              + \frac1{2n} \lVert w \rVert^2,

    half the squared error or the logistic loss: ``alpha=1`` and ``C=1``, the defaults.
    """

    name: str
    X: Any
    y: NDArray
    task: str

    def __str__(self) -> str:
        n_samples, n_features = self.X.shape
        return f"{self.name} ({self.task}, {n_samples:,} x {n_features:,})"

    @cached_property
    def codes(self) -> NDArray[np.int64]:
        """Classes counted from 0, shape (n,)."""
        return np.unique(self.y, return_inverse=True)[1]

    @property
    def n_outputs(self) -> int:
        """Columns of coefficients: 1, or the number of classes beyond 2."""
        classes = int(self.codes.max()) + 1 if self.task == "logistic" else 1
        return classes if classes > 2 else 1

    def objective(self, fit: Any) -> float:
        """F at the coefficients of a fitted estimator."""
        coef = np.atleast_2d(np.asarray(fit.coef_, dtype=np.float64))
        margins = self.X @ coef.T + np.asarray(fit.intercept_, dtype=np.float64)
        penalty = np.sum(coef**2) / (2 * len(self.y))
        return float(self._losses(margins).mean() + penalty)

    def _losses(self, margins: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.task == "ridge":
            return (margins[:, 0] - self.y) ** 2 / 2
        if self.n_outputs == 1:
            return np.logaddexp(0, margins[:, 0] * (1 - 2 * self.codes))
        own = np.take_along_axis(margins, self.codes[:, None], axis=1)[:, 0]
        return logsumexp(margins, axis=1) - own


def load_problem(source: str, task: str | None) -> Problem:
    """Problem of a built-in name or a LIBSVM file, checked.

    Parameters
    ----------
    source : str
        One of `BUILT_IN`, or what `promise_learn.datasets.load_libsvm` takes.
    task : {"logistic", "ridge"} or None
        What to fit; guessed from y where None.

    Returns
    -------
    Problem
        The problem.

    Raises
    ------
    CompareError
        The data cannot be read, or do not suit the task.
    """
    if source == "ill_conditioned":
        task = task or "logistic"
        X, y = datasets.make_ill_conditioned(task=task, random_state=0)  # type: ignore[arg-type]
    elif source in BUILT_IN:
        X, y = getattr(sklearn_datasets, f"load_{source}")(return_X_y=True)
    else:
        try:
            X, y = datasets.load_libsvm(source)
        except (OSError, ValueError) as error:
            raise CompareError(str(error)) from error
    values = np.unique(y)
    whole = bool(np.all(values == np.rint(values)))
    if task is None:
        task = "logistic" if whole and len(values) <= _CLASSES else "ridge"
    problem = Problem(Path(source).name, X, y, task)
    fault = _fault(problem, values, whole)
    if fault:
        raise CompareError(f"{source}: {fault}")
    return problem


def _fault(problem: Problem, values: NDArray, whole: bool) -> str | None:
    """Say why a problem's data do not suit its task, or None."""
    numbers = problem.X.data if is_sparse(problem.X) else problem.X
    if not (np.isfinite(values).all() and np.isfinite(numbers).all()):
        return "the data hold NaN or infinite values."
    if problem.task == "ridge":
        return None
    if len(values) == 1:
        return f"logistic needs two classes or more, and every label is {values[0]:g}."
    if not whole or len(values) > max(_CLASSES, len(problem.y) / 10):
        return (
            f"logistic needs class labels, and y takes {len(values)} values in "
            f"{len(problem.y)} rows, such as {values[len(values) // 2]:g}; "
            "use --task ridge."
        )
    return None
