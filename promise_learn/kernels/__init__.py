"""Compiled kernels; imported only inside functions, since they import Numba."""
