"""Data to try the solvers on: LIBSVM files on disk, and a generated hard problem."""

import bz2
import gzip
import io
import lzma
import math
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy import sparse
from sklearn.datasets import load_svmlight_file

__all__ = ["load_libsvm", "make_ill_conditioned"]

_OPENERS: dict[str, Callable] = {
    ".xz": lzma.open,
    ".bz2": bz2.open,
    ".gz": gzip.open,
}
_SUFFIXES = tuple(
    kind + packing for kind in ("", ".svm") for packing in ("", *_OPENERS)
)
_LARGEST_INDEX = np.iinfo(np.int32).max  # scikit-learn's reader stops there
_BLOCK_ROWS = 8192


def load_libsvm(
    source: str | os.PathLike[str],
    *,
    n_features: int | None = None,
    dtype: DTypeLike = np.float64,
    data_home: str | os.PathLike[str] | None = None,
) -> tuple[sparse.csr_matrix, NDArray[np.float64]]:
    """Load a file in LIBSVM format, plain or compressed, by path or by name.

    Each line reads ``label index:value index:value ...``, indices increasing from 1
    (or from 0, in a file that has an index 0); ``#`` starts a comment.

    Parameters
    ----------
    source : str or path
        A path, or the name of a file in `data_home`; ``.svm``, ``.xz``, ``.bz2`` and
        ``.gz`` may be left out of a name.
    n_features : int, default=None
        Number of columns, where the last ones may be empty in this file; the largest
        index of the file otherwise.
    dtype : dtype, default=float64
        Type of the values of X.
    data_home : str or path, default=None
        Folder of named files; the one that the environment variable
        ``PROMISE_LEARN_DATA`` names where None.

    Returns
    -------
    X : csr_matrix of shape (n_samples, n_features)
        Features, with 32-bit indices where they fit.
    y : ndarray of shape (n_samples,)
        Labels or targets, float64.

    Raises
    ------
    FileNotFoundError
        No such file; the message says where it was looked for.
    ValueError
        A malformed line, named by file and line number.
    """
    path = _find(source, data_home)
    content = _read(path)
    try:
        X, y = load_svmlight_file(
            io.BytesIO(content), n_features=n_features, dtype=dtype
        )
    except (ValueError, OverflowError, IndexError) as error:
        fault = _explain(path, content, n_features) or f"{path}: {error}"
        raise ValueError(fault) from error
    if len(y) == 0:
        raise ValueError(f"{path} holds no rows.")
    return _with_small_indices(X), y


def _find(source: str | os.PathLike[str], data_home: Any) -> Path:
    """Path of a file given by path or name."""
    path = Path(source)
    home = data_home or os.environ.get("PROMISE_LEARN_DATA")
    candidates = [path]
    if home:
        candidates += [Path(home) / f"{source}{suffix}" for suffix in _SUFFIXES]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    where = (
        f"nor is there a file of that name (or with {', '.join(_SUFFIXES[1:])}) in "
        f"{Path(home).absolute()}"
        if home
        else "and PROMISE_LEARN_DATA, the folder of named files, is not set"
    )
    raise FileNotFoundError(f"{path.absolute()} is not a file, {where}.")


def _read(path: Path) -> bytes:
    """Content of a file, unpacked."""
    opener = _OPENERS.get(path.suffix, open)
    try:
        with opener(path, "rb") as file:
            return file.read()
    except (lzma.LZMAError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise ValueError(f"{path} cannot be unpacked: {error}.") from error
    except OSError as error:
        if opener is bz2.open and error.errno is None:
            raise ValueError(f"{path} cannot be unpacked: {error}.") from error
        raise


def _explain(path: Path, content: bytes, n_features: int | None) -> str | None:
    """Name the first malformed line of a file and what is wrong with it."""
    for number, line in enumerate(content.splitlines(), start=1):
        fields = line.split(b"#", 1)[0].decode("latin-1").split()
        fault = _fault([field[:40] for field in fields], n_features)
        if fault:
            return f"{path}, line {number}: {fault}."
    return None


def _fault(fields: list[str], n_features: int | None) -> str | None:
    """Say what is wrong with the fields of one line, or None."""
    previous = -1
    for position, field in enumerate(fields):
        index, colon, value = field.partition(":")
        if position == 0:
            if not _is_number(field):
                return f"the label {field!r} is not a number"
        elif not colon:
            return f"{field!r} is not of the form index:value"
        elif index == "qid":
            continue
        elif not index.isdecimal():
            return f"the index {index!r} is not a whole number"
        elif not _is_number(value):
            return f"the value {value!r} at index {index} is not a number"
        elif int(index) <= previous:
            return f"index {index} follows index {previous}; indices must increase"
        elif n_features is not None and int(index) > n_features:
            return f"index {index} is beyond n_features={n_features}"
        elif int(index) > _LARGEST_INDEX:
            return f"index {index} is beyond {_LARGEST_INDEX}"
        else:
            previous = int(index)
    return None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _with_small_indices(X: Any) -> sparse.csr_matrix:
    """CSR with 32-bit indices where they fit: half the bytes, and all peers take it."""
    fits = max(X.nnz, X.shape[1]) <= _LARGEST_INDEX
    kind = np.int32 if fits else np.int64
    parts = (X.data, X.indices.astype(kind), X.indptr.astype(kind))
    return sparse.csr_matrix(parts, shape=X.shape)


def make_ill_conditioned(
    n_samples: int = 200_000,
    n_features: int = 300,
    *,
    condition: float = 1e6,
    task: Literal["logistic", "ridge"] = "logistic",
    random_state: int | np.random.Generator | None = None,
    dtype: DTypeLike = np.float64,
) -> tuple[NDArray, NDArray]:
    r"""Generate a problem whose covariance has a power-law spectrum.

    The rows are normal with covariance

    .. math:: \Sigma = Q\,\mathrm{diag}(j^{-a})\,Q^T,\quad j = 1, \dots, p,\quad
              a = \log(condition) / \log(p),

    with Q a random rotation, so that the condition number of :math:`\Sigma` is
    `condition`. The true coefficients :math:`w = 2\,Q\,\mathrm{diag}(j^{a/2})\,u`, u
    uniform on the unit sphere, weigh every direction alike: the margins :math:`x^T w`
    have mean 0 and variance 4, and the small directions matter as much as the large.

    Parameters
    ----------
    n_samples, n_features : int, default=200_000, 300
        Shape of X.
    condition : float, default=1e6
        Condition number of the covariance, at least 1.
    task : {"logistic", "ridge"}, default="logistic"
        Labels 1 with probability :math:`1 / (1 + e^{-x^T w})`, else 0; or targets
        :math:`x^T w` plus standard normal noise.
    random_state : int, Generator or None, default=None
        Seed of the generator.
    dtype : dtype, default=float64
        Type of X, float32 or float64.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features)
        Features.
    y : ndarray of shape (n_samples,)
        Labels or targets.

    Examples
    --------
    >>> from promise_learn.datasets import make_ill_conditioned
    >>> X, y = make_ill_conditioned(500, 20, random_state=0)
    >>> X.shape, sorted(set(y.tolist()))
    ((500, 20), [0, 1])
    """
    if task not in ("logistic", "ridge"):
        raise ValueError(f"task must be 'logistic' or 'ridge'. Got {task!r} instead.")
    if not condition >= 1:
        raise ValueError(f"condition must be at least 1. Got {condition!r} instead.")
    rng, kind = np.random.default_rng(random_state), cast(Any, np.dtype(dtype))
    decay = math.log(condition) / math.log(max(n_features, 2))
    deviations = np.arange(1, n_features + 1) ** (-decay / 2)
    rotation = np.linalg.qr(rng.standard_normal((n_features, n_features)))[0]
    direction = rng.standard_normal(n_features)
    direction /= np.linalg.norm(direction)
    w = 2 * rotation @ (direction / deviations)

    mixing = (deviations[:, None] * rotation.T).astype(kind)
    X = np.empty((n_samples, n_features), dtype=kind)
    for start in range(0, n_samples, _BLOCK_ROWS):
        block = X[start : start + _BLOCK_ROWS]
        np.matmul(rng.standard_normal(block.shape, dtype=kind), mixing, out=block)
    margins = X @ w.astype(kind)
    if task == "ridge":
        return X, margins + rng.standard_normal(n_samples, dtype=kind)
    probability = 1 / (1 + np.exp(-margins.astype(np.float64)))
    return X, (rng.random(n_samples) < probability).astype(np.int64)
