"""Spectra of strict arrays are those of NumPy arrays, of which only scalars return."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn import config_context

from _strict import DEVICE, on
from promise_learn import HessianSpectrum, LogisticRegression, Ridge
from promise_learn.linalg import (
    condition_number,
    effective_dimension,
    spectral_density,
    top_eigenvalues,
)


@pytest.fixture(autouse=True)
def dispatch():
    with config_context(array_api_dispatch=True):
        yield


@pytest.mark.parametrize("preconditioner", [None, "nystrom", "ssn", "diagonal"])
@pytest.mark.parametrize("task", ["ridge", "binary", "multinomial"])
def test_spectrum_of_a_fit_on_the_device(task, preconditioner):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((90, 6)) * np.geomspace(1, 0.1, 6)
    y = np.argmax(X @ rng.standard_normal((6, 3)), axis=1)
    y = {"ridge": y.astype(float), "binary": np.minimum(y, 1)}.get(task, y)
    make = Ridge if task == "ridge" else LogisticRegression
    model = make(fit_intercept=False, tol=1e-9)
    values = []
    for data, target in ((X, y), on(DEVICE, X, y)):
        fit = model.fit(data, target)
        spectrum = HessianSpectrum.from_estimator(
            fit, data, target, preconditioner=preconditioner, rows=40
        )
        values.append((spectrum.eigenvalues(), spectrum.effective_dimension(0.01)))
    (expected, dimension), (found, other) = values
    assert_allclose(found, expected, rtol=1e-4)  # coefficients agree to the root of tol
    assert_allclose(other, dimension, rtol=1e-4)


def test_operator_on_the_device():
    d = np.geomspace(1, 100, 600)
    where = on(DEVICE, d)

    def functions(d):
        def product(V):
            return d * V if V.ndim == 1 else d[:, None] * V

        def probe(rng):
            signs = rng.choice([-1.0, 1.0], 600)
            return d**0.5 * (on(DEVICE, signs) if d is where else signs)

        rng = [np.random.default_rng(0) for _ in range(4)]
        density = spectral_density(
            product, 600, rng[0], d, lambda v: v / d, probe, n_probes=2, steps=5
        )
        return [
            *density.nodes,
            *top_eigenvalues(product, 600, rng[1], d, 3),
            condition_number(product, 600, rng[2], d),
            effective_dimension(product, 600, rng[3], d, 1.0, n_probes=2, steps=20),
        ]

    assert_allclose(functions(where), functions(d), rtol=1e-6)
