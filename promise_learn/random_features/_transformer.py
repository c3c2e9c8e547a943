"""Random and Nyström features as a transformer."""

from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.utils.validation import check_is_fitted

from .._arrays import current
from .._base import unchanged_on_failure
from .._compat import (
    check_parameters,
    check_same_namespace,
    random_source,
    validate,
    validate_weights,
)
from ..design import FeatureRows
from ._shared import FEATURES, check_kernel, draw


class RandomFeatures(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    r"""Random or Nyström features, whose inner products approximate a kernel.

    Random features are a function of a projection,

    .. math:: \varphi(x) = c \, h(x W + b), \qquad
              \varphi(x) \cdot \varphi(x') \approx k(x, x')

    * ``"rbf"``, exp(-gamma |x - x'|^2): h is the cosine, W normal with variance
      2 gamma, b uniform in [0, 2 pi), c = sqrt(2 / m).
    * ``"laplacian"``, exp(-gamma |x - x'|_1): the same with Cauchy W of width gamma.
    * ``"arccos"`` of degree 0 or 1, 1 - theta / pi and
      |x| |x'| (sin theta + (pi - theta) cos theta) / pi with theta the angle between x
      and x': h is the step or the rectifier max(t, 0), W standard normal, no b,
      c = sqrt(2 / m).

    The error of an inner product falls as 1 / sqrt(m). Nyström features are the kernel
    k(Z, x), with the same k, to m rows Z of X that are drawn without replacement:

    .. math:: \varphi(x) = W^T k(Z, x), \qquad
              W W^T = (K(Z, Z) + \delta I)^{-1}

    They are exact on Z up to the jitter delta, which bounds rounding: of the mean
    diagonal of K(Z, Z), sqrt(m) 1e-7 for float32 features and m^2 2e-16 for float64
    (m 1.5e-8 for the arc-cosine kernel of degree 0, which rounds more). They take the
    inverse of a Cholesky factor of order m, and 2 m operations a feature.

    The same seed gives the same features on every storage, type and device, up to
    rounding.

    Parameters
    ----------
    n_components : int, default=1000
        Number of features, m; of Nyström features no more than X has rows.
    approximation : {"random", "nystrom"}, default="random"
        Random features do not look at the rows of X, are cheap, and may be any number.
        Nyström features come closer with as many of them where the spectrum of the
        kernel decays, which counts where the penalty is small.
    kernel : {"rbf", "laplacian", "arccos"}, default="rbf"
    gamma : float or "scale", default="scale"
        "scale" is 1 / (n_features * X.var()). The arc-cosine kernel has none.
    degree : {0, 1}, default=1
        Of the arc-cosine kernel; other kernels ignore it, as scikit-learn's do.
    projection : {"auto", "gaussian", "orthogonal", "sorf"}, default="auto"
        Columns of W: independent; orthogonal in blocks of n_features, with a smaller
        error; or products of random signs and Hadamard matrices (structured orthogonal
        random features), which cost log(n_features) a feature instead of n_features.
        "auto" is "orthogonal", but "gaussian" for the Laplacian kernel, for
        ``scale="paper"`` and for more than 1,000 columns. Nyström features have none.
    scale : {"kernel", "paper"}, default="kernel"
        "paper" divides W by sqrt(m), takes c = 1 for the arc-cosine kernel, and gamma =
        0.5 for "scale", as the experiments of PROMISE do; of random features alone.
    random_state : int, RandomState, Generator or None, default=None

    Attributes
    ----------
    feature_map_ : FeatureMap or NystromMap
        W, b and c, or Z and W, drawn.
    gamma_ : float
        The gamma in use.
    n_features_in_ : int

    Raises
    ------
    ValueError
        For parameters or data out of range, or that contradict each other; for more
        Nyström features than X has rows.

    References
    ----------
    Williams and Seeger, Using the Nyström method to speed up kernel machines (2001);
    Rahimi and Recht, Random features for large-scale kernel machines (2007); Cho and
    Saul, Kernel methods for deep learning (2009); Yu et al., Orthogonal random features
    (2016).

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.pipeline import make_pipeline
    >>> from promise_learn import RandomFeatures, Ridge
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = make_pipeline(RandomFeatures(300, random_state=0), Ridge(alpha=1.0))
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
        random_state=None,
    ):
        self.n_components = n_components
        self.approximation = approximation
        self.kernel = kernel
        self.gamma = gamma
        self.degree = degree
        self.projection = projection
        self.scale = scale
        self.random_state = random_state

    def __sklearn_tags__(self):
        """Sparse input and array namespaces are supported; types are kept."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.array_api_support = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @property
    def _n_features_out(self):
        return self.feature_map_.n_components

    def fit(self, X, y=None):
        """Draw the features.

        Parameters
        ----------
        X : array or CSR matrix (n_samples, n_features)
            Gives the number of columns and the variance, and Nyström features rows.
        y : None
            Not used.

        Returns
        -------
        RandomFeatures
            Itself.
        """
        check_parameters(self, FEATURES | {"random_state": random_source})
        check_kernel(self)
        with unchanged_on_failure(self), current(X):
            X = validate(self, X)
            weights = validate_weights(None, X)
            self.gamma_, self.feature_map_ = draw(self, X, X.dtype, weights)
        return self

    def transform(self, X):
        """Features of X.

        Parameters
        ----------
        X : array or CSR matrix (n_samples, n_features)

        Returns
        -------
        array (n_samples, n_components)
            Dense, of the type of X.
        """
        check_is_fitted(self)
        with current(X):
            X = validate(self, X, reset=False)
            drawn = self.feature_map_
            check_same_namespace(X, drawn.drawn, self, "transform")
            return FeatureRows(X, drawn.astype(X.dtype)).features()
