import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from promise_learn import HessianSpectrum, Ridge
from promise_learn.linalg import SpectralDensity
from promise_learn.plotting import ConvergenceDisplay, SpectrumDisplay
from promise_learn.preconditioners import Nystrom
from promise_learn.spectra import fitted_objective

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


def regression():
    """A fitted ridge regression with columns of scales 1 to 1e-3, X and y."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 8)) * np.geomspace(1, 1e-3, 8)
    y = X.sum(axis=1) + rng.standard_normal(200)
    return Ridge(alpha=1e-4).fit(X, y), X, y


def test_spectra_are_blue_before_and_orange_after_preconditioning():
    model, X, y = regression()
    display = SpectrumDisplay.from_estimator(model, X, y, preconditioner="ssn")
    before, after = display.lines_
    assert (before.get_color(), after.get_color()) == ("tab:blue", "tab:orange")
    assert (before.get_label(), after.get_label()) == ("Hessian", "preconditioned: ssn")
    assert display.ax_.get_xscale() == display.ax_.get_yscale() == "log"
    assert display.ax_.get_xlabel() == "eigenvalue"
    assert display.ax_.get_ylabel() == "density per decade"
    assert display.figure_ is display.ax_.figure
    f, w = fitted_objective(model, X, y)
    exact = HessianSpectrum(f, w).eigenvalues()
    assert_allclose(display.before.nodes, exact)
    # preconditioned eigenvalues crowd around one
    peak = after.get_xdata()[np.argmax(after.get_ydata())]
    assert 0.3 < peak < 3
    assert np.ptp(np.log10(display.after.nodes)) < 0.3 * np.ptp(np.log10(exact))


def test_lines_of_a_spectrum_lie_at_its_eigenvalues_within_the_axes():
    before = SpectralDensity(np.array([1e-3, 1.0]), np.array([0.9, 0.1]), 10)
    after = SpectralDensity(np.array([1.0]), np.array([1.0]), 10)
    display = SpectrumDisplay(before, after).plot(name="ours", sigma=0.02, alpha=0.5)
    blue, orange = display.lines_
    grid, share = blue.get_xdata(), blue.get_ydata()
    assert_allclose(grid[np.argmax(share)], 1e-3, rtol=0.02)
    # a line of width 2 % of three decades, and the end of the axis a tenth of one of 10
    peak = 1 / (0.02 * 3 * np.sqrt(2 * np.pi))
    assert_allclose(share.max(), 0.9 * peak, rtol=1e-2)
    assert_allclose(orange.get_ydata().max(), peak, rtol=1e-2)
    low, high = display.ax_.get_ylim()
    assert_allclose(low, 0.1 * peak / 10, rtol=0.02)
    assert high > peak
    assert orange.get_label() == "ours"
    assert blue.get_alpha() == 0.5


def test_spectrum_on_linear_axes_of_the_user_and_without_preconditioner():
    from matplotlib import pyplot

    ax = pyplot.subplots()[1]
    model, X, y = regression()
    f, w = fitted_objective(model, X, y)
    display = SpectrumDisplay.from_objective(
        f, w, preconditioner=None, ax=ax, log=False
    )
    assert display.ax_ is ax
    assert display.after is None
    assert len(display.lines_) == 1
    assert ax.get_xscale() == "linear"
    assert ax.get_ylabel() == "density"


def test_spectrum_of_a_specification_is_named_by_its_class():
    model, X, y = regression()
    display = SpectrumDisplay.from_estimator(
        model, X, y, preconditioner=Nystrom(rank=3), rows=50, rho=0.1
    )
    assert display.lines_[1].get_label() == "preconditioned: Nystrom"
