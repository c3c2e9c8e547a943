"""Features of a kernel: a transformer, and estimators that need not store them."""

from ._classifier import RandomFeaturesClassifier
from ._regressor import RandomFeaturesRegressor
from ._transformer import RandomFeatures

__all__ = ["RandomFeatures", "RandomFeaturesClassifier", "RandomFeaturesRegressor"]
