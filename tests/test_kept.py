"""A preconditioner is kept while it pays, and a row sample for what it is worth."""

import numpy as np
import pytest

from promise_learn.design import Design
from promise_learn.linalg.cg import Iterate
from promise_learn.losses import Logistic
from promise_learn.objective import Objective
from promise_learn.solvers import sketch
from promise_learn.solvers._kept import KeptInverse

N, P = 30_000, 400


@pytest.fixture
def kept(monkeypatch):
    """A `KeptInverse`, a point to build it at, and the sizes of its samples."""
    sizes, original = [], sketch.sampled_factor

    def watched(point, size, rng):
        sizes.append(size)
        return original(point, size, rng)

    monkeypatch.setattr(sketch, "sampled_factor", watched)
    rng = np.random.default_rng(0)
    design = Design(rng.standard_normal((N, P)))
    weights, penalty = np.full(N, 1 / N), np.full(P, 1e-3)
    y = rng.choice([-1.0, 1.0], N)
    f = Objective(design, y, Logistic(), weights, penalty, (P,))
    return KeptInverse("auto", f, 500, rng), f.expand(f.zeros()), sizes


def last(iteration, gap=1e-2, smallest=0.5):
    return Iterate(None, None, gap, 1.0, iteration, smallest)


def test_a_sample_that_keeps_its_promise_stays(kept):
    inverse, point, sizes = kept
    passes = inverse.renewed(point)
    assert 1 < passes < point.objective.design.rows.gram_cost
    inverse.judge(last(2, gap=1e-4), True)
    assert inverse.renewed(point) == 0.0
    inverse.judge(last(2 + int(passes)), True)  # what a new one would cost
    assert inverse.renewed(point) == 0.0
    inverse.judge(last(3 + int(passes)), True)
    assert inverse.renewed(point) > 0
    assert sizes[0] == sizes[1] < N
    assert inverse.count == 2


def test_a_slow_sample_is_followed_by_a_larger_one(kept):
    inverse, point, sizes = kept
    inverse.renewed(point)
    inverse.judge(last(60), True)
    inverse.renewed(point)
    assert sizes[1] > 2 * sizes[0]


def test_an_unfinished_system_measures_nothing(kept):
    inverse, point, sizes = kept
    inverse.renewed(point)
    inverse.judge(last(60), False)
    assert inverse.renewed(point) == 0.0
    assert len(sizes) == 1


def test_the_smallest_ritz_value_is_kept(kept):
    inverse, point, _ = kept
    inverse.renewed(point)
    assert inverse.smallest == 1.0
    inverse.judge(last(2, smallest=0.2), True)
    assert inverse.smallest == 0.2
