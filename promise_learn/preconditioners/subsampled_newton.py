"""Subsampled Newton preconditioner (SSN)."""

from .base import Preconditioner


class SubsampledNewton(Preconditioner):
    r"""The Hessian of the sampled rows, exactly: :math:`P = A^T A + \rho I`.

    The most reliable of the family. CSR rows stay CSR. With fewer rows than columns it
    costs :math:`O(b^2\,dim)` to build and keeps the b rows, else a dim x dim matrix.
    With all rows and the penalty as rho it gives Newton's step.

    Parameters
    ----------
    equilibrate : bool, default=True
        Scale columns by the root of the exact Hessian diagonal where it is known.

    References
    ----------
    Frangella, Rathore, Zhao and Udell, "PROMISE: preconditioned stochastic optimization
    methods by incorporating scalable curvature estimates", JMLR 25, 2024, section 3.
    """

    def __init__(self, equilibrate=True):
        self.equilibrate = equilibrate

    def rows(self, A, rng):
        """All rows of A."""
        return A
