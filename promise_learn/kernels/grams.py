"""Compiled Gram matrices, and products of CSR rows with blocks of columns.

Imported only inside functions: importing this module imports Numba.
"""

from ._jit import jit


@jit
def weigh(X, lo, hi, shift, root, out):
    """Rows root * (X - shift) of lo:hi into out; root itself in a last extra column."""
    p = X.shape[1]
    for i in range(lo, hi):
        for j in range(p):
            out[i - lo, j] = root[i] * (X[i, j] - shift[j])
        if out.shape[1] > p:
            out[i - lo, p] = root[i]


@jit
def mirror(G):
    """Copy the lower triangle of a square matrix above its diagonal, tile by tile."""
    size = 64
    for a in range(0, G.shape[0], size):
        for b in range(0, a + 1, size):
            for i in range(a, min(a + size, G.shape[0])):
                for j in range(b, min(b + size, i)):
                    G[j, i] = G[i, j]


@jit
def sparse_gram(X, lo, hi, d, G):
    """Upper triangle of G += X' diag(d) X over CSR rows lo:hi with sorted indices."""
    for i in range(lo, hi):
        end = X.indptr[i + 1]
        for k in range(X.indptr[i], end):
            scale = d[i] * X.values[k]
            row = X.indices[k]
            for m in range(k, end):
                G[row, X.indices[m]] += scale * X.values[m]
    return 0.0


@jit
def sparse_block(X, lo, hi, W, out):
    """out[lo:hi] = X[lo:hi] W for a CSR X and a dense (p, K) W."""
    for i in range(lo, hi):
        for c in range(W.shape[1]):
            out[i, c] = 0.0
        for k in range(X.indptr[i], X.indptr[i + 1]):
            x, j = X.values[k], X.indices[k]
            for c in range(W.shape[1]):
                out[i, c] += x * W[j, c]
    return 0.0


@jit
def sparse_block_adjoint(X, lo, hi, R, G):
    """G += X[lo:hi]' R[lo:hi] for a CSR X and a dense (n, K) R."""
    for i in range(lo, hi):
        for k in range(X.indptr[i], X.indptr[i + 1]):
            x, j = X.values[k], X.indices[k]
            for c in range(R.shape[1]):
                G[j, c] += x * R[i, c]
    return 0.0
