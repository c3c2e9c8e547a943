"""Plot of the spectrum of a Hessian, before and after preconditioning."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..linalg import SpectralDensity
from ..objective import Objective
from ..spectra import HessianSpectrum, fitted_objective
from ._axes import new_axes

_POINTS, _MARGIN = 1000, 0.05


class SpectrumDisplay:
    """Spectral densities of a Hessian before (blue) and after preconditioning (orange).

    A preconditioner is good where the orange eigenvalues crowd around one. Every
    eigenvalue is drawn as a Gaussian line; the lower end of the vertical axis is a
    tenth of the peak of a single one.

    Parameters
    ----------
    before : SpectralDensity
        Of the Hessian.
    after : SpectralDensity, default=None
        Of the preconditioned Hessian.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the plot.
    figure_ : matplotlib Figure
        Figure of the plot.
    lines_ : list of matplotlib Line2D
        One line for each density.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from promise_learn import LogisticRegression, SpectrumDisplay
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = LogisticRegression().fit(X, y)
    >>> display = SpectrumDisplay.from_estimator(model, X, y)
    >>> [line.get_label() for line in display.lines_]
    ['Hessian', 'preconditioned: nystrom']
    """

    def __init__(
        self, before: SpectralDensity, after: SpectralDensity | None = None
    ) -> None:
        self.before, self.after = before, after

    @classmethod
    def from_objective(
        cls,
        f: Objective,
        w: Any = None,
        *,
        preconditioner: Any = "nystrom",
        rows: int | Literal["auto"] = "auto",
        rho: float | Literal["auto"] = "auto",
        random_state: Any = 0,
        n_probes: int = 10,
        steps: int = 100,
        **plot_kw: Any,
    ) -> "SpectrumDisplay":
        """Plot the spectrum of an objective's Hessian.

        Parameters
        ----------
        f : Objective
            The objective.
        w : array, default=None
            Where the Hessian is taken; zeros by default.
        preconditioner : str, Preconditioner, Inverse or None, default="nystrom"
            None draws the Hessian alone; else as for `HessianSpectrum`.
        rows, rho, random_state
            As for `HessianSpectrum`.
        n_probes, steps : int
            As for `promise_learn.linalg.spectral_density`, for more than 500 columns.
        **plot_kw : dict
            As for `plot`.

        Returns
        -------
        SpectrumDisplay
            The display, drawn.
        """
        options = {"n_probes": n_probes, "steps": steps}
        spectrum = HessianSpectrum(f, w, random_state=random_state)
        display = cls(spectrum.density(**options))
        if preconditioner is not None:
            spectrum = HessianSpectrum(
                f, w, preconditioner, rows=rows, rho=rho, random_state=random_state
            )
            display.after = spectrum.density(**options)
            known = isinstance(preconditioner, str)
            name = preconditioner if known else type(preconditioner).__name__
            plot_kw.setdefault("name", f"preconditioned: {name}")
        return display.plot(**plot_kw)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        **kwargs: Any,
    ) -> "SpectrumDisplay":
        """Plot the spectrum at the coefficients of a fitted estimator.

        Parameters
        ----------
        estimator : Ridge, RidgeClassifier or LogisticRegression
            Fitted.
        X, y, sample_weight
            What it was fitted to.
        **kwargs : dict
            As in `from_objective`.

        Returns
        -------
        SpectrumDisplay
            The display, drawn.
        """
        f, w = fitted_objective(estimator, X, y, sample_weight)
        return cls.from_objective(f, w, **kwargs)

    def plot(
        self,
        *,
        ax: Any = None,
        name: str = "preconditioned",
        sigma: float = 0.01,
        log: bool = True,
        **line_kw: Any,
    ) -> "SpectrumDisplay":
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; a new figure where None.
        name : str, default="preconditioned"
            Of the density after preconditioning, in the legend.
        sigma : float, default=0.01
            Width of the line of an eigenvalue, relative to the range of both densities.
        log : bool, default=True
            Eigenvalues on a logarithmic axis; the density is that per decade.
        **line_kw : dict
            Passed to matplotlib's ``plot``.

        Returns
        -------
        SpectrumDisplay
            This display.
        """
        ax = new_axes() if ax is None else ax
        drawn = {"Hessian": (self.before, "tab:blue")}
        if self.after is not None:
            drawn[name] = (self.after, "tab:orange")
        grid, extent = _grid([spectrum for spectrum, _ in drawn.values()], log)
        self.lines_ = [
            line
            for label, (spectrum, colour) in drawn.items()
            for line in ax.plot(
                grid,
                spectrum.density(grid, sigma, log=log, extent=extent),
                **{"color": colour, "label": label, **line_kw},
            )
        ]
        peak = 0.4 / (self.before.dim * sigma * extent)  # of one eigenvalue
        highest = max(line.get_ydata().max() for line in self.lines_)
        ax.set(
            xlabel="eigenvalue",
            ylabel="density per decade" if log else "density",
            xscale="log" if log else "linear",
            yscale="log",
            ylim=(0.1 * peak, 2 * highest),
        )
        ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _grid(
    spectra: Sequence[SpectralDensity], log: bool
) -> tuple[NDArray[np.float64], float]:
    """Points that cover all nodes, and the range of these, in decades if ``log``."""
    nodes = np.concatenate([one.positive() if log else one.nodes for one in spectra])
    nodes = np.log10(nodes) if log else nodes
    extent = float(np.ptp(nodes)) or 1.0
    margin = _MARGIN * extent
    grid = np.linspace(nodes.min() - margin, nodes.max() + margin, _POINTS)
    return (10**grid if log else grid), extent
