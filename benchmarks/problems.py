"""The problems of the benchmarks, and the objective that every library minimises.

Files are found by name in the folder that PROMISE_LEARN_DATA names. Data sets of one
form are prepared alike and share their penalty; what a problem states of its own is the
class to tell from the others and the number of columns that its source declares.
"""

import bz2
import gzip
import lzma
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse
from sklearn import datasets
from sklearn.kernel_approximation import RBFSampler
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from promise_learn import LogisticRegression, Ridge
from promise_learn.datasets import load_libsvm, make_ill_conditioned

OPENERS = {"": open, ".xz": lzma.open, ".bz2": bz2.open, ".gz": gzip.open}
BUILT_IN = {
    "breast_cancer": lambda: datasets.load_breast_cancer(return_X_y=True),
    "diabetes": lambda: datasets.load_diabetes(return_X_y=True),
    "ill_conditioned": lambda: make_ill_conditioned(2_000, 30, random_state=0),
    "counts_tall": lambda: words(20_000, 5_000, False),
    "counts_wide": lambda: words(5_000, 50_000, False),
    "text_square": lambda: words(6_000, 5_000, True),
    "text_wide": lambda: words(5_000, 50_000, True),
    "levels": lambda: levels(50_000, (2_000, 1_000, 10, 50)),
}


@dataclass(frozen=True)
class Spec:
    """What to load and how to prepare it.

    Parameters
    ----------
    source : str
        Name of a file without what says how it is packed, or one of `BUILT_IN`.
    task : {"logistic", "ridge"}
    form : {"raw", "dense", "std", "rbf", "onehot"}
        X as it is; as an array; standardised; as random Fourier features of the
        standardised X; as indicators of the values of each column.
    components : int
        Number of random features.
    rows : int or None
        Size of a random sample of the rows.
    positive : float or None
        Label of the class to tell from the others; the largest where None.
    n_features : int or None
        Columns of a LIBSVM file whose last ones may be empty.
    """

    source: str
    task: str
    form: str = "raw"
    components: int = 0
    rows: int | None = None
    positive: float | None = None
    n_features: int | None = None

    @property
    def name(self):
        """Source, form and task in a word."""
        size = self.components or ""
        return f"{self.source.split('.')[0]}-{self.form}{size}-{self.task}"

    @property
    def strength(self):
        """The penalty mu times n: 1, but 0.01 where features are normalised."""
        return 0.01 if self.form == "rbf" else 1.0


@dataclass(frozen=True, eq=False)
class Problem:
    r"""Data and the objective.

    .. math:: F(w, b) = \frac1n \sum_i \ell(x_i^T w + b, y_i)
              + \frac{\mu}{2} \lVert w \rVert^2,

    half the squared error, or the logistic loss of labels -1 and 1.
    """

    name: str
    task: str
    X: np.ndarray | sparse.csr_matrix
    y: np.ndarray
    mu: float

    def losses(self, margins):
        """Loss of every row, given its margin."""
        if self.task == "logistic":
            return np.logaddexp(0, -self.y * margins)
        return 0.5 * (self.y - margins) ** 2

    def objective(self, coef, intercept):
        """F in float64, whatever the library that found the coefficients uses."""
        w = np.ravel(coef).astype(np.float64)
        margins = self.X @ w + float(np.ravel(intercept)[0])
        return float(self.losses(margins).mean() + self.mu / 2 * (w @ w))


def load(spec):
    """Prepare a problem.

    Parameters
    ----------
    spec : Spec

    Returns
    -------
    Problem

    Raises
    ------
    FileNotFoundError
        No such file; the message says where it was looked for.
    """
    X, y = _read(spec)
    if spec.rows and spec.rows < len(y):
        rng = np.random.default_rng(0)
        kept = np.sort(rng.choice(len(y), spec.rows, replace=False))
        X, y = X[kept], y[kept]
    X = _prepare(X, spec)
    if spec.task == "logistic":
        positive = y.max() if spec.positive is None else spec.positive
        y = np.where(y == positive, 1.0, -1.0)
    else:
        y = (y - y.mean()) / y.std()
    return Problem(spec.name, spec.task, X, y, spec.strength / len(y))


def estimator(problem, solver="auto"):
    """Our estimator of a problem, with a solver by name."""
    n, options = problem.X.shape[0], {"solver": solver, "random_state": 0}
    if problem.task == "logistic":
        return LogisticRegression(C=1 / (n * problem.mu), **options)
    return Ridge(alpha=n * problem.mu, **options)


def random_csr(n, p, entries, rng, dtype="float64"):
    """CSR matrix with standard normal nonzeros, about the given number a row."""
    columns = np.sort(rng.integers(0, p, (n, entries)), axis=1).astype(np.int32)
    indptr = np.arange(0, n * entries + 1, entries, dtype=np.int32)
    values = rng.standard_normal(n * entries).astype(dtype)
    X = sparse.csr_matrix((values, columns.ravel(), indptr), shape=(n, p))
    X.sum_duplicates()
    return X


def words(n, p, normalised, seed=0):
    """Counts of words by Zipf's law in texts of about 60, and labels of a linear model.

    Normalised, logarithms of rows of unit length, as text usually comes.
    """
    rng = np.random.default_rng(seed)
    share = np.arange(1, p + 1) ** -1.1
    lengths = np.maximum(1, rng.lognormal(np.log(60), 0.7, n)).astype(int)
    columns = rng.choice(p, lengths.sum(), p=share / share.sum())
    starts = np.append(0, np.cumsum(lengths))
    X = sparse.csr_matrix((np.ones(len(columns)), columns, starts), shape=(n, p))
    X.sum_duplicates()
    if normalised:
        X.data = np.log1p(X.data)
        norms = np.sqrt(np.asarray(X.multiply(X).sum(axis=1)).ravel())
        X.data /= np.repeat(norms, np.diff(X.indptr))
    return X, _labels(X, rng)


def levels(n, counts, seed=0):
    """Indicators of columns with so many levels, and labels of a linear model."""
    rng, columns, first = np.random.default_rng(seed), [], 0
    for count in counts:
        share = 1 / np.arange(1, count + 1)
        columns.append(first + rng.choice(count, n, p=share / share.sum()))
        first += count
    columns = np.stack(columns, axis=1).ravel()
    starts = np.arange(0, len(columns) + 1, len(counts))
    X = sparse.csr_matrix((np.ones(len(columns)), columns, starts), shape=(n, first))
    return X, _labels(X, rng)


def _labels(X, rng):
    margins = X @ rng.standard_normal(X.shape[1])
    noisy = 2 * margins / margins.std() + rng.logistic(size=len(margins))
    return np.where(noisy > 0, 1.0, -1.0)


def _read(spec):
    if spec.source in BUILT_IN:
        return BUILT_IN[spec.source]()
    if spec.source.endswith((".csv", ".tsv")):
        return _table(spec.source)
    if spec.source.endswith(".npz"):
        with np.load(find(spec.source)) as arrays:
            end = "_train" if "X_train" in arrays else ""
            return arrays["X" + end].astype(np.float64), arrays["y" + end]
    return load_libsvm(spec.source, n_features=spec.n_features)


def find(name):
    """Path of a file of the data folder, however it is packed."""
    home = Path(os.environ.get("PROMISE_LEARN_DATA", "."))
    for suffix in OPENERS:
        if (home / (name + suffix)).is_file():
            return home / (name + suffix)
    raise FileNotFoundError(f"{name} is not in the folder PROMISE_LEARN_DATA ({home}).")


def _table(name):
    """Numbers of a .csv or .tsv file, the target in the last column."""
    path = find(name)
    delimiter = "\t" if ".tsv" in path.name else ","
    with OPENERS.get(path.suffix, open)(path, "rt") as file:
        header = file.readline()[:1].isalpha()
        file.seek(0)
        table = np.loadtxt(file, delimiter=delimiter, skiprows=int(header))
    return np.ascontiguousarray(table[:, :-1]), table[:, -1]


def _prepare(X, spec):
    """X in the form that a problem asks for: a C-ordered array, or CSR."""
    if spec.form == "onehot":
        dense = X.toarray() if sparse.issparse(X) else X
        return _small(OneHotEncoder(min_frequency=20).fit_transform(dense))
    if spec.form == "raw":
        return _small(X)
    X = np.ascontiguousarray(X.toarray() if sparse.issparse(X) else X)
    if spec.form == "dense":
        return X
    X = StandardScaler().fit_transform(X)
    if spec.form == "std":
        return X
    gamma = 1 / X.shape[1]
    return RBFSampler(
        gamma=gamma, n_components=spec.components, random_state=0
    ).fit_transform(X)


def _small(X):
    """CSR with 32-bit indices: several libraries refuse the 64-bit ones."""
    X = sparse.csr_matrix(X)
    indices, indptr = (part.astype(np.int32) for part in (X.indices, X.indptr))
    return sparse.csr_matrix((X.data, indices, indptr), shape=X.shape)


_SHARED = (
    Spec("a9a", "logistic", n_features=123),
    Spec("mushrooms", "logistic"),
    Spec("covtype_20k", "logistic", "dense", positive=2),
    Spec("uci_keggundirected.csv", "ridge", "dense"),
)
SUITES = {
    "smoke": (
        Spec("breast_cancer", "logistic", "dense"),
        Spec("ill_conditioned", "logistic", "dense"),
        Spec("diabetes", "ridge", "dense"),
        Spec("diabetes", "ridge", "rbf", components=100),
    ),
    "sparse": tuple(
        Spec(source, task)
        for source in BUILT_IN
        if source.startswith(("counts", "text", "levels"))
        for task in ("ridge", "logistic")
    ),
    "quick": (
        *_SHARED,
        Spec("ijcnn1.tr", "logistic", "rbf", components=500, rows=20_000),
        Spec("cadata", "ridge", "rbf", components=1_000),
    ),
    "full": (
        *_SHARED,
        Spec("splice_all", "logistic", "dense"),
        Spec("german.numer", "logistic", "dense"),  # codespell:ignore numer
        Spec("covtype_20k", "logistic", "std", positive=2),
        Spec("ijcnn1.tr", "logistic", "dense"),
        Spec("news20", "logistic", positive=1, n_features=62_061),
        Spec("mnist.npz", "logistic", "std", positive=8),
        Spec("acsincome_40pct.npz", "logistic", "onehot"),
        Spec("SUSY_30k", "logistic", "rbf", components=1_000),
        Spec("ijcnn1.tr", "logistic", "rbf", components=2_500),
        Spec("a9a", "ridge", n_features=123),
        Spec("news20", "ridge", n_features=62_061),
        Spec("uci_elevators.csv", "ridge", "dense"),
        Spec("cadata", "ridge", "rbf", components=2_000),
        Spec("cpusmall_scale", "ridge", "rbf", components=4_000),
        Spec("uci_kin40k.csv", "ridge", "rbf", components=4_000),
    ),
}
