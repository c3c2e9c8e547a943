"""Randomised linear algebra: Nystrom approximation, sketches, power iteration."""

from .nystrom import LowRank, Sketch, error_norm, nystrom
from .power import largest_eigenvalue, operator_norm
from .sketches import gaussian, less_uniform, sparse_sign

__all__ = [
    "LowRank",
    "Sketch",
    "error_norm",
    "gaussian",
    "largest_eigenvalue",
    "less_uniform",
    "nystrom",
    "operator_norm",
    "sparse_sign",
]
