"""Every private scikit-learn name that the package touches, and stand-ins for others.

``check_sample_weight`` is scikit-learn's private ``_check_sample_weight``. How it
validates parameters is private on purpose, so a small table-driven validation with the
same error wording lives here.
"""

import numbers
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import inf, isfinite
from typing import Any

import numpy as np
from scipy import sparse
from sklearn import get_config
from sklearn.utils.validation import _check_sample_weight as check_sample_weight
from sklearn.utils.validation import check_consistent_length, validate_data

from ._arrays import as_numpy, compact, compat, device, is_sparse, like, namespace
from .kernels import _threads
from .kernels._threads import evenly

__all__ = [
    "Constraint",
    "InvalidParameterError",
    "array",
    "boolean",
    "check_parameters",
    "check_same_namespace",
    "check_sample_weight",
    "choice",
    "instance",
    "integer",
    "none",
    "random_source",
    "real",
    "validate",
    "validate_weights",
]


class InvalidParameterError(ValueError, TypeError):
    """A parameter has a value, or a type, that its estimator does not take."""


@dataclass(frozen=True)
class Constraint:
    """What a parameter may be: a test and its wording; ``a | b`` accepts either."""

    accepts: Callable[[Any], bool]
    wording: tuple[str, ...]

    def __or__(self, other: "Constraint") -> "Constraint":
        """Either of two constraints."""
        return Constraint(
            lambda value: self.accepts(value) or other.accepts(value),
            self.wording + other.wording,
        )

    def __str__(self) -> str:
        """Wording of the constraint, as in "a float, a str or None"."""
        *head, last = self.wording
        return f"{', '.join(head)} or {last}" if head else last


def _interval(kind, name, low, high, closed):
    left = closed in ("left", "both")
    right = closed in ("right", "both")

    def accepts(value):
        if not isinstance(value, kind) or isinstance(value, (bool, np.bool_)):
            return False
        above = value >= low if left else value > low
        return bool(above and (value <= high if right else value < high))

    bounds = f"{'[' if left else '('}{low}, {high}{']' if right else ')'}"
    return Constraint(accepts, (f"{name} in the range {bounds}",))


def real(low: float = -inf, high: float = inf, closed: str = "left") -> Constraint:
    """Real number between two bounds; `closed` is left, right, both or neither."""
    return _interval(numbers.Real, "a float", float(low), float(high), closed)


def integer(low: float = -inf, high: float = inf, closed: str = "left") -> Constraint:
    """Integer between two bounds; `closed` is left, right, both or neither."""
    return _interval(numbers.Integral, "an int", low, high, closed)


def choice(*names: str) -> Constraint:
    """One of the given strings."""
    listed = ", ".join(repr(name) for name in sorted(names))
    return Constraint(
        lambda value: isinstance(value, str) and value in names,
        (f"a str among {{{listed}}}",),
    )


def instance(*types: type) -> Constraint:
    """Object of one of the given classes."""
    return Constraint(
        lambda value: isinstance(value, types),
        tuple(f"an instance of {kind.__qualname__!r}" for kind in types),
    )


def _is_array(value):
    sequence = isinstance(value, (list, tuple))
    return sequence or (hasattr(value, "shape") and len(value.shape) > 0)


array = Constraint(_is_array, ("an array-like",))
boolean = instance(bool, np.bool_)
none = Constraint(lambda value: value is None, ("None",))
random_source = (
    integer(0, 2**32 - 1, "both")
    | instance(np.random.RandomState, np.random.Generator)
    | none
)


def check_parameters(estimator: object, constraints: dict[str, Constraint]) -> None:
    """Raise where a parameter of an estimator breaks its constraint.

    Parameters
    ----------
    estimator : object
        Estimator, solver or preconditioner, with the parameters as attributes.
    constraints : dict of str to Constraint
        One entry for each parameter to check.

    Raises
    ------
    InvalidParameterError
        In scikit-learn's words: "The 'alpha' parameter of Ridge must be a float in the
        range [0.0, inf). Got -1 instead."

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> check_parameters(SimpleNamespace(tol=0.1), {"tol": real(0) | none})
    """
    for name, constraint in constraints.items():
        value = getattr(estimator, name)
        if not constraint.accepts(value):
            raise InvalidParameterError(
                f"The {name!r} parameter of {type(estimator).__name__} must be "
                f"{constraint}. Got {value!r} instead."
            )


CSR = sparse.csr_array, sparse.csr_matrix
NO_TARGET = "no_validation"
"""What scikit-learn's `validate_data` takes for "there is no y here"."""


def _on_device(X):
    """Whether X is a CuPy array or a CuPyX matrix, which scikit-learn cannot check."""
    return type(X).__module__.split(".")[0] in ("cupy", "cupyx")


def _float_types(X):
    """Types to keep: of X's namespace where scikit-learn leaves it there."""
    kept = get_config()["array_api_dispatch"] and compat().is_array_api_obj(X)
    xp = namespace(X) if kept else np
    return [xp.float64, xp.float32]


def validate(estimator, X, y=NO_TARGET, *, reset=True, **options):
    """Validate X, and y when given, with scikit-learn's own checks and errors.

    float32 and float64 are kept, everything else becomes float64. Sparse X becomes CSR
    with 32-bit indices where they fit and duplicates summed. CuPy data stay on their
    device and get the same checks there.

    Parameters
    ----------
    estimator : BaseEstimator
        Gets ``n_features_in_`` (and ``feature_names_in_``).
    X : array-like or sparse matrix
    y : array-like, optional
        None is an error.
    reset : bool, default=True
        False in predict: X must look like the X of fit.
    **options
        For `sklearn.utils.validation.validate_data`.

    Returns
    -------
    X, or (X, y) when y was given
    """
    alone = isinstance(y, str) and y == NO_TARGET
    if _on_device(X) and y is not None:
        X, y = _validate_on_device(estimator, X, y, reset, **options)
        return X if alone else (X, y)
    if is_sparse(y):
        raise ValueError("Sparse y is not supported: pass y.toarray().")
    if _is_valid(X) and X.ndim == 2 and (alone or _is_valid_target(X, y)):
        _check_features(estimator, X, reset)
    else:
        options |= {"accept_sparse": "csr", "dtype": _float_types(X)}
        checked = validate_data(estimator, X, y, reset=reset, **options)
        X, y = (checked, y) if alone else checked
    if is_sparse(X):
        X = _canonical(X)
    return X if alone else (X, y)


def _check_features(estimator, X, reset):
    """Note, or check, number and names of the features of a valid X."""
    if type(X) is np.ndarray and not hasattr(estimator, "feature_names_in_"):
        if reset:  # asking a plain array for names takes longer than its sum
            estimator.n_features_in_ = X.shape[1]
        if X.shape[1] == getattr(estimator, "n_features_in_", None):
            return
    validate_data(estimator, X, skip_check_array=True, reset=reset)


def _is_valid(x):
    """Whether scikit-learn's checks would give this array back as it is.

    They take a fifth of the time of a fit to a few hundred rows.
    """
    values = x.data if isinstance(x, CSR) else x
    if type(values) is not np.ndarray or values.dtype not in (np.float64, np.float32):
        return False
    return x.ndim > 0 and 0 not in x.shape and isfinite(_sum(values))


def _sum(values):
    """Sum of all entries, in threads: in one it takes as long as a pass over X."""

    def share(k, lo, hi):
        with np.errstate(over="ignore", invalid="ignore"):  # this thread's own
            return float(np.add.reduce(values[lo:hi], axis=None))

    ranges = _threads.partition(partial(evenly, 0, len(values)), values.size, 0)
    return sum(_threads.run(share, ranges))


def _is_valid_target(X, y):
    """Whether they would give back these targets, one a row, as they are."""
    if type(y) is not np.ndarray or y.shape != X.shape[:1]:
        return False
    return y.dtype.kind in "iub" or _is_valid(y)


def _canonical(X):
    """Compact CSR, checked: compiled code would follow a wrong index beyond X."""
    try:
        X.check_format(full_check=True)
    except ValueError as error:
        raise ValueError(f"X is not a valid CSR matrix: {error}") from error
    return compact(X)


def _validate_on_device(estimator, X, y, reset, multi_output=False, **_):
    """Scikit-learn's checks of X and y, in the words of CuPy."""
    if X.ndim != 2:
        raise ValueError(f"Expected 2D array, got {X.ndim}D array instead")
    validate_data(estimator, X, skip_check_array=True, reset=reset)
    if hasattr(X, "tocsr"):
        X = compact(X.tocsr())
    if min(X.shape) == 0:
        raise ValueError(f"Found array with shape {X.shape}: at least 1 is required.")
    _check_values(X.data if is_sparse(X) else X, "X")
    if X.dtype not in (np.float32, np.float64):
        X = X.astype(np.float64)
    if isinstance(y, str):
        return X, y
    y = y if _on_device(y) else as_numpy(y)
    if not 1 <= y.ndim <= 1 + multi_output:
        raise ValueError(f"y should be a 1d array, got shape {y.shape} instead.")
    check_consistent_length(X, y)
    _check_values(y, "y")
    return X, y


def _check_values(values, name):
    if values.dtype.kind == "c":
        raise ValueError("Complex data not supported")
    if values.dtype.kind == "f" and not bool(namespace(values).isfinite(values).all()):
        raise ValueError(f"Input {name} contains NaN or infinity.")


def validate_weights(sample_weight, X):
    """Weights of the rows, non-negative and not all zero, beside X.

    Parameters
    ----------
    sample_weight : array-like (n,), float or None
    X : validated array or CSR matrix

    Returns
    -------
    array (n,), float64
    """
    n = X.shape[0]
    if sample_weight is None:
        weights = np.ones(n)
    else:
        if not np.isscalar(sample_weight):
            sample_weight = as_numpy(sample_weight)
        anchor = np.zeros((n, 1))
        weights = check_sample_weight(sample_weight, anchor, dtype=np.float64)
        if (weights < 0).any():
            raise ValueError("Negative values in data passed to `sample_weight`")
        if not weights.any():
            raise ValueError("sample_weight is zero everywhere: no row is left to fit.")
        with np.errstate(over="ignore"):
            if np.isinf(weights.sum()):
                raise ValueError("The sum of sample_weight overflows: scale it down.")
    return like(weights, X, namespace(X).float64)


def check_same_namespace(X, fitted, estimator, method):
    """Raise where X lives elsewhere than an array of a fitted estimator."""
    here, there = namespace(X), namespace(fitted)
    if here is there and device(X) == device(fitted):
        return
    raise ValueError(
        f"Inputs passed to {type(estimator).__name__}.{method}() must use the same "
        "namespace and the same device as those passed to fit(): fitted with "
        f"{there.__name__} on {device(fitted)}, got {here.__name__} on {device(X)}."
    )
