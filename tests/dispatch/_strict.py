"""Arrays of array_api_strict, and what may be read back from them.

Its "device1" is a device that NumPy cannot read: like CuPy, it refuses every implicit
copy to the host and every operation with an array that lives elsewhere.
"""

import array_api_strict as strict

from promise_learn._arrays import as_numpy
from promise_learn.solvers import SOLVERS

SQUARED_ERROR_ONLY = ("direct", "dual-cg", "nystrom-pcg", "pcg")

AT_ROUNDING = (
    "dual-cg",
    "lbfgs",
    "newton-sketch",
    "subsampled-newton",
    "subspace-newton",
)
"""Solvers that at a tol of 1e-12 stop when rounding lets them, some steps off."""

HOST, DEVICE = strict.Device("CPU_DEVICE"), strict.Device("device1")


def options(name):
    """Solver and tol with which a fit is short and the same on every device.

    Batches of the stochastic solvers are otherwise larger on a device. Following the
    same path, they need not follow it to the end.
    """
    solver = SOLVERS[name]()
    if "batch_size" not in solver.get_params():
        return {"solver": solver, "tol": 1e-9 if name == "lbfgs" else 1e-12}
    # systems of r-ssn end by an estimate, where rounding may tip the scales: only steps
    # on all rows, which follow, make that good
    tol = {"sketchy-sgd": 1e-2, "r-ssn": 1e-12}.get(name, 1e-4)
    return {"solver": solver.set_params(batch_size=8), "tol": tol}


def on(device, *arrays):
    """Host arrays as strict arrays on a device; None stays None."""
    moved = [a if a is None else strict.asarray(a, device=device) for a in arrays]
    return moved if len(moved) > 1 else moved[0]


def assert_like(x, X):
    """Assert that x is an array of X's namespace and device."""
    assert type(x) is type(X), f"{type(x)} instead of {type(X)}"
    assert x.device == X.device, f"on {x.device} instead of {X.device}"


class Traffic:
    """What crosses from the device to the host while the block runs.

    Attributes
    ----------
    largest : int
        Entries of the largest array that was copied.
    stops : int
        Times that the host had to wait for a result: copies, float(), int(), bool().
    """

    def __init__(self, monkeypatch):
        self.largest = self.stops = 0
        for name in ("to_device", "__float__", "__int__", "__bool__"):
            monkeypatch.setattr(strict._array_object.Array, name, self._watched(name))

    def _watched(self, name):
        original = getattr(strict._array_object.Array, name)

        def read(array, *args, **options):
            self.stops += 1
            self.largest = max(self.largest, array.size)
            return original(array, *args, **options)

        return read


__all__ = [
    "AT_ROUNDING",
    "DEVICE",
    "HOST",
    "SQUARED_ERROR_ONLY",
    "Traffic",
    "as_numpy",
    "assert_like",
    "on",
    "options",
    "strict",
]
