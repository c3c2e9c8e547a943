"""Compilation settings shared by all kernels."""

from numba import njit

# Sums may be reordered (vector instructions); NaN and inf keep their meaning.
_OPTIONS = {"nogil": True, "fastmath": {"reassoc", "contract", "arcp", "nsz"}}


def jit(function):
    """Compile lazily, with an on-disk cache where some folder is writable."""
    try:
        return njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:  # Numba: "no locator available", no writable cache folder
        return njit(**_OPTIONS)(function)
