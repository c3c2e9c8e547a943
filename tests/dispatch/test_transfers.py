"""What crosses between device and host: scalars down, random numbers up.

NumPy cannot read "device1" of array_api_strict, so every implicit copy to the host is
an error there as it is with CuPy. The tests count the explicit ones inside `minimize`;
before it, labels and weights pass through the host once.
"""

import numpy as np
import pytest
from sklearn import config_context

from _strict import DEVICE, SQUARED_ERROR_ONLY, Traffic, on, options
from promise_learn import LogisticRegression, Ridge, _base
from promise_learn.solvers import SOLVERS

N, P, K = 200, 30, 3


@pytest.fixture
def traffic(monkeypatch):
    """Traffic inside `minimize`, once a fit is done."""
    seen, minimize = [], _base.minimize

    def watched(*args, **options):
        with monkeypatch.context() as patch:
            seen.append(Traffic(patch))
            return minimize(*args, **options)

    monkeypatch.setattr(_base, "minimize", watched)
    return seen


def fit(task, name):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N, P)) * np.geomspace(1, 0.1, P)
    scores = 2 * X @ rng.standard_normal((P, K)) + rng.standard_normal((N, K))
    y = scores if task == "targets" else scores.argmax(axis=1)
    if task == "binary":
        y = y == 0
    model = Ridge if task == "targets" else LogisticRegression
    with config_context(array_api_dispatch=True):
        return model(**options(name), random_state=0).fit(*on(DEVICE, X, y))


def cases():
    for task in ("targets", "binary", "multinomial"):
        for name in SOLVERS:
            if task == "targets" or name not in SQUARED_ERROR_ONLY:
                yield task, name


@pytest.mark.parametrize(("task", "name"), list(cases()))
def test_only_scalars_come_down(task, name, traffic):
    """At most five numbers a target at once, but for what is made on the host.

    That is L-BFGS, SciPy's; the choice of rows by weight; the rows of flat directions,
    from the penalty; and the inner matrix of ten pairs a column.
    """
    fit(task, name)
    columns = 1 if task == "binary" else K
    allowed = (P + 1) * columns if name in ("lbfgs", "newton-sketch") else 5 * columns
    if SOLVERS[name].visits_rows and "sketchy" not in name:
        allowed = max(N, (10 * columns) ** 2 if name == "slbfgs" else 0)
    assert traffic[0].largest <= allowed


@pytest.mark.parametrize(("task", "name"), list(cases()))
def test_the_host_waits_few_times_a_pass(task, name, traffic):
    """A stop costs a GPU microseconds. A stochastic refresh tries several dampings.

    The two loops of L-BFGS wait twice for each of ten pairs, three times a batch.
    """
    history = fit(task, name).history_
    passes, refreshes = history["passes"][-1], history["refreshes"][-1]
    refreshes *= "sketchy" in name
    each = 100 if name == "progressive-lbfgs" else 8
    assert traffic[0].stops <= 30 + each * passes + 100 * refreshes
