"""Compilation settings shared by all kernels, and their cache on disk."""

from contextlib import suppress
from functools import partial
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zlib import crc32

from numba import njit
from numba.core.caching import FunctionCache
from numba.core.runtime import rtsys

# Sums may be reordered (vector instructions); NaN and inf keep their meaning.
FASTMATH = {"reassoc", "contract", "arcp", "nsz"}
# Division by zero gives inf as in NumPy: a check would keep loops from vectors, too.
OPTIONS: Any = {"nogil": True, "error_model": "numpy", "fastmath": FASTMATH}

_FOLDER = sorted(Path(__file__).parent.glob("*.py"))
_VERSION = crc32(b"".join(path.read_bytes() for path in _FOLDER))
_UNREADABLE = OSError, EOFError, UnpicklingError


class _Cache(FunctionCache):
    """Numba's cache on disk, with five flaws mended.

    Numba notices changes in a function's own file only, not in what it calls: here
    another version of any file of this folder is another key. Processes that save at
    the same time may file one signature's code under another's key: what comes back is
    checked. A file that cannot be read or written, of another user or on a full disk,
    costs a compilation, not an error; and so does one of an older version of the
    package, which is emptied. And machine code is loaded without all that Numba knows
    of types, which takes longer than the code and is for a compilation alone.
    """

    def _index_key(self, sig, codegen):
        return (*super()._index_key(sig, codegen), _VERSION)

    def load_overload(self, sig, target_context):
        rtsys.initialize(target_context)  # what machine code may call
        try:
            found = self._load_overload(sig, target_context)
        except (AttributeError, ImportError):  # it names what is no longer there
            with suppress(OSError):
                self.flush()
            return None
        except _UNREADABLE:
            return None
        if found is not None and found.signature.args == tuple(sig):
            return found
        return None

    def save_overload(self, sig, data):
        with suppress(*_UNREADABLE):
            super().save_overload(sig, data)


def jit(function, inline="never"):
    """Compile on first call; keep machine code where some cache folder is writable.

    Parameters
    ----------
    function : function
    inline : {"never", "always"}
        "always" takes the text of the function into that of every kernel that calls it,
        to be compiled once: six helpers and a kernel take a sixth less time so. Verbs
        that a kernel calls more than once, or longer ones, take longer.
    """
    kernel = njit(inline=inline, **OPTIONS)(function)
    with suppress(RuntimeError):  # Numba: "no locator available", no writable folder
        kernel._cache = _Cache(function)
    return kernel


part = partial(jit, inline="always")
"""Decorator of what kernels are made of."""
