"""What X may be: dense or CSR, on any namespace, lazily centred and scaled.

Or random features, stored or generated in every pass.
"""

from .features import FeatureRows
from .maps import draw_map
from .memory import design_rows, features_budget
from .scaled import Design

__all__ = ["Design", "FeatureRows", "design_rows", "draw_map", "features_budget"]
