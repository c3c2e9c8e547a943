"""Axes to draw on; matplotlib is imported when a plot is drawn."""

from typing import Any


def new_axes() -> Any:
    """Axes of a new figure."""
    from matplotlib import pyplot

    return pyplot.subplots()[1]
