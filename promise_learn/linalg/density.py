"""Spectral density by stochastic Lanczos quadrature."""

from dataclasses import dataclass

import numpy as np

from .._arrays import like
from .lanczos import lanczos

LINE = 1 / np.sqrt(2 * np.pi)


@dataclass(frozen=True, eq=False)
class SpectralDensity:
    r"""Weighted nodes that stand for all eigenvalues, each of weight 1 / dim.

    Attributes
    ----------
    nodes : ndarray (m,)
        Ascending.
    weights : ndarray (m,)
        Not negative, summing to one.
    dim : int
        Number of eigenvalues.

    Examples
    --------
    >>> import numpy as np
    >>> from promise_learn.linalg import SpectralDensity
    >>> spectrum = SpectralDensity(np.array([1.0, 4.0]), np.array([0.75, 0.25]), 8)
    >>> spectrum.cdf([0.5, 2.0, 4.0])
    array([0.  , 0.75, 1.  ])
    >>> spectrum.dim * spectrum.mean(np.sqrt)  # trace of the square root
    10.0
    """

    nodes: np.ndarray
    weights: np.ndarray
    dim: int

    def mean(self, function):
        """Mean of a function over the eigenvalues; dim times that is a trace.

        Parameters
        ----------
        function : callable
            Of the array of nodes.

        Returns
        -------
        float
        """
        return float(self.weights @ function(self.nodes))

    def cdf(self, grid):
        """Share of the eigenvalues up to each grid point.

        Parameters
        ----------
        grid : array-like

        Returns
        -------
        ndarray
        """
        below = np.searchsorted(self.nodes, grid, side="right")
        return np.append(0.0, np.cumsum(self.weights))[below]

    def density(self, grid, sigma=0.01, *, log=False, extent=None):
        r"""Share of the eigenvalues per unit of length at each grid point.

        .. math:: \sum_i w_i \, N(t; \theta_i, s^2), \qquad
                  s = \sigma (\theta_{\max} - \theta_{\min})

        Parameters
        ----------
        grid : array-like
        sigma : float, default=0.01
            Width s of the line of an eigenvalue, relative to ``extent``.
        log : bool, default=False
            Share per decade: nodes, grid and width are those of log10.
        extent : float, default=None
            By default the range of the nodes, or 1 where all are the same; with ``log``
            it is in decades.

        Returns
        -------
        ndarray
        """
        nodes, grid = self.nodes, np.asarray(grid, dtype=float)
        if log:
            nodes, grid = np.log10(self.positive()), np.log10(grid)
        width = sigma * (extent or float(np.ptp(nodes)) or 1.0)
        offsets = (grid[..., None] - nodes) / width
        return (LINE / width) * np.exp(-0.5 * offsets**2) @ self.weights

    def positive(self):
        """Nodes for a logarithmic axis: at least the rounding error of the largest.

        Returns
        -------
        ndarray (m,)
        """
        largest = float(np.max(np.abs(self.nodes))) or 1.0
        return np.maximum(self.nodes, np.finfo(np.float64).eps * largest)


def signs(rng, dim, X):
    """Rademacher vector: entries -1 and 1 alike, of X's namespace, device and dtype."""
    return like(rng.choice([-1.0, 1.0], dim), X)


def spectral_density(
    product, dim, rng, X, solve=None, probe=None, *, n_probes=10, steps=100
):
    r"""Spectral density of a symmetric operator by stochastic Lanczos quadrature.

    For a random vector z with :math:`E z z^T = I` the spectral measure of z is that of
    the operator on average, and `lanczos` gives its Gauss rule: exact for polynomials
    up to degree 2 steps - 1, and the eigenvalues themselves where there are no more
    distinct ones than steps. Rademacher vectors leave the least variance.

    Parameters
    ----------
    product : callable
        v of shape (dim,) to H v, with H symmetric.
    dim : int
        Order of H.
    rng : numpy.random.Generator
        Draws the probes.
    X : array or CSR matrix
        Gives the namespace, device and dtype of the vectors.
    solve : callable, default=None
        r of shape (dim,) to P^{-1} r: the density of P^{-1/2} H P^{-1/2}.
    probe : callable, default=None
        Draws from rng a vector with covariance P, needed with ``solve`` (it is
        :math:`P^{1/2} z`): for :math:`P = Y^T Y + \mathrm{diag}(d)`, Y' times signs
        plus the root of d times signs.
    n_probes : int, default=10
        Random vectors.
    steps : int, default=100
        Most products for each.

    Returns
    -------
    SpectralDensity

    Raises
    ------
    ValueError
        If ``solve`` is given without ``probe``.

    References
    ----------
    Ubaru, Chen and Saad, "Fast estimation of tr(f(A)) via stochastic Lanczos
    quadrature", SIAM J. Matrix Anal. Appl. 38, 2017; Ghorbani, Krishnan and Xiao, "An
    investigation into neural net optimization via Hessian eigenvalue density", 2019.
    """
    if (solve is None) != (probe is None):
        raise ValueError(
            "give solve and probe together: the probes of a preconditioned operator "
            "have the covariance P"
        )
    nodes, weights = [], []
    for _ in range(n_probes):
        start = signs(rng, dim, X) if probe is None else probe(rng)
        *_, last = lanczos(product, start, steps, solve)
        values, shares, _ = last.eigenvalues()
        nodes.append(values)
        weights.append(last.norm**2 * shares)
    nodes, weights = np.concatenate(nodes), np.concatenate(weights)
    order = np.argsort(nodes)
    return SpectralDensity(nodes[order], weights[order] / weights.sum(), dim)
