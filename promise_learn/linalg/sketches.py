r"""Random sketches of a row block A: r rows :math:`\Omega A` from its m rows.

Each has :math:`E[\Omega^T \Omega] = I`, so :math:`(\Omega A)^T \Omega A` estimates
:math:`A^T A` without bias. The sparse ones keep a CSR block CSR.
"""

from math import sqrt

import numpy as np

from .._arrays import from_triplets, normal


def gaussian(A, rank, rng):
    r"""Dense Gaussian sketch, :math:`\Omega_{ij} \sim N(0, 1/r)`.

    Parameters
    ----------
    A : row block of shape (m, p)
        Dense array or CSR matrix.
    rank : int
        Rows r of the sketch.
    rng : numpy.random.Generator
        Draws the sketch.

    Returns
    -------
    array of shape (rank, p)
        Dense also for CSR.
    """
    omega = normal(rng, (A.shape[0], rank), A) / sqrt(rank)
    return (A.T @ omega).T


def sparse_sign(A, rank, rng, nonzeros=8):
    r"""Sparse sign sketch: every row of A goes into a few rows of the result.

    Each of the m columns of :math:`\Omega` has :math:`\zeta = \min(nonzeros, r)`
    entries :math:`\pm 1/\sqrt\zeta` in distinct rows drawn uniformly (Cohen, 2016).

    Parameters
    ----------
    A : row block of shape (m, p)
        Dense array or CSR matrix.
    rank : int
        Rows r of the sketch.
    rng : numpy.random.Generator
        Draws the sketch.
    nonzeros : int, default=8
        Entries in each column of the sketch matrix.

    Returns
    -------
    row block of shape (rank, p)
        CSR when A is.
    """
    n_rows = A.shape[0]
    zeta = min(nonzeros, rank)
    rows = _distinct(rng, n_rows, zeta, rank).ravel()
    columns = np.repeat(np.arange(n_rows), zeta)
    signs = _signs(rng, rows.size) / sqrt(zeta)
    return from_triplets(signs, rows, columns, (rank, n_rows), A) @ A


def less_uniform(A, rank, rng, nonzeros=8):
    r"""LessUniform sketch: every row of the result sums a few rows of A.

    Each of the r rows of :math:`\Omega` has :math:`\zeta = \min(nonzeros, m)` entries
    :math:`\pm\sqrt{m / (r \zeta)}` in distinct columns drawn uniformly (Derezinski et
    al., 2021). Only r zeta rows of A are used: cheap and very sparse, but crude.

    Parameters
    ----------
    A : row block of shape (m, p)
        Dense array or CSR matrix.
    rank : int
        Rows r of the sketch.
    rng : numpy.random.Generator
        Draws the sketch.
    nonzeros : int, default=8
        Entries in each row of the sketch matrix.

    Returns
    -------
    row block of shape (rank, p)
        CSR when A is.
    """
    n_rows = A.shape[0]
    zeta = min(nonzeros, n_rows)
    rows = np.repeat(np.arange(rank), zeta)
    columns = _distinct(rng, rank, zeta, n_rows).ravel()
    signs = _signs(rng, rows.size) * sqrt(n_rows / (rank * zeta))
    return from_triplets(signs, rows, columns, (rank, n_rows), A) @ A


def _signs(rng, size):
    """Independent values -1 and 1 with equal chances."""
    return 2.0 * rng.integers(0, 2, size=size) - 1.0


def _distinct(rng, count, size, population):
    """Uniform subsets of range(population), one of the given size in each row.

    Floyd's algorithm on all rows at once (Bentley, 1987): O(count * size) memory, and
    no permutation of the population.
    """
    chosen = np.empty((count, size), dtype=np.int64)
    for k in range(size):
        last = population - size + k
        draw = rng.integers(0, last + 1, size=count)
        repeated = (chosen[:, :k] == draw[:, None]).any(axis=1)
        chosen[:, k] = np.where(repeated, last, draw)
    return chosen
