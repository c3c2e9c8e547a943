"""Compiled bodies of the row verbs, one a storage and a kind of coefficients.

Imported by :func:`promise_learn.kernels.rows.compiled` only: importing Numba takes
longer than importing the package. Explicit loops compile in a tenth of the time of
``np.dot`` and of assignments to slices; they read X in its own dtype, sums have that of
w or float64. Many targets on dense rows go target by target, since a batch of rows is
in cache and each target then has the fast loop over columns.
"""

import math
import sys
from functools import partial

import numpy as np
from numba.extending import overload, register_jitable

from ._jit import FASTMATH
from ._prefetch import prefetch
from .blocks import rows_add, rows_inner
from .rows import (
    HUBER,
    LOGISTIC,
    POISSON,
    SQUARED,
    SQUARED_HINGE,
    adjoint,
    apply,
    dot,
    slope,
)

AHEAD = 2048  # entries between what is read of rows in any order and what is asked for
LARGEST = math.log(sys.float_info.max) / 2  # margin up to which a Poisson mean grows

verb = partial(overload, jit_options={"fastmath": FASTMATH})


@register_jitable(fastmath=FASTMATH)
def _inner(x, v):
    """Inner product in the dtype of v."""
    total = v.dtype.type(0)
    for j in range(x.shape[0]):
        total += x[j] * v[j]
    return total


def _is_sparse(X):
    return "indptr" in X.fields


def _is_columnwise(X):
    return X.types[0].layout == "F"


@verb(dot)
def _dot(X, rows, w):
    if _is_sparse(X):
        return _dot_csr if w.ndim == 1 else _dot_csr_targets
    if w.ndim == 2:
        return _dot_targets
    return _dot_columns if _is_columnwise(X) else _dot_dense


def _dot_dense(X, rows, w):
    u = w / X.scale
    centre = _inner(X.shift, u)
    eta, p = np.empty(rows.shape[0], w.dtype), X.values.shape[1]
    ahead, last = 1 + AHEAD // (p + 1), rows.shape[0] - 1
    for i in range(rows.shape[0]):
        prefetch(X.values, (rows[min(i + ahead, last)], 0), p)
        eta[i] = _inner(X.values[rows[i]], u) - centre
    return eta


def _dot_columns(X, rows, w):
    u = w / X.scale
    centre = _inner(X.shift, u)
    eta = np.full(rows.shape[0], -centre)
    for j in range(X.values.shape[1]):
        for i in range(rows.shape[0]):
            eta[i] += X.values[rows[i], j] * u[j]
    return eta


def _dot_csr(X, rows, w):
    u = w / X.scale
    centre = _inner(X.shift, u)
    eta = np.empty(rows.shape[0], w.dtype)
    rows_inner(X, rows, u, -centre, eta)
    return eta


def _dot_targets(X, rows, w):
    eta = np.empty((rows.shape[0], w.shape[1]), w.dtype)
    for k in range(w.shape[1]):
        along = dot(X, rows, w[:, k].copy())
        for i in range(along.shape[0]):
            eta[i, k] = along[i]
    return eta


def _dot_csr_targets(X, rows, w):
    u = np.empty_like(w)
    centre = np.zeros(w.shape[1], w.dtype)
    for j in range(w.shape[0]):
        for k in range(w.shape[1]):
            u[j, k] = w[j, k] / X.scale[j]
            centre[k] += X.shift[j] * u[j, k]
    eta = np.empty((rows.shape[0], w.shape[1]), w.dtype)
    for i in range(rows.shape[0]):
        for k in range(w.shape[1]):
            eta[i, k] = -centre[k]
        for at in range(np.uint64(X.indptr[rows[i]]), np.uint64(X.indptr[rows[i] + 1])):
            value, j = X.values[at], X.indices[at]
            for k in range(w.shape[1]):
                eta[i, k] += value * u[j, k]
    return eta


@verb(adjoint)
def _adjoint(X, rows, r):
    if _is_sparse(X):
        return _adjoint_csr if r.ndim == 1 else _adjoint_csr_targets
    if r.ndim == 2:
        return _adjoint_targets
    return _adjoint_columns if _is_columnwise(X) else _adjoint_dense


def _adjoint_dense(X, rows, r):
    out = np.zeros(X.shift.shape[0], r.dtype)
    total, whole = r.dtype.type(0), rows.shape[0] - rows.shape[0] % 4
    for i in range(rows.shape[0]):
        total += r[i]
    for i in range(0, whole, 4):  # four at a time: out is read and written once
        a, b = X.values[rows[i]], X.values[rows[i + 1]]
        c, d = X.values[rows[i + 2]], X.values[rows[i + 3]]
        for j in range(a.shape[0]):
            out[j] += a[j] * r[i] + b[j] * r[i + 1] + c[j] * r[i + 2] + d[j] * r[i + 3]
    for i in range(whole, rows.shape[0]):
        x = X.values[rows[i]]
        for j in range(x.shape[0]):
            out[j] += x[j] * r[i]
    for j in range(out.shape[0]):
        out[j] = (out[j] - X.shift[j] * total) / X.scale[j]
    return out


def _adjoint_columns(X, rows, r):
    out = np.zeros(X.shift.shape[0], r.dtype)
    total = r.dtype.type(0)
    for i in range(rows.shape[0]):
        total += r[i]
    for j in range(X.values.shape[1]):
        for i in range(rows.shape[0]):
            out[j] += X.values[rows[i], j] * r[i]
    for j in range(out.shape[0]):
        out[j] = (out[j] - X.shift[j] * total) / X.scale[j]
    return out


def _adjoint_csr(X, rows, r):
    out = np.zeros(X.shift.shape[0], r.dtype)
    total = r.dtype.type(0)
    rows_add(X, rows, r, out)
    for i in range(rows.shape[0]):
        total += r[i]
    for j in range(out.shape[0]):
        out[j] = (out[j] - X.shift[j] * total) / X.scale[j]
    return out


def _adjoint_targets(X, rows, r):
    out = np.empty((X.shift.shape[0], r.shape[1]), r.dtype)
    for k in range(r.shape[1]):
        along = adjoint(X, rows, r[:, k].copy())
        for j in range(along.shape[0]):
            out[j, k] = along[j]
    return out


def _adjoint_csr_targets(X, rows, r):
    out = np.zeros((X.shift.shape[0], r.shape[1]), r.dtype)
    total = np.zeros(r.shape[1], r.dtype)
    for i in range(rows.shape[0]):
        for k in range(r.shape[1]):
            total[k] += r[i, k]
        for at in range(np.uint64(X.indptr[rows[i]]), np.uint64(X.indptr[rows[i] + 1])):
            value, j = X.values[at], X.indices[at]
            for k in range(r.shape[1]):
                out[j, k] += value * r[i, k]
    for j in range(out.shape[0]):
        for k in range(r.shape[1]):
            out[j, k] = (out[j, k] - X.shift[j] * total[k]) / X.scale[j]
    return out


@verb(slope)
def _slope(loss, eta, y):
    if eta.ndim == y.ndim:
        return _slope_pointwise
    return _slope_multinomial


def _slope_pointwise(loss, eta, y):
    out = np.empty_like(eta)
    flat, margins, targets = out.reshape(-1), eta.reshape(-1), y.reshape(-1)
    for i in range(flat.shape[0]):
        flat[i] = _slope_of_one(loss[0], loss[1], margins[i], targets[i])
    return out


@register_jitable(fastmath=FASTMATH)
def _slope_of_one(code, parameter, eta, y):
    """Slope of a pointwise loss in one row; what is not a number stays so."""
    if code == SQUARED:
        return eta - y
    if code == LOGISTIC:
        e = np.exp(-abs(eta))
        return -y * (e if y * eta > 0 else 1.0) / (1 + e)
    if code == SQUARED_HINGE:
        short = 1 - y * eta
        return 0.0 if short <= 0 else -y * short
    if code == HUBER:
        return _clipped(eta - y, parameter)
    if code == POISSON:
        return np.exp(LARGEST if eta > LARGEST else eta) - y
    return math.nan


@register_jitable(fastmath=FASTMATH)
def _clipped(residual, delta):
    if residual > delta:
        return delta
    return -delta if residual < -delta else residual


def _slope_multinomial(loss, eta, y):
    out = np.empty_like(eta)
    for i in range(eta.shape[0]):
        top = eta[i, 0]
        for k in range(eta.shape[1]):
            top = max(top, eta[i, k])
        total = eta.dtype.type(0)
        for k in range(eta.shape[1]):
            out[i, k] = np.exp(eta[i, k] - top)
            total += out[i, k]
        for k in range(eta.shape[1]):
            out[i, k] /= total
        out[i, int(y[i])] -= 1
    return out


@verb(apply)
def _apply(P, g):
    if g.ndim == 2:
        return _apply_targets
    return _apply_csr if hasattr(P.types[1], "fields") else _apply_dense


def _apply_dense(P, g):
    out = P.t * g
    if P.Y.shape[0] == 0:
        _subtract_product(P.M, g, out)
        return out
    along = np.empty(P.Y.shape[0], g.dtype)
    for k in range(along.shape[0]):
        along[k] = _inner(P.Y[k], g)
    for k in range(along.shape[0]):
        weight = _inner(P.M[k], along)
        for j in range(out.shape[0]):
            out[j] -= P.Y[k, j] * weight
    return out


@register_jitable(fastmath=FASTMATH)
def _subtract_product(M, g, out):
    """Subtract M g from out, reading half of the symmetric M, four rows at a time."""
    whole = M.shape[0] - M.shape[0] % 4
    for k in range(0, whole, 4):
        end = k + 4
        a, b, c, d = M[k, end:], M[k + 1, end:], M[k + 2, end:], M[k + 3, end:]
        along, across = g[end:], out[end:]
        a_g, b_g, c_g, d_g = 0.0, 0.0, 0.0, 0.0
        for j in range(a.shape[0]):
            a_g += a[j] * along[j]
            b_g += b[j] * along[j]
            c_g += c[j] * along[j]
            d_g += d[j] * along[j]
            across[j] -= (
                a[j] * g[k] + b[j] * g[k + 1] + c[j] * g[k + 2] + d[j] * g[k + 3]
            )
        out[k] -= a_g
        out[k + 1] -= b_g
        out[k + 2] -= c_g
        out[k + 3] -= d_g
        _subtract_block(M, k, end, g, out)
    _subtract_block(M, whole, M.shape[0], g, out)


@register_jitable(fastmath=FASTMATH)
def _subtract_block(M, lo, hi, g, out):
    for i in range(lo, hi):
        out[i] -= _inner(M[i, lo:hi], g[lo:hi])


def _apply_csr(P, g):
    out, Y = P.t * g, P.Y
    along = np.empty(P.M.shape[0], g.dtype)
    weights = np.empty_like(along)
    rows_inner(Y, range(along.shape[0]), g, 0.0, along)
    for k in range(along.shape[0]):
        weights[k] = -_inner(P.M[k], along)
    rows_add(Y, range(along.shape[0]), weights, out)
    return out


def _apply_targets(P, g):
    out = np.empty((g.shape[0], g.shape[1]), g.dtype)
    for k in range(g.shape[1]):
        along = apply(P, g[:, k].copy())
        for j in range(along.shape[0]):
            out[j, k] = along[j]
    return out
