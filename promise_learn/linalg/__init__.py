"""Randomised linear algebra: Nystrom approximation, sketches, spectra."""

from typing import TYPE_CHECKING

from .._lazy import getter
from .nystrom import LowRank, Sketch, error_norm, nystrom
from .power import largest_eigenvalue, operator_norm
from .sketches import gaussian, less_uniform, sparse_sign

if TYPE_CHECKING:
    from .density import SpectralDensity, spectral_density
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

__getattr__ = getter(
    __name__,
    {
        "SpectralDensity": "density",
        "condition_number": "spectrum",
        "effective_dimension": "spectrum",
        "eigenvalues": "spectrum",
        "spectral_density": "density",
        "top_eigenvalues": "spectrum",
    },
)
