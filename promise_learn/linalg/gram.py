"""Products of the rows of a row block with each other."""

import numpy as np

from .. import kernels
from .._arrays import dense, is_numpy, is_sparse


def row_gram(A):
    """Dense A A' in float64 or the dtype of a dense A, shape (b, b).

    Rows of a CSR matrix on the host go by columns: pairs of nonzeros add to a dense
    matrix, where a sparse product would sort them.
    """
    if not (is_sparse(A) and is_numpy(A)):
        return dense(A @ A.T)
    b, p = A.shape
    columns = kernels.blocks.sparse_view(A.T.tocsr())
    G = np.zeros((b, b))
    kernels.grams.sparse_gram(columns, 0, p, 0, b, np.ones(p), G)
    kernels.grams.mirror(G.T)
    return G
