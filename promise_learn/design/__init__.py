"""What X may be: dense or CSR, on any namespace, lazily centred and scaled.

Or features that approximate a kernel, stored or generated in every pass.
"""

from .._lazy import getter
from .scaled import Design
from .storage import faster_storage, nonempty_columns

_HOME = {
    "FeatureRows": "features",
    "design_rows": "memory",
    "draw_landmarks": "landmarks",
    "draw_map": "maps",
    "features_budget": "memory",
}
__getattr__ = getter(__name__, _HOME)

__all__ = ["Design", "faster_storage", "nonempty_columns", *_HOME]
