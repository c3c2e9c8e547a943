"""Objectives and optima of the estimators, in plain float64 NumPy on dense data."""

import numpy as np

SQUARED_ERROR_ONLY = {"direct", "dual-cg", "nystrom-pcg", "pcg"}
"""Solvers that take no other loss."""

MODERATE = {"sketchy-sgd"}
"""Solvers without variance reduction: accurate to 1e-4, and a warning beyond."""


def ridge_objective(X, Y, coef, intercept, alpha=1.0, weights=None):
    """Sum of s_i (y_i - x_i w - b)^2 + alpha |w|^2, over targets, in float64."""
    X, Y = _dense(X), np.asarray(Y, float)
    weights = np.ones(len(X)) if weights is None else weights
    W, Y = np.atleast_2d(np.asarray(coef, float)), Y.reshape(len(X), -1)
    residual = Y - X @ W.T - np.asarray(intercept, float)
    penalty = np.broadcast_to(alpha, len(W)) @ np.sum(W**2, axis=1)
    return float(weights @ np.sum(residual**2, axis=1) + penalty)


def ridge_optimum(X, Y, alpha=1.0, weights=None, fit_intercept=True):
    """Coefficients (K, p) and intercepts (K,) by least squares on stacked rows."""
    X, Y = _dense(X), np.asarray(Y, float).reshape(X.shape[0], -1)
    weights = np.ones(len(X)) if weights is None else weights
    p = X.shape[1]
    root = np.sqrt(weights)[:, None]
    mean_x = weights @ X / weights.sum() if fit_intercept else np.zeros(p)
    mean_y = weights @ Y / weights.sum() if fit_intercept else np.zeros(Y.shape[1])
    W = np.empty((Y.shape[1], p))
    for k, a in enumerate(np.broadcast_to(alpha, len(W))):
        A = np.vstack([root * (X - mean_x), np.sqrt(a) * np.eye(p)])
        b = np.concatenate([root[:, 0] * (Y - mean_y)[:, k], np.zeros(p)])
        W[k] = np.linalg.lstsq(A, b, rcond=None)[0]
    return W, mean_y - W @ mean_x


class LogisticProblem:
    """C sum_i s_i l_i + 1/2 |w|^2 for class codes y; w (p + intercept, columns).

    Two classes have one column, more have one each.
    """

    def __init__(self, X, codes, C=1.0, weights=None, fit_intercept=True):
        X = _dense(X)
        self.n, self.p = X.shape
        self.C, self.weights = C, np.ones(self.n) if weights is None else weights
        self.X = np.column_stack([X, np.ones(self.n)]) if fit_intercept else X
        K = int(codes.max()) + 1
        self.Y = np.eye(K)[codes][:, 1:] if K == 2 else np.eye(K)[codes]
        self.shape = (self.X.shape[1], self.Y.shape[1])
        self.penalty = np.ones(self.shape)
        self.penalty[self.p :] = 0

    def loss(self, W):
        """Objective at W, and the probabilities of its columns."""
        eta = self.X @ W
        scores = np.column_stack([np.zeros(self.n), eta]) if len(eta.T) == 1 else eta
        top = scores.max(axis=1, keepdims=True)
        total = np.exp(scores - top).sum(axis=1, keepdims=True)
        rows = (top + np.log(total))[:, 0] - (self.Y * eta).sum(axis=1)
        value = self.C * self.weights @ rows + 0.5 * (self.penalty * W**2).sum()
        return float(value), np.exp(eta - top) / total

    def newton_step(self, W):
        """Newton step at W and the decrement g'H^-1 g."""
        P, s = self.loss(W)[1], self.C * self.weights
        gradient = (self.X.T @ (s[:, None] * (P - self.Y)) + self.penalty * W).T
        curvature = -P[:, :, None] * P[:, None, :]
        k = np.arange(P.shape[1])
        curvature[:, k, k] += P
        H = np.einsum("i,ikl,ia,ib->kalb", s, curvature, self.X, self.X, optimize=True)
        H = H.reshape(W.size, W.size) + np.diag(self.penalty.T.ravel())
        if len(k) > 1:  # the sum of the intercepts is free: any curvature will do
            free = 1.0 - self.penalty.T.ravel()
            H += np.outer(free, free)
        step = np.linalg.solve(H, gradient.ravel())
        return step.reshape(gradient.shape).T, step @ gradient.ravel()

    def value(self, coef, intercept):
        """Objective at an estimator's coefficients."""
        W = np.asarray(coef, float).T
        if len(self.X.T) > self.p:
            W = np.vstack([W, np.asarray(intercept, float)])
        return self.loss(W)[0]

    def optimum(self):
        """Minimiser by Newton's method with halved steps, and its objective."""
        W = np.zeros(self.shape)
        for _ in range(100):
            (step, decrement), t = self.newton_step(W), 1.0
            while self.loss(W - t * step)[0] > self.loss(W)[0] and t > 1e-3:
                t /= 2
            W = W - t * step
            if decrement < 1e-26 * self.loss(W)[0]:
                break
        return W, self.loss(W)[0]


def _dense(X):
    return np.asarray(X.toarray() if hasattr(X, "toarray") else X, dtype=float)
