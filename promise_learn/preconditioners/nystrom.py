"""Nystrom preconditioner."""

from ..linalg import nystrom
from .base import Preconditioner


class Nystrom(Preconditioner):
    r"""Randomised Nystrom approximation of A'A, damped: :math:`P = \hat H + \rho I`.

    Good when the spectrum falls fast; cheap to apply, 4 rank dim operations. Its
    eigenvectors are dense also for CSR rows, so prefer another one for sparse data with
    very many columns.

    Parameters
    ----------
    rank : int, default=50
        Rank of the approximation; never more than the rows or columns of A, where it is
        exact.
    equilibrate : bool, default=True
        Scale columns by the root of the exact Hessian diagonal where it is known.

    References
    ----------
    Frangella, Tropp and Udell, "Randomized Nystrom preconditioning", SIAM J. Matrix
    Anal. Appl. 44, 2023, algorithm 2.1.
    """

    def __init__(self, rank=50, equilibrate=True):
        self.rank = rank
        self.equilibrate = equilibrate

    def rows(self, A, rng):
        """Eigenvectors of the approximation, scaled by the roots of its eigenvalues."""
        rank = min(self.rank, *A.shape)
        return nystrom(lambda V: A.T @ (A @ V), A.shape[1], rank, rng, A).rows()
