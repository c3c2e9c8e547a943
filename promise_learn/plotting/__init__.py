"""Plots of fits and spectra; matplotlib is imported when one is drawn."""

from ._convergence import ConvergenceDisplay
from ._spectrum import SpectrumDisplay

__all__ = ["ConvergenceDisplay", "SpectrumDisplay"]
