"""Diagonal preconditioner, and none."""

from .._arrays import cast, column_squares, namespace, zeros
from .base import Preconditioner


def _no_rows(A):
    """Row block without rows that goes with A."""
    return zeros((0, A.shape[1]), A)


class Diagonal(Preconditioner):
    r"""Jacobi's preconditioner :math:`P = \mathrm{diag}(A^T A) + \rho I`.

    With the exact diagonal h of the Hessian it is :math:`P = \mathrm{diag}(h)` (for
    :math:`\rho \le 1`). It makes a solver indifferent to the scale of the columns and
    costs nothing, but knows no correlations.

    Examples
    --------
    >>> import numpy as np
    >>> from promise_learn.preconditioners import Diagonal
    >>> A = np.array([[2.0, 0.0], [0.0, 1.0]])
    >>> Diagonal().build(A, rho=1.0, rng=np.random.default_rng(0)).t
    array([0.2, 0.5])
    """

    def rows(self, A, rng):
        """No rows: the diagonal is all."""
        return _no_rows(A)

    def terms(self, A, rho, rng, diagonal=None):
        """Empty row block and the diagonal; see :meth:`Preconditioner.terms`."""
        if diagonal is not None:
            return super().terms(A, rho, rng, diagonal)
        squares = column_squares(A)
        return _no_rows(A), cast(squares, namespace(A).float64) + rho


class Identity(Preconditioner):
    """No preconditioning, P = I, whatever the rows."""

    def rows(self, A, rng):
        """No rows."""
        return _no_rows(A)

    def terms(self, A, rho, rng, diagonal=None):
        """Empty row block and ones; see :meth:`Preconditioner.terms`."""
        xp = namespace(A)
        return _no_rows(A), zeros((A.shape[1],), A, xp.float64) + 1
