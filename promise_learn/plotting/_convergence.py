"""Plot of the history of fits."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from ._axes import new_axes

_FLOOR = float(np.finfo(np.float64).eps)
_LABELS = {"seconds": "seconds", "passes": "passes over the data"}


class ConvergenceDisplay:
    r"""Suboptimality of fits against seconds or passes, on a logarithmic axis.

    Drawn for each iterate w of a fit is :math:`(F(w) - F^*) / |F^*|`, F the objective
    that the fit minimised. Compare only fits of one objective: the same data, weights
    and penalty.

    Parameters
    ----------
    histories : dict of str to dict
        The ``history_`` of each fit, by the name that the legend shows.
    optimum : float, default=None
        The optimal value :math:`F^*`. Where None, the lowest final objective less that
        fit's own estimate of what remains.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the plot.
    figure_ : matplotlib Figure
        Figure of the plot.
    lines_ : list of matplotlib Line2D
        One line for each fit.

    Examples
    --------
    >>> from promise_learn.plotting import ConvergenceDisplay
    >>> history = {"seconds": [0.1, 0.2], "objective": [1.0, 0.5], "gap": [0.5, 0.0]}
    >>> display = ConvergenceDisplay({"a fit": history})
    >>> display.optimum
    0.5
    """

    def __init__(
        self, histories: Mapping[str, Mapping], *, optimum: float | None = None
    ) -> None:
        self.histories = dict(histories)
        self.optimum = _estimate(self.histories) if optimum is None else optimum

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, name: str | None = None, **kwargs: Any
    ) -> "ConvergenceDisplay":
        """Plot the convergence of one fitted estimator.

        Parameters
        ----------
        estimator : estimator with ``history_``
            A fitted estimator of this package.
        name : str, default=None
            Name in the legend; the estimator's class where None.
        **kwargs : dict
            As in `from_estimators`.

        Returns
        -------
        ConvergenceDisplay
            The display, drawn.
        """
        name = type(estimator).__name__ if name is None else name
        return cls.from_estimators({name: estimator}, **kwargs)

    @classmethod
    def from_estimators(
        cls,
        estimators: Mapping[str, Any],
        *,
        optimum: float | None = None,
        against: Literal["seconds", "passes"] = "seconds",
        ax: Any = None,
        **line_kw: Any,
    ) -> "ConvergenceDisplay":
        """Plot the convergence of fitted estimators of one objective.

        Parameters
        ----------
        estimators : dict of str to estimator
            Fitted estimators of this package, by name.
        optimum : float, default=None
            The optimal value of the objective, where known.
        against : {"seconds", "passes"}, default="seconds"
            What the horizontal axis measures.
        ax : matplotlib Axes, default=None
            Axes to draw on; a new figure where None.
        **line_kw : dict
            Passed to matplotlib's ``plot``.

        Returns
        -------
        ConvergenceDisplay
            The display, drawn.
        """
        for estimator in estimators.values():
            check_is_fitted(estimator, "history_")
        histories = {name: fit.history_ for name, fit in estimators.items()}
        display = cls(histories, optimum=optimum)
        return display.plot(ax=ax, against=against, **line_kw)

    def plot(
        self,
        *,
        ax: Any = None,
        against: Literal["seconds", "passes"] = "seconds",
        **line_kw: Any,
    ) -> "ConvergenceDisplay":
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; a new figure where None.
        against : {"seconds", "passes"}, default="seconds"
            What the horizontal axis measures.
        **line_kw : dict
            Passed to matplotlib's ``plot``.

        Returns
        -------
        ConvergenceDisplay
            This display.
        """
        if against not in _LABELS:
            raise ValueError(
                f"against must be 'seconds' or 'passes'. Got {against!r} instead."
            )
        if ax is None:
            ax = new_axes()
        style = {"marker": ".", **line_kw}
        self.lines_ = [
            line
            for name, history in self.histories.items()
            for line in ax.plot(
                np.asarray(history[against], dtype=float),
                self.suboptimality(history["objective"]),
                **{"label": name, **style},
            )
        ]
        ax.set(
            xlabel=_LABELS[against],
            ylabel=r"suboptimality $(F - F^*) / |F^*|$",
            yscale="log",
        )
        ax.legend()
        self.ax_ = ax
        self.figure_ = ax.figure
        return self

    def suboptimality(self, objective: Any) -> NDArray[np.float64]:
        """Relative gap of objective values, at least the float64 precision.

        Parameters
        ----------
        objective : array-like
            Values of the objective.

        Returns
        -------
        ndarray
            ``(objective - optimum) / |optimum|``, fit for a logarithmic axis.
        """
        gap = np.asarray(objective, dtype=np.float64) - self.optimum
        return np.maximum(gap / max(abs(self.optimum), _FLOOR), _FLOOR)


def _estimate(histories: Mapping[str, Mapping]) -> float:
    """Lowest final objective of fits, less what each says is left to gain."""
    bounds = []
    for history in histories.values():
        value, gap = (float(history[key][-1] or 0) for key in ("objective", "gap"))
        bounds.append(value - abs(value) * (gap if np.isfinite(gap) else 0.0))
    return min(bounds)
