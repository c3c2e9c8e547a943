"""What X may be: dense or CSR, on any namespace, lazily centred and scaled; or features.

Random features are generated in every pass, or stored.
"""

from .features import FeatureRows
from .maps import draw_map
from .memory import design_rows
from .scaled import Design

__all__ = ["Design", "FeatureRows", "design_rows", "draw_map"]
