"""Real data of the folder PROMISE_LEARN_DATA, for the tests that use them."""

import csv
import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from promise_learn.datasets import load_libsvm

FOLDER = Path(os.environ.get("PROMISE_LEARN_DATA", "no PROMISE_LEARN_DATA"))
_WITH_TEXT = (
    "nycflights13",
    "freMTPL2freq",
    "acsincome_40pct",
)  # columns are categories


@cache
def manifest():
    """Rows of MANIFEST.tsv by file name."""
    path = FOLDER / "MANIFEST.tsv"
    if not path.is_file():
        return {}
    with path.open(newline="") as file:
        return {row["name"]: row for row in csv.DictReader(file, delimiter="\t")}


def stem(name):
    """File name without what says how it is packed."""
    for suffix in (".xz", ".bz2", ".gz", ".npz", ".csv", ".tsv"):
        name = name.removesuffix(suffix)
    return name


def shared_names(*tasks):
    """Stems of the numeric data sets of the given tasks; all tasks where none is given.

    Tasks are "binary", "multiclass" and "regression".
    """
    return [
        stem(name)
        for name, row in manifest().items()
        if row["task"] in (tasks or ("binary", "multiclass", "regression"))
        and stem(name) not in _WITH_TEXT
    ]


def load_shared(name):
    """X and y of a data set by its stem, such as "a9a"; skips where it is absent.

    X is CSR for a LIBSVM file, with the columns that the manifest declares, and a
    float64 array for a table.
    """
    files = [file for file in manifest() if stem(file) == name]
    if not files or not (FOLDER / files[0]).is_file():
        pytest.skip(f"{name} is not in the folder PROMISE_LEARN_DATA ({FOLDER})")
    path = FOLDER / files[0]
    if path.suffix == ".npz":
        arrays = np.load(path)
        return arrays["X_train"].astype(np.float64), arrays["y_train"].astype(int)
    if ".csv" in path.name or ".tsv" in path.name:
        return _table(path)
    return load_libsvm(path, n_features=int(manifest()[path.name]["p"]))


def _table(path):
    """Numbers of a table: y last, or first where a .tsv has no header."""
    delimiter = "\t" if ".tsv" in path.name else ","
    first = np.loadtxt(path, delimiter=delimiter, max_rows=1, dtype=str)[0]
    header = first[:1].isalpha()
    table = np.loadtxt(path, delimiter=delimiter, skiprows=int(header))
    y_first = delimiter == "\t" and not header
    return (table[:, 1:], table[:, 0]) if y_first else (table[:, :-1], table[:, -1])
