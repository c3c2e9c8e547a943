"""Largest eigenvalues by power iteration, from products alone."""

from .._arrays import as_numpy, namespace, normal


def largest_eigenvalue(product, dim, rng, X, solve=None, *, max_iter=20, rtol=1e-2):
    r"""Estimate of the largest eigenvalue of P^{-1} H from below.

    The iteration :math:`z = H v,\; u = P^{-1} z,\; v \leftarrow u / \|u\|` is the power
    method on the symmetric :math:`P^{-1/2} H P^{-1/2}` in other coordinates, so

    .. math:: \theta = (u^T z) / (v^T z)

    is a Rayleigh quotient of that matrix: real, never above the eigenvalue, and rising
    at every iteration. No root of P is needed. This replaces the Arnoldi method on the
    unsymmetric product in the reference code of PROMISE (Frangella et al., 2024), which
    can fail or return complex numbers.

    Parameters
    ----------
    product : callable
        v of shape (dim,) to H v, with H symmetric positive semidefinite.
    dim : int
        Order of H.
    rng : numpy.random.Generator
        Draws the starting vector.
    X : array or CSR matrix
        Gives the namespace, device and dtype of the vectors.
    solve : callable, default=None
        g of shape (dim,) to P^{-1} g, with P symmetric positive definite. None means
        the identity.
    max_iter : int, default=20
        Most products with H.
    rtol : float, default=1e-2
        Stop when the estimate changes by less than this, relatively.

    Returns
    -------
    float
        Usually a few per cent too small: multiply by 1.05 for a step size. 0 for a zero
        operator.
    """
    xp = namespace(X)
    v = normal(rng, (dim,), X)
    v = v if solve is None else solve(v)
    estimate = 0.0
    for _ in range(max_iter):
        v = v / xp.linalg.vector_norm(v)
        z = product(v)
        u = z if solve is None else solve(z)
        # one transfer an iteration
        curvature, gain = as_numpy(xp.stack([xp.sum(v * z), xp.sum(u * z)])).tolist()
        if curvature <= 0:
            return estimate
        previous, estimate = estimate, gain / curvature
        if abs(estimate - previous) <= rtol * estimate:
            break
        v = u
    return estimate


def operator_norm(product, dim, rng, X, *, max_iter=10):
    r"""Estimate of the spectral norm of a symmetric operator from below.

    Power iteration with :math:`\|E v\|_2` as the estimate, which unlike a Rayleigh
    quotient means something when E is indefinite or zero up to rounding errors.

    Parameters
    ----------
    product : callable
        v of shape (dim,) to E v.
    dim, rng, X
        As in :func:`largest_eigenvalue`.
    max_iter : int, default=10
        Number of products.

    Returns
    -------
    float
        Multiply by 1.1 to 2 for a safe bound.
    """
    xp = namespace(X)
    v = normal(rng, (dim,), X)
    norm = float(xp.linalg.vector_norm(v))
    for _ in range(max_iter):
        v = product(v / norm)
        norm = float(xp.linalg.vector_norm(v))
        if norm == 0:
            break
    return norm
