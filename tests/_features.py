"""Problems and settings that the tests of random features share."""

import numpy as np
from scipy import sparse
from sklearn.metrics.pairwise import laplacian_kernel, rbf_kernel

from promise_learn import RandomFeatures
from promise_learn.design.memory import working_bytes
from promise_learn.solvers import SOLVERS

N, D, M = 800, 6, 60
MAPS = (
    {"gamma": "scale"},
    {"gamma": 0.2, "projection": "orthogonal"},
    {"gamma": 0.2, "projection": "sorf"},
    {"kernel": "laplacian"},
    {"kernel": "arccos"},
    {"approximation": "nystrom", "gamma": 2.0},
    {"approximation": "nystrom", "kernel": "laplacian"},
    {"approximation": "nystrom", "kernel": "arccos"},
    {"approximation": "nystrom", "kernel": "arccos", "degree": 0},
)
MAP = {"n_components": M, "gamma": 0.1, "random_state": 0}
# features are float32 in the estimators: 6e-8 each, 1e-6 or so in predictions
SINGLE = 2e-5
SAMPLING = [name for name, solver in SOLVERS.items() if solver.visits_rows]
BATCH = [name for name in SOLVERS if name not in SAMPLING]


def data(n=N, d=D, seed=0):
    """X half of zeros, smooth scores of three columns, and weights."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) * (rng.random((n, d)) < 0.7)
    scores = np.sin(X @ rng.standard_normal((d, 3))) + X[:, :3] ** 2 / 3
    scores += 0.3 * rng.standard_normal(scores.shape)
    return X, scores - scores.mean(axis=0) + 0.2, rng.uniform(0.5, 2.0, n)


def room(X, m=M, columns=1, factor=1.0):
    """Memory in which features are generated, with a factor, but not stored."""
    least = working_bytes(X, m, "orthogonal", columns)
    assert factor * 20 * m**2 < 4 * X.shape[0] * m
    return least + factor * 20 * m**2 + 1


def features_of(X, **settings):
    """What the estimators see: float32 features, in float64."""
    X = np.asarray(X.toarray() if sparse.issparse(X) else X, np.float32)
    return RandomFeatures(**MAP | settings).fit_transform(X).astype(float)


def kernel_matrix(X, kernel, gamma=None, degree=1, **_):
    """The kernels in closed form."""
    if kernel == "rbf":
        return rbf_kernel(X, gamma=gamma)
    if kernel == "laplacian":
        return laplacian_kernel(X, gamma=gamma)
    norms = np.linalg.norm(X, axis=1)
    theta = np.arccos(np.clip(X @ X.T / np.outer(norms, norms), -1, 1))
    if degree == 0:
        return 1 - theta / np.pi
    angles = np.sin(theta) + (np.pi - theta) * np.cos(theta)
    return np.outer(norms, norms) * angles / np.pi
