import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from promise_learn.plotting import ConvergenceDisplay

pytest.importorskip("matplotlib").use("agg")


class Fit(BaseEstimator):
    """What the display needs of a fitted estimator."""

    def __init__(self, objective=(4.0, 3.0, 2.0), gap=(0.5, 0.2, 0.0)):
        self.history_ = {
            "seconds": np.array([0.1, 0.2, 0.3]),
            "passes": np.array([2, 4, 6]),
            "objective": np.array(objective),
            "gap": np.array(gap),
        }

    def fit(self):
        return self


@pytest.fixture(autouse=True)
def close_figures():
    yield
    from matplotlib import pyplot

    pyplot.close("all")


def test_draws_relative_suboptimality_on_a_log_axis():
    display = ConvergenceDisplay.from_estimator(Fit(), optimum=1.0)
    (line,) = display.lines_
    assert_allclose(line.get_xdata(), [0.1, 0.2, 0.3])
    assert_allclose(line.get_ydata(), [3, 2, 1])
    assert display.ax_.get_yscale() == "log"
    assert display.ax_.get_xlabel() == "seconds"
    assert display.figure_ is display.ax_.figure
    assert line.get_label() == "Fit"


def test_many_fits_share_axes_and_optimum():
    from matplotlib import pyplot

    ax = pyplot.subplots()[1]
    fits = {"a": Fit(), "b": Fit(objective=(9.0, 5.0, 3.0))}
    display = ConvergenceDisplay.from_estimators(
        fits, ax=ax, against="passes", linestyle="--"
    )
    assert display.ax_ is ax
    assert display.optimum == 2
    assert [line.get_label() for line in display.lines_] == ["a", "b"]
    assert {line.get_linestyle() for line in display.lines_} == {"--"}
    assert_allclose(display.lines_[1].get_xdata(), [2, 4, 6])
    assert_allclose(display.lines_[1].get_ydata(), [3.5, 1.5, 0.5])


@pytest.mark.parametrize(("gap", "optimum"), [(0.1, 1.8), (np.nan, 2.0)])
def test_the_optimum_allows_for_what_a_fit_left(gap, optimum):
    assert_allclose(
        ConvergenceDisplay({"a": Fit(gap=(gap,)).history_}).optimum, optimum
    )


def test_an_exact_fit_stays_on_the_log_axis():
    display = ConvergenceDisplay.from_estimator(Fit())
    assert display.lines_[0].get_ydata()[-1] == np.finfo(float).eps


def test_refuses_unfitted_estimators_and_unknown_axes():
    from promise_learn import Ridge

    with pytest.raises(NotFittedError):
        ConvergenceDisplay.from_estimator(Ridge())
    with pytest.raises(ValueError, match=r"against must be .* 'hours'"):
        ConvergenceDisplay.from_estimator(Fit(), against="hours")


def test_plots_a_fit_of_this_package():
    from promise_learn import LogisticRegression

    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 3))
    fit = LogisticRegression().fit(X, X[:, 0] > 0)
    display = ConvergenceDisplay.from_estimator(fit)
    assert len(display.lines_[0].get_xdata()) == len(fit.history_["objective"])
