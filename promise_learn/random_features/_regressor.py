"""Ridge regression on random or Nyström features."""

import numpy as np
from sklearn.base import MultiOutputMixin

from .._arrays import current, is_numpy, like
from .._base import check_common, unchanged_on_failure
from .._compat import validate, validate_weights
from .._regressors import LinearPrediction
from ..ridge import PENALTIES, RidgeBase
from ._shared import FEATURES, MEMORY, OnFeatures, check_kernel


class RandomFeaturesRegressor(
    MultiOutputMixin, LinearPrediction, OnFeatures, RidgeBase
):
    r"""Ridge regression on features of a kernel, which need not fit into memory.

    .. math:: \min_{w, b} \; \sum_i s_i (y_i - \varphi(x_i) \cdot w - b)^2
              + \alpha \|w\|^2

    with the random or Nyström features of `RandomFeatures`. They are stored where
    memory allows, else generated a block of rows at a time in every pass over the data;
    X may be a memory map. Features are float32 whatever the type of X, but of its type
    where there are at most 2^18 of them; sums are float64.

    Parameters
    ----------
    n_components : int, default=1000
        Number of features, m.
    approximation, kernel, gamma, degree, projection, scale
        As in `RandomFeatures`; rows count for the variance by their weights.
    alpha : float or array (n_targets,), default=1.0
        Penalty, one for all targets or one each; not negative.
    fit_intercept : bool, default=True
    memory : float or "auto", default="auto"
        Bytes beside X and y that a fit may take; "auto" is a tenth of the memory
        available. Features are stored where that fits, with the solver's factor.
    cache : str or joblib.Memory, default=None
        Folder that keeps Gram matrices, Hessian diagonals, Nystrom sketches and their
        eigenvectors, as `Pipeline` keeps fitted steps. A search over ``alpha`` then
        forms one of all rows for each split and ``gamma``, which a single fit may
        avoid; set an integer ``random_state``.
    tol, max_iter, solver, preconditioner, warm_start, random_state, verbose
        As in `Ridge`. A warm start keeps the features. Solvers that visit rows at
        random ("sketchy-...") need stored features.

    Attributes
    ----------
    coef_ : array (n_components,) for one target, else (n_targets, n_components)
    intercept_ : float or array (n_targets,), 0.0 where none is fitted
    feature_map_, gamma_
        As in `RandomFeatures`.
    stored_ : bool
        Whether features were stored, not generated in every pass.
    n_iter_, n_features_in_, solver_, history_
        As in `Ridge`; a pass generates every feature once.

    Raises
    ------
    ValueError
        As `Ridge` and `RandomFeatures`; and, before any work, where the fit would need
        more than ``memory``.

    Warns
    -----
    ConvergenceWarning
        Where ``tol`` was not reached, with the gap that was.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from promise_learn import RandomFeaturesRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = RandomFeaturesRegressor(300, alpha=1.0, random_state=0)
    >>> round(model.fit(X, y).score(X, y), 1)
    0.6
    """

    def __init__(
        self,
        n_components=1000,
        *,
        approximation="random",
        kernel="rbf",
        gamma="scale",
        degree=1,
        projection="auto",
        scale="kernel",
        alpha=1.0,
        fit_intercept=True,
        memory="auto",
        cache=None,
        tol=1e-6,
        max_iter=None,
        solver="auto",
        preconditioner="auto",
        warm_start=False,
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.approximation = approximation
        self.kernel = kernel
        self.gamma = gamma
        self.degree = degree
        self.projection = projection
        self.scale = scale
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.memory = memory
        self.cache = cache
        self.tol = tol
        self.max_iter = max_iter
        self.solver = solver
        self.preconditioner = preconditioner
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X, y, sample_weight=None):
        """Fit the model.

        Parameters
        ----------
        X : array or CSR matrix (n_samples, n_features)
            May be a memory map.
        y : array (n_samples,) or (n_samples, n_targets)
        sample_weight : array (n_samples,), default=None
            Not negative, not all zero.

        Returns
        -------
        RandomFeaturesRegressor
            Itself.
        """
        check_common(self, {"alpha": PENALTIES} | FEATURES | MEMORY)
        check_kernel(self)
        with unchanged_on_failure(self), current(X):
            X, y = validate(self, X, y, multi_output=True, y_numeric=True)
            weights = validate_weights(sample_weight, X)
            y = like(y, weights)
            if is_numpy(y):
                y = np.ascontiguousarray(y)
            rows = self._rows(X, y.shape[1] if y.ndim > 1 else 1, True, weights)
            return self._fit_targets(X, y, weights, self.alpha, rows)
