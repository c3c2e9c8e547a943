"""Features of a kernel: a transformer, and the estimators that never need to store them."""

from ._classifier import RandomFeaturesClassifier
from ._regressor import RandomFeaturesRegressor
from ._transformer import RandomFeatures

__all__ = ["RandomFeatures", "RandomFeaturesClassifier", "RandomFeaturesRegressor"]
