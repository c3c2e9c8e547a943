"""The minimum that gaps are measured from, by exact Newton steps in float64."""

import numpy as np
from scipy import linalg, sparse
from scipy.special import expit

from promise_learn import LogisticRegression, Ridge

LARGEST = 4_000  # columns, of which a dense Hessian is formed
STEPS = 100


def minimum(problem):
    """Least value of the objective, to rounding.

    Exact Newton steps with halving where a dense Hessian is affordable, independent of
    every library that is judged; beyond that a tight fit by promise_learn. The
    benchmark then takes the least of this and of all values that fits reached.

    Parameters
    ----------
    problem : Problem

    Returns
    -------
    float
    """
    if problem.X.shape[1] > LARGEST:
        return _tight(problem)
    w = np.zeros(problem.X.shape[1] + 1)
    best = problem.objective(w[:-1], w[-1])
    for _ in range(STEPS):
        d = _newton_direction(problem, w)
        for t in 2.0 ** -np.arange(30):
            value = problem.objective(w[:-1] - t * d[:-1], w[-1] - t * d[-1])
            if value < best:
                break
        else:
            break
        w, decrease, best = w - t * d, best - value, value
        if decrease <= 1e-15 * abs(best):
            break
    return best


def _newton_direction(problem, w):
    """H^-1 g, the intercept last; solved with unit diagonal, for unscaled columns."""
    X, y = problem.X, problem.y
    n, p = X.shape
    margins = X @ w[:-1] + w[-1]
    if problem.task == "logistic":
        share = expit(-y * margins)
        slope, curvature = -y * share, share * (1 - share)
    else:
        slope, curvature = margins - y, np.ones(n)
    H = np.empty((p + 1, p + 1))
    H[:p, :p] = _gram(X, curvature)
    H[:p, p] = H[p, :p] = X.T @ curvature
    H[p, p] = curvature.sum()
    H /= n
    H[np.diag_indices(p)] += problem.mu
    g = np.append(X.T @ slope / n + problem.mu * w[:-1], slope.mean())
    scale = 1 / np.sqrt(np.diag(H))
    H *= scale * scale[:, None]
    return scale * linalg.lstsq(H, scale * g, cond=1e-15, lapack_driver="gelsy")[0]


def _gram(X, curvature):
    """X' diag(curvature) X as an array."""
    if sparse.issparse(X):
        return (X.T @ sparse.diags_array(curvature) @ X).toarray()
    return (X.T * curvature) @ X


def _tight(problem):
    """Objective of a fit by promise_learn at the tightest tolerance."""
    n = len(problem.y)
    if problem.task == "logistic":
        model = LogisticRegression(C=1 / (n * problem.mu), tol=1e-12, random_state=0)
    else:
        model = Ridge(alpha=n * problem.mu, tol=1e-12, random_state=0)
    model.fit(problem.X, problem.y)
    return problem.objective(model.coef_, model.intercept_)
