"""Limited-memory BFGS: correction pairs and the inverse that they define."""

from collections import deque

import numpy as np

from .._arrays import as_numpy, inner, like, namespace, zeros
from ..preconditioners import Inverse


class Pairs:
    r"""Pairs (s, y = B s) and the inverse H of the BFGS matrix that they make.

    H starts from :math:`\gamma I`, :math:`\gamma = s^T y / y^T y` of the last pair, and
    takes one BFGS update a pair, oldest first.

    Parameters
    ----------
    memory : int
        Pairs kept.
    curvature : float, default=1e-8
        Pairs with s'y at most this times ``|s| |y|`` are skipped.

    References
    ----------
    Nocedal and Wright, Numerical Optimization (2006), algorithm 7.4; Byrd, Nocedal and
    Schnabel, "Representations of quasi-Newton matrices and their use in limited memory
    methods", Math. Program. 63, 1994, theorem 2.2, for the compact form.
    """

    def __init__(self, memory, curvature=1e-8):
        self._pairs, self._least = deque(maxlen=memory), curvature

    def __len__(self):
        return len(self._pairs)

    def add(self, s, y):
        """Keep a pair; false where its curvature is too small, and it is skipped."""
        product = inner(s, y)
        if not product > self._least * (inner(s, s) * inner(y, y)) ** 0.5:
            return False
        self._pairs.append((s, y, product))
        return True

    def apply(self, g, start=None):
        """H g by the two-loop recursion, for g of the shape of s.

        H starts from the map ``start`` where one is given.
        """
        q, shares = g, []
        for s, y, product in reversed(self._pairs):
            shares.append(inner(s, q) / product)
            q = q - shares[-1] * y
        q = self._gamma() * q if start is None else start(q)
        for (s, y, product), share in zip(self._pairs, reversed(shares), strict=True):
            q = q + (share - inner(y, q) / product) * s
        return q

    def inverse(self, g):
        r"""H in compact form, for vectors like g of shape (dim,).

        .. math:: H = \gamma I + [S \; \gamma Y]
            \begin{pmatrix} R^{-T} (D + \gamma Y^T Y) R^{-1} & -R^{-T} \\
            -R^{-1} & 0 \end{pmatrix} [S \; \gamma Y]^T,

        R the upper triangle of S'Y, and D its diagonal.

        Parameters
        ----------
        g : array (dim,)

        Returns
        -------
        Inverse
        """
        gamma = self._gamma()
        t = 0 * g + gamma
        if not self._pairs:
            return Inverse(t, zeros((0, t.shape[0]), t), zeros((0, 0), t))
        xp = namespace(g)
        S = xp.stack([s for s, _, _ in self._pairs])
        Y = xp.stack([y for _, y, _ in self._pairs])
        R = np.linalg.inv(np.triu(as_numpy(S @ Y.T)))
        D = np.diag([product for _, _, product in self._pairs])
        inner = R.T @ (D + gamma * as_numpy(Y @ Y.T)) @ R
        M = np.block([[-inner, R.T], [R, np.zeros_like(R)]])
        return Inverse(t, xp.concat([S, gamma * Y]), like(M, g))

    def _gamma(self):
        if not self._pairs:
            return 1.0
        _, y, product = self._pairs[-1]
        return product / inner(y, y)
