"""Compiled kernels; a module is imported when it is first asked for, and Numba then."""

from importlib import import_module

_MODULES = {"blocks", "features", "grams", "passes", "pointwise", "rows", "tiles"}


def __getattr__(name):
    """Import a module of the package."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.{name}")
