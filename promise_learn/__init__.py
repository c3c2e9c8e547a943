"""Ridge and logistic regression on randomised preconditioners.

Estimators follow scikit-learn's conventions and converge on data as it comes: unscaled,
ill-conditioned, sparse, large. Public names are imported on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._lazy import getter

if TYPE_CHECKING:
    from . import datasets, linalg, plotting, preconditioners, solvers
    from ._warmup import warmup
    from .huber import HuberRegressor
    from .logistic import LogisticRegression
    from .plotting import ConvergenceDisplay, SpectrumDisplay
    from .poisson import PoissonRegressor
    from .random_features import (
        RandomFeatures,
        RandomFeaturesClassifier,
        RandomFeaturesRegressor,
    )
    from .ridge import Ridge, RidgeClassifier
    from .spectra import HessianSpectrum
    from .svm import SquaredHingeClassifier

__version__: str

__all__ = [
    "ConvergenceDisplay",
    "HessianSpectrum",
    "HuberRegressor",
    "LogisticRegression",
    "PoissonRegressor",
    "RandomFeatures",
    "RandomFeaturesClassifier",
    "RandomFeaturesRegressor",
    "Ridge",
    "RidgeClassifier",
    "SpectrumDisplay",
    "SquaredHingeClassifier",
    "datasets",
    "linalg",
    "plotting",
    "preconditioners",
    "solvers",
    "warmup",
]

_HOME = {
    "ConvergenceDisplay": "plotting",
    "HessianSpectrum": "spectra",
    "LogisticRegression": "logistic",
    "RandomFeatures": "random_features",
    "RandomFeaturesClassifier": "random_features",
    "RandomFeaturesRegressor": "random_features",
    "Ridge": "ridge",
    "RidgeClassifier": "ridge",
    "SpectrumDisplay": "plotting",
    "HuberRegressor": "huber",
    "PoissonRegressor": "poisson",
    "SquaredHingeClassifier": "svm",
    "warmup": "_warmup",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for (SPEC 1)."""
    if name == "__version__":
        value = import_module("importlib.metadata").version("promise-learn")
    elif name in __all__ and name not in _HOME:
        return import_module(f".{name}", __name__)
    else:
        value = getter(__name__, _HOME)(name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted([*__all__, "__version__"])
