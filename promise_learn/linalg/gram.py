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
    columns = A.T.tocsr()
    G = np.zeros((A.shape[0], A.shape[0]))
    ones = np.ones(A.shape[1])
    kernels.grams.sparse_gram(
        kernels.blocks.sparse_view(columns), 0, A.shape[1], ones, G
    )
    kernels.grams.mirror(G.T)
    return G
