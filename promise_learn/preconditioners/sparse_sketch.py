"""Subsampled Newton preconditioners from sparse sketches of the rows (SASSN)."""

from ..linalg import less_uniform, sparse_sign
from .base import Preconditioner


class SparseSignSketch(Preconditioner):
    r"""Sparse sign sketch of the rows ("sassn-c"): :math:`P = Y^T Y + \rho I`.

    :math:`Y = \Omega A` has ``rank`` rows, and each row of A goes into a few of them.

    Parameters
    ----------
    rank : int, default=50
        Rows of the sketch. A block of no more rows than that is used as it is.
    nonzeros : int, default=8
        Rows of the sketch that each row of A goes into.
    equilibrate : bool, default=True
        Scale columns by the root of the exact Hessian diagonal where it is known.

    References
    ----------
    Frangella, Rathore, Zhao and Udell, "PROMISE: preconditioned stochastic optimization
    methods by incorporating scalable curvature estimates", JMLR 25, 2024, section 3.
    """

    sketch = staticmethod(sparse_sign)

    def __init__(self, rank=50, nonzeros=8, equilibrate=True):
        self.rank = rank
        self.nonzeros = nonzeros
        self.equilibrate = equilibrate

    def rows(self, A, rng):
        """Sketch of A; CSR when A is."""
        if A.shape[0] <= self.rank:
            return A
        return self.sketch(A, self.rank, rng, self.nonzeros)


class LessUniformSketch(SparseSignSketch):
    r"""LessUniform sketch of the rows ("sassn-r"): :math:`P = Y^T Y + \rho I`.

    :math:`Y = \Omega A` has ``rank`` rows, each a signed sum of a few rows of A. It
    stays sparser than the sparse sign sketch but uses ``rank * nonzeros`` rows only.

    Parameters
    ----------
    rank : int, default=50
        Rows of the sketch. A block of no more rows than that is used as it is.
    nonzeros : int, default=8
        Rows of A in each row of the sketch.
    equilibrate : bool, default=True
        Scale columns by the root of the exact Hessian diagonal where it is known.

    References
    ----------
    Frangella, Rathore, Zhao and Udell, "PROMISE: preconditioned stochastic optimization
    methods by incorporating scalable curvature estimates", JMLR 25, 2024, section 3.
    """

    sketch = staticmethod(less_uniform)
