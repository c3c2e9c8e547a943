"""Hessian of the multinomial loss: K classes share it, and flat directions cross them.

Vectors of length K dim are in class-major order.
"""

import numpy as np

from ._arrays import add_diagonal, as_numpy, dense, identity, like, take

ENTRY_BYTES = 24  # of a dense Hessian: it, a product of rows, its factor


def hessian(f, P):
    """Sum over rows of s_i (diag(p_i) - p_i p_i') kron x_i x_i', plus the penalty.

    The first term is one Gram matrix a class, the second one symmetric product of the
    rows p_i kron x_i. Where the intercept is unpenalised the sum over classes is a flat
    direction; it gets unit curvature, which changes no minimiser from a start at 0.

    Raises
    ------
    ValueError
        Where the matrix would not fit into the memory that generated features have.
    """
    xp, design, K = f.xp, f.design, f.n_columns
    n, dim = design.shape
    s = f.weights
    design.rows.check_room(K * dim, ENTRY_BYTES)
    H = design.rows.zeros((K * dim, K * dim))
    for k in range(K):
        G = add_diagonal(design.gram(s * P[:, k]), f.penalty)
        H[k * dim : (k + 1) * dim, k * dim : (k + 1) * dim] = G
    block = max(64, 2**22 // (K * dim))
    for lo in range(0, n, block):
        hi = min(n, lo + block)
        X = dense(design.root(np.arange(lo, hi), xp.ones_like(s[lo:hi])))
        Q = P[lo:hi, :] * xp.sqrt(s[lo:hi])[:, None]
        Z = xp.reshape(Q[:, :, None] * X[:, None, :], (hi - lo, K * dim))
        H -= Z.T @ Z
    flat = identity(dim, H) * xp.astype(f.penalty == 0, H.dtype)[:, None] / K
    for k in range(0, K * dim, dim):
        for j in range(0, K * dim, dim):
            H[k : k + dim, j : j + dim] += flat
    return H


def class_root(point, rows):
    """Row block (b K, K dim) whose A'A is the multinomial Hessian of the rows.

    Without the penalty, in class-major order. With q the root of the probabilities p of
    row i and Q_i = diag(q) - p q', Q_i Q_i' = diag(p) - p p', so that the rows of the
    block are the columns of Q_i kron x_i.
    """
    f, xp, K = point.objective, point.objective.xp, point.objective.n_columns
    X = dense(f.design.root(rows, take(f.weights, rows)))
    P = f.loss.curvature(take(point.eta, rows), take(f.y, rows))
    Q = (identity(K, P)[None, :, :] - P[:, None, :]) * xp.sqrt(P)[:, :, None]
    block = Q[:, :, :, None] * X[:, None, None, :]
    return xp.reshape(block, (len(rows) * K, K * f.dim))


def flat_rows(f):
    """Rows that give unit curvature to moving all classes of a free coefficient."""
    free = np.flatnonzero(as_numpy(f.penalty) == 0)
    rows = np.zeros((len(free), f.n_columns, f.dim))
    rows[np.arange(len(free)), :, free] = f.n_columns**-0.5
    return like(rows.reshape(len(free), -1), f.penalty)
