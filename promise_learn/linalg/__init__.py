"""Randomised linear algebra: Nystrom approximation, sketches, spectra."""

from .density import SpectralDensity, spectral_density
from .nystrom import LowRank, Sketch, error_norm, nystrom
from .power import largest_eigenvalue, operator_norm
from .sketches import gaussian, less_uniform, sparse_sign
from .spectrum import (
    condition_number,
    effective_dimension,
    eigenvalues,
    top_eigenvalues,
)

__all__ = [
    "LowRank",
    "Sketch",
    "SpectralDensity",
    "condition_number",
    "effective_dimension",
    "eigenvalues",
    "error_norm",
    "gaussian",
    "largest_eigenvalue",
    "less_uniform",
    "nystrom",
    "operator_norm",
    "sparse_sign",
    "spectral_density",
    "top_eigenvalues",
]
