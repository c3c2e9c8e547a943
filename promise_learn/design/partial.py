"""Features of some of the rows in memory, where there is no room for all."""

import numpy as np


class PartialStore:
    """The first features of every range of rows, kept as they are generated.

    A share of every range, rather than some of the ranges, gives all threads the same
    work. Rows of a range come in order, and one thread has a range at a time.

    Parameters
    ----------
    ranges : list of (int, int)
        First and last row of each.
    share : float
        Of the rows of a range, between 0 and 1.
    n_components : int
    dtype : dtype
    """

    def __init__(self, ranges, share, n_components, dtype):
        rows = [int(share * (last - first)) for first, last in ranges]
        self._features = [np.empty((n, n_components), dtype) for n in rows]
        self._known = [0] * len(ranges)

    @property
    def nbytes(self):
        """Bytes of all that may be kept."""
        return sum(features.nbytes for features in self._features)

    def read(self, k, lo, out):
        """Copy features of range k, from its row lo on, to out; False if not kept."""
        hi = lo + len(out)
        known = hi <= self._known[k]
        if known:
            out[...] = self._features[k][lo:hi]
        return known

    def write(self, k, lo, Z):
        """Keep features Z of range k, from its row lo on, where there is room."""
        hi = lo + len(Z)
        if self._known[k] == lo and hi <= len(self._features[k]):
            self._features[k][lo:hi] = Z
            self._known[k] = hi
