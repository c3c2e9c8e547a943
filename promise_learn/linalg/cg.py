"""Preconditioned conjugate gradients with an estimate of the error that matters.

For a quadratic F(x) = 1/2 x'Hx - b'x the distance to the minimum is the energy
1/2 r'H^-1 r of the residual. CG knows r'P^-1 r, and its own coefficients form the
Lanczos matrix of P^-1 H: its smallest eigenvalue theta gives r'H^-1 r <= r'P^-1 r/theta
once it has settled. Where theta belongs to a direction that the residual no longer has,
that is far too large. In a long run what is left by geometric extrapolation of what the
last windows of iterations gained is the other estimate, and the smaller one counts.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._arrays import as_numpy, is_numpy, namespace

SHORTEST_WINDOW = 20
PATIENCE, SHARE = 8, 8


@dataclass
class Iterate:
    """State after an iteration.

    Attributes
    ----------
    x, residual : array (dim,) or (dim, K)
    gap : float
        Estimate of 1/2 r'H^-1 r, or the bound that there is, summed over columns.
    decrease : float
        1/2 (x - x0)'H(x - x0) so far, summed over columns: a lower bound of the energy
        of the first residual.
    iteration : int
    smallest : float
        Smallest Ritz value of P^-1 H, or the bound that is known instead.
    """

    x: Any
    residual: Any
    gap: float
    decrease: float
    iteration: int
    smallest: float


class _Lanczos:
    """Smallest Ritz value of P^-1 H from the CG coefficients of the columns.

    The four columns with the largest residual are looked at. They have the smallest
    Ritz values where the matrices of the columns differ by their penalties.
    """

    def __init__(self, smallest):
        self.smallest, self.alphas, self.betas = smallest, [], []

    def update(self, alpha, beta, remaining):
        """Add the coefficients of one iteration, and update the Ritz value."""
        from scipy.linalg import lapack

        self.alphas.append(alpha)
        self.betas.append(beta)
        k = len(self.alphas)
        if k > 10 and k % max(5, k // 20):
            return
        alphas, betas = np.array(self.alphas), np.array(self.betas)
        for c in np.argsort(remaining)[-4:]:
            m = int(np.append(alphas[:, c] > 0, False).argmin())  # until it stopped
            if m == 0:
                continue
            diagonal = 1 / alphas[:m, c]
            carried = betas[: m - 1, c] * diagonal[:-1]
            off = np.sqrt(np.maximum(carried * diagonal[:-1], 0.0))
            diagonal[1:] += carried
            # the least eigenvalue alone; SciPy's own call takes several times as long
            off = off if m > 1 else diagonal
            found = lapack.dstebz(diagonal, off, 2, 0.0, 0.0, 1, 1, 0.0, "E")
            theta, failed = found[1], found[-1]
            if not failed:
                self.smallest = min(self.smallest, max(float(theta[0]), 1e-300))


def _quotient(u, v, defined):
    """Divide where that is defined; zero elsewhere."""
    if isinstance(defined, np.bool_):
        return u / v if defined else 0.0
    xp = namespace(v)
    return xp.where(defined, u / xp.where(defined, v, 1.0), 0.0)


def _on_host(numbers):
    """Numbers, or rows of them one a column, in one transfer: (len(numbers), K)."""
    if not isinstance(numbers[0], float):
        numbers = as_numpy(namespace(numbers[0]).stack(numbers))
    return np.asarray(numbers, float).reshape(len(numbers), -1)


def _extrapolated(gains, safety=2.0):
    """Energy that is left if the gains of the last two windows go on geometrically."""
    window = len(gains) // 10
    if window < SHORTEST_WINDOW:
        return math.inf
    last, before = sum(gains[-window:]), sum(gains[-2 * window : -window])
    ratio = max(last / before, 0.05) if before > 0 else 1.0
    return safety * last * ratio / (1 - ratio) if ratio < 1 else math.inf


def _cautious(gaps, decrease):
    """Largest of the last estimates; at least the decrease where they are few.

    The first estimates have not seen the small eigenvalues, and a plateau looks like
    the end; with a good preconditioner there are neither.
    """
    window = PATIENCE + len(gaps) // SHARE
    return max(*gaps[-window:], 0.0 if len(gaps) >= window else decrease)


def pcg(
    product,
    b,
    precondition,
    x=None,
    coupled=False,
    cautious=False,
    flexible=False,
    smallest=math.inf,
    least=0.0,
):
    """Generate the iterates of preconditioned conjugate gradients for H x = b.

    Columns of b are independent systems with the same matrix, each with step lengths of
    its own; a column that has converged to rounding stops moving. With ``coupled`` the
    block is one long vector.

    Parameters
    ----------
    product : callable
        v to H v for blocks the shape of b.
    b : array (dim,) or (dim, K)
    precondition : callable
        v to P^-1 v.
    x : array, default=None
        Start; zeros by default.
    coupled : bool, default=False
    cautious : bool, default=False
        Wait until the estimate of the gap has stayed small for some iterations, as it
        must with a preconditioner that may be poor.
    flexible : bool, default=False
        Whether P^-1 is itself an inexact solve, and so no linear map: directions are
        then made conjugate to the last one by a product of their own.
    smallest : float, default=inf
        Upper bound of the smallest eigenvalue of P^-1 H, where one is known: CG may see
        small ones late.
    least : float, default=0
        Where positive, a lower bound of the eigenvalues of P^-1 H. The gap is then
        bounded by it, r'P^-1 r / (2 least), and nothing is estimated.

    Yields
    ------
    Iterate

    References
    ----------
    Golub and Van Loan, Matrix Computations, algorithm 11.5.1; the error estimate is the
    Ritz-value form of Meurant and Tichy (2013); flexible directions of Notay, Flexible
    conjugate gradients (2000).
    """
    xp = namespace(b)
    axis = None if coupled else 0
    # NumPy's own sum where it serves: the wrapper takes longer than a short vector
    total = np.add.reduce if is_numpy(b) else xp.sum

    def inner(u, v):
        return total(u * v, axis=axis)

    r = b if x is None else b - product(x)
    x = xp.zeros_like(b) if x is None else x
    z = precondition(r)
    q, gamma = z, inner(r, z)
    lanczos = _Lanczos(smallest)
    gains, gaps, decrease, k = [], [], 0.0, 0
    tiny = float(xp.finfo(b.dtype).smallest_normal)
    while True:
        v = product(q)
        curvature = inner(q, v)
        moving = (curvature > tiny) & (gamma > tiny)
        alpha = _quotient(gamma, curvature, moving)
        x, r = x + alpha * q, r - alpha * v
        z = precondition(r)
        new = inner(r, z)
        beta = _quotient(new, gamma, moving)
        turn = -_quotient(alpha * inner(v, z), gamma, moving) if flexible else beta
        # one transfer an iteration: alpha is zero where nothing moves
        host = _on_host([alpha, beta, gamma, new, curvature])
        gains.append(0.5 * float(host[0] @ host[2]))
        decrease += gains[-1]
        k += 1
        gap = 0.5 * max(float(host[3].sum()), 0.0)
        if least > 0:
            gap /= least
        else:
            lanczos.update(host[0], host[1], host[3])
            gap = min(gap / lanczos.smallest, _extrapolated(gains))
        if ((host[2] > tiny) & (np.abs(host[4]) <= tiny)).any():
            gap = math.inf  # a residual in a direction without curvature
        gaps.append(gap)
        if cautious and host[0].any():
            gap = _cautious(gaps, decrease)
        yield Iterate(x, r, gap, decrease, k, least or lanczos.smallest)
        if not host[0].any():
            return
        q, gamma = z + turn * q, new
