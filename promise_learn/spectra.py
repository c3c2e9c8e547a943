"""Spectrum of an objective's Hessian, before and after preconditioning."""

from math import exp, isqrt

import numpy as np

from . import linalg
from ._arrays import cast, namespace
from ._fitted import fitted_objective
from .linalg.density import SpectralDensity, signs
from .linalg.spectrum import EXACT
from .preconditioners import Inverse, resolve_preconditioner, woodbury
from .solvers.sketch import FLOOR, curvature_inverse

__all__ = ["HessianSpectrum", "fitted_objective"]


class HessianSpectrum:
    r"""Eigenvalues of the Hessian of an objective, or of the preconditioned Hessian.

    .. math:: H = X^T D X + \mathrm{diag}(\mathrm{penalty}), \qquad
              P^{-1/2} H P^{-1/2}

    Targets that share their penalty share the Hessian, which is that of one. For the
    multinomial loss, and for targets with penalties of their own, it is the Hessian of
    all columns of w. The intercepts of all classes moved together change nothing: a
    multinomial model has an eigenvalue zero unless ``fit_intercept=False``.

    Parameters
    ----------
    f : Objective
    w : array, default=None
        Where the Hessian is taken; zeros by default. For the squared error it is the
        same everywhere.
    preconditioner : str, Preconditioner, Inverse or None, default=None
        None for H itself. A name or a specification is built from ``rows`` random rows,
        "auto" is what ``newton-cg`` and ``pcg`` use (one target or two classes), an
        `Inverse` is taken as it is.
    rows : int or "auto", default="auto"
        Rows that P is built from; "auto" is 10 sqrt(n), or twice the rank where that is
        more.
    rho : float or "auto", default="auto"
        Damping of P, relative to the Hessian diagonal where columns are equilibrated;
        "auto" is the penalty, for equilibrated columns the geometric mean of those
        relative to the diagonal.
    random_state : int or Generator, default=0
        Seeds each method anew, and the rows.

    Attributes
    ----------
    dim : int
        Number of eigenvalues.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from promise_learn import Ridge
    >>> from promise_learn.spectra import HessianSpectrum
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = Ridge(alpha=0.01).fit(X, y)
    >>> before = HessianSpectrum.from_estimator(model, X, y)
    >>> after = HessianSpectrum.from_estimator(model, X, y, preconditioner="ssn")
    >>> before.condition_number() > 100 * after.condition_number()
    True
    """

    def __init__(
        self,
        f,
        w=None,
        preconditioner=None,
        *,
        rows="auto",
        rho="auto",
        random_state=0,
    ):
        self.random_state = random_state
        self._point = f.expand(f.zeros() if w is None else w)
        whole = f.coupled or f.per_target
        self._shape = f.shape if whole else (f.dim,)
        self.dim = int(np.prod(self._shape))
        self._anchor, self._probe = f.zeros(), None
        self._inverse = self._prepare(preconditioner, rows, rho)

    @classmethod
    def from_estimator(cls, estimator, X, y, sample_weight=None, **kwargs):
        """Spectrum at the coefficients of a fitted estimator.

        Parameters
        ----------
        estimator : Ridge, RidgeClassifier or LogisticRegression
            Fitted.
        X, y, sample_weight
            What it was fitted to.
        **kwargs : dict
            As for the class, without f and w.

        Returns
        -------
        HessianSpectrum
        """
        return cls(*fitted_objective(estimator, X, y, sample_weight), **kwargs)

    def eigenvalues(self):
        """All eigenvalues, ascending, by a dense matrix.

        Returns
        -------
        ndarray (dim,)
        """
        return linalg.eigenvalues(self._product, self.dim, self._anchor, self._solve)

    def top_eigenvalues(self, k=10, **kwargs):
        """Largest eigenvalues, descending.

        Parameters
        ----------
        k : int, default=10
        **kwargs : dict
            As for `promise_learn.linalg.top_eigenvalues`.

        Returns
        -------
        ndarray (k,)
        """
        return linalg.top_eigenvalues(*self._operator(), k, self._solve, **kwargs)

    def condition_number(self, **kwargs):
        """Ratio of the largest to the smallest eigenvalue.

        Parameters
        ----------
        **kwargs : dict
            As for `promise_learn.linalg.condition_number`.

        Returns
        -------
        float
        """
        return linalg.condition_number(*self._operator(), self._solve, **kwargs)

    def effective_dimension(self, mu, **kwargs):
        """Effective dimension at mu of X' D X, without penalty or preconditioner.

        Parameters
        ----------
        mu : float
            On the scale of the mean loss: alpha / S for ridge, 1 / (C S) for logistic
            regression, with S the sum of the weights.
        **kwargs : dict
            As for `promise_learn.linalg.effective_dimension`.

        Returns
        -------
        float
        """
        return linalg.effective_dimension(*self._operator(self._loss), mu, **kwargs)

    def density(self, **kwargs):
        """Spectral density: all eigenvalues where they are few, else by quadrature.

        Parameters
        ----------
        **kwargs : dict
            As for `promise_learn.linalg.spectral_density`.

        Returns
        -------
        SpectralDensity

        Raises
        ------
        ValueError
            If only products with the inverse of P are known, and they are too many to
            form it.
        """
        if self.dim <= EXACT:
            weights = np.full(self.dim, 1 / self.dim)
            return SpectralDensity(self.eigenvalues(), weights, self.dim)
        if self._inverse is not None and self._probe is None:
            raise ValueError(
                f"the density of {self.dim} eigenvalues needs a preconditioner by name "
                "('nystrom', 'ssn', ...) or as a specification such as Nystrom(rank=50)"
            )
        return linalg.spectral_density(
            *self._operator(), self._solve, self._probe, **kwargs
        )

    def _operator(self, product=None):
        """First arguments of the functions of `promise_learn.linalg`."""
        rng = np.random.default_rng(self.random_state)
        return product or self._product, self.dim, rng, self._anchor

    @property
    def _solve(self):
        return None if self._inverse is None else self._apply_inverse

    def _apply_inverse(self, v):
        return self._columnwise(self._inverse, v)

    def _product(self, v):
        return self._columnwise(self._point.product, v)

    def _loss(self, v):
        """Product with X' D X."""
        return self._product(v) - self._columnwise(self._point.objective.ridge, v)

    def _columnwise(self, function, v):
        """Apply a function of arrays of w's shape to a vector or block (dim, k)."""
        if len(self._shape) == 1:
            return function(v)
        xp = namespace(v)
        if v.ndim > 1:
            columns = [self._columnwise(function, v[:, j]) for j in range(v.shape[1])]
            return xp.stack(columns, axis=1)
        return xp.reshape(function(xp.reshape(v, self._shape)), (self.dim,))

    def _prepare(self, preconditioner, rows, rho):
        """P^-1 as a function of arrays of w's shape, and the probe that goes with P."""
        point, rng = self._point, np.random.default_rng(self.random_state)
        if preconditioner is None:
            return None
        if isinstance(preconditioner, Inverse):
            return preconditioner.apply
        if isinstance(preconditioner, str) and preconditioner == "auto":
            if point.objective.coupled:
                raise ValueError(
                    "preconditioner='auto' of a multinomial model acts on gradients, "
                    "which sum to zero over the classes, alone: name another one"
                )
            return curvature_inverse("auto", point, rng)[0]
        specification = resolve_preconditioner(preconditioner)
        Y, d = _terms(specification, point, rows, rho, rng)
        self._probe = lambda rng: self._draw(Y, d, rng)
        return woodbury(Y, d).apply

    def _draw(self, Y, d, rng):
        """Vector with covariance P = Y'Y + diag(d), for every column of w."""
        columns = [
            Y.T @ signs(rng, Y.shape[0], d) + d**0.5 * signs(rng, d.shape[0], d)
            for _ in range(self.dim // d.shape[0])
        ]
        xp = namespace(d)
        return xp.reshape(xp.stack(columns, axis=1), (self.dim,))


def _terms(specification, point, rows, rho, rng):
    """Row block Y and diagonal d of P = Y'Y + diag(d), in float64."""
    f, xp = point.objective, point.objective.xp
    if isinstance(rows, str):
        rows = max(10 * isqrt(f.n_rows), 2 * getattr(specification, "rank", 0))
    ridge = f.penalty if f.penalty.ndim == 1 else xp.max(f.penalty, axis=1)
    h = point.diagonal() + ridge
    if isinstance(rho, str):
        relative = specification.equilibrate
        rho = _relative(ridge, h) if relative else float(xp.max(ridge)) or FLOOR
    A = cast(point.root(f.sample(rows, rng)), h.dtype)
    return specification.terms(A, rho, rng, h)


def _relative(ridge, h):
    """Geometric mean over penalised columns of the penalty relative to the diagonal.

    The largest would be that of a rare column, all of whose curvature is the penalty.
    """
    xp, penalised = namespace(h), ridge > 0
    logs = xp.log(xp.where(penalised, ridge / xp.where(penalised, h, 1.0), 1.0))
    count = float(xp.sum(xp.astype(penalised, h.dtype)))
    return max(exp(float(xp.sum(logs)) / count), FLOOR) if count else FLOOR
