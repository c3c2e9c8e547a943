"""Every private scikit-learn name that the package touches, and stand-ins for others.

``check_sample_weight`` is scikit-learn's private ``_check_sample_weight``. Its validation
of parameters is private on purpose, so a small table-driven one with the same error
wording lives here.
"""

import numbers
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.validation import _check_sample_weight as check_sample_weight
from sklearn.utils.validation import validate_data

from ._arrays import as_numpy, is_sparse, like, zeros

__all__ = [
    "Constraint",
    "InvalidParameterError",
    "array",
    "boolean",
    "check_parameters",
    "check_sample_weight",
    "class_weights",
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


INT32_MAX = 2**31 - 1


def _on_device(X):
    """Whether X is a CuPy array or a CuPyX matrix, which scikit-learn cannot check."""
    return type(X).__module__.split(".")[0] in ("cupy", "cupyx")


def _float_types(X):
    if is_sparse(X) or not hasattr(X, "__array_namespace__"):
        return [np.float64, np.float32]
    xp = array_namespace(X)
    return [xp.float64, xp.float32]


def validate(estimator, X, y=None, *, reset=True, **options):
    """Validate X, and y when given, with scikit-learn's own checks and errors.

    float32 and float64 are kept, everything else becomes float64. Sparse X becomes CSR
    with 32-bit indices where they fit and duplicates summed. CuPy data stay on their
    device and get the same checks there.

    Parameters
    ----------
    estimator : BaseEstimator
        Gets ``n_features_in_`` (and ``feature_names_in_``).
    X : array-like or sparse matrix
    y : array-like, default=None
    reset : bool, default=True
        False in predict: X must look like the X of fit.
    **options
        For `sklearn.utils.validation.validate_data`.

    Returns
    -------
    X, or (X, y) when y was given
    """
    if _on_device(X):
        return _validate_on_device(estimator, X, y, reset)
    checked = validate_data(
        estimator,
        X,
        "no_validation" if y is None else y,
        accept_sparse="csr",
        dtype=_float_types(X),
        reset=reset,
        **options,
    )
    X, y = checked if y is not None else (checked, None)
    if is_sparse(X):
        X = _canonical(X)
    return X if y is None else (X, y)


def _canonical(X):
    """CSR without duplicates, 32-bit indices where they fit; copied only if changed."""
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    if X.indices.dtype != np.int32 and max(X.nnz, *X.shape) <= INT32_MAX:
        small = (X.data, X.indices.astype(np.int32), X.indptr.astype(np.int32))
        X = type(X)(small, shape=X.shape)
    return X


def _validate_on_device(estimator, X, y, reset):
    import cupy

    validate_data(estimator, X, skip_check_array=True, reset=reset)
    if is_sparse(X):
        X = X.tocsr()
    if X.dtype.kind == "c":
        raise ValueError("Complex data not supported")
    if X.ndim != 2:
        raise ValueError(f"Expected 2D array, got {X.ndim}D array instead")
    if min(X.shape) == 0:
        raise ValueError(
            f"Found array with shape {X.shape} while a minimum of 1 is required."
        )
    if X.dtype not in (np.float32, np.float64):
        X = X.astype(np.float64)
    if not bool(cupy.isfinite(X.data if is_sparse(X) else X).all()):
        raise ValueError("Input X contains NaN or infinity.")
    if y is None:
        return X
    y = cupy.asarray(y)
    if len(y) != X.shape[0]:
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: "
            f"{[X.shape[0], len(y)]}"
        )
    if y.dtype.kind == "f" and not bool(cupy.isfinite(y).all()):
        raise ValueError("Input y contains NaN or infinity.")
    return X, y


def validate_weights(sample_weight, X):
    """Weights of the rows, non-negative and not all zero, beside X.

    Returns
    -------
    array (n,), float64 on the host, the type of X elsewhere
    """
    if not is_sparse(X) and not isinstance(X, np.ndarray) or _on_device(X):
        n = X.shape[0]
        if sample_weight is None:
            return zeros((n,), X) + 1
        host = np.asarray(as_numpy(sample_weight), dtype=np.float64)
        anchor = np.zeros((n, 1))
        return like(validate_weights(host, anchor), X)
    weights = check_sample_weight(sample_weight, X, dtype=np.float64)
    if sample_weight is not None:
        if (weights < 0).any():
            raise ValueError("Negative values in data passed to `sample_weight`")
        if not weights.any():
            raise ValueError("sample_weight is zero everywhere: no row is left to fit.")
    return weights


def class_weights(class_weight, classes, codes, weights):
    """Multiply sample weights by the weight of each row's class.

    Parameters
    ----------
    class_weight : dict, "balanced" or None
    classes : ndarray (K,)
    codes : ndarray (n,)
        Class number of every row.
    weights : ndarray (n,)

    Returns
    -------
    ndarray (n,)
    """
    if class_weight is None:
        return weights
    factors = compute_class_weight(
        class_weight, classes=classes, y=classes[codes], sample_weight=weights
    )
    return weights * factors[codes]
