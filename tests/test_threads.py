"""Fits beside other parallelism: same bits, limits kept, no crash and no hang."""

import os
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest
from _cases import half_empty, store
from numpy.testing import assert_array_equal
from threadpoolctl import threadpool_limits

from promise_learn import LogisticRegression, Ridge
from promise_learn.kernels import _threads

N, P = 30_000, 20  # six parts a pass


def run_script(text, **environment):
    """Run a script in a process of its own, warnings as errors."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(text)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def two_cores(monkeypatch):
    """Two threads also on a machine of one core."""
    monkeypatch.setattr(_threads, "cores", lambda: 2)
    monkeypatch.setattr(_threads, "_numba_limit", lambda: 2)


@pytest.mark.parametrize("storage", ["C", "F", "csr_array"])
@pytest.mark.parametrize("make", [Ridge, LogisticRegression])
@pytest.mark.parametrize("solver", ["auto", "newton-cg"])
def test_coefficients_do_not_depend_on_the_number_of_threads(
    make, solver, storage, two_cores
):
    X = half_empty(N, P)
    y = X @ np.ones(P) / 30 + np.random.default_rng(1).standard_normal(N)
    y, data = y if make is Ridge else y > 0, store(X, storage)
    coefs = []
    for limit in (1, 2):
        with threadpool_limits(limit):
            assert _threads.thread_limit() == limit
            model = make(solver=solver, random_state=0).fit(data, y)
        coefs.append(np.append(model.coef_, model.intercept_))
    assert_array_equal(*coefs)


@pytest.mark.parametrize("user_api", ["blas", "openmp"])
def test_a_limit_of_threadpoolctl_holds_for_passes(user_api, two_cores):
    def task(k, lo, hi):
        time.sleep(0.01)  # or one thread has done all before another begins
        return threading.get_ident()

    def threads():
        return set(_threads.run(task, [(0, 1)] * 8))

    with threadpool_limits(2):
        assert len(threads()) == 2
        with threadpool_limits(1, user_api=user_api):
            assert threads() == {threading.get_ident()}


SCRIPT = """
    import multiprocessing
    import warnings

    import numba
    import numpy as np
    from joblib import Parallel, delayed, parallel_config
    from numpy.testing import assert_array_equal
    from sklearn.model_selection import GridSearchCV

    from promise_learn import LogisticRegression
    from promise_learn.kernels import _threads

    X = np.sin(np.arange(30_000 * 20.0)).reshape(30_000, 20)
    y = X @ np.ones(20) + np.cos(np.arange(30_000.0) ** 2) > 0
    penalties = [1e-3, 1.0]

    def fit(C):
        return LogisticRegression(C, random_state=0).fit(X, y).coef_

    def search(n_jobs):
        model, grid = LogisticRegression(random_state=0), {"C": penalties}
        return GridSearchCV(model, grid, cv=2, n_jobs=n_jobs).fit(X, y)

    reference, serial = [fit(C) for C in penalties], search(1)

    # fits have started no layer of Numba's; start it as other code would
    try:
        raise AssertionError(numba.threading_layer())
    except ValueError:
        numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)

    parallel = search(2)
    assert_array_equal(parallel.best_estimator_.coef_, serial.best_estimator_.coef_)
    scores = [each.cv_results_["mean_test_score"] for each in (parallel, serial)]
    assert_array_equal(*scores)

    threads = Parallel(2, "threading")(delayed(fit)(C) for C in penalties)
    assert_array_equal(threads, reference)

    with parallel_config("loky", inner_max_num_threads=1):
        assert Parallel(2)([delayed(_threads.thread_limit)()] * 4) == [1] * 4
"""

FORK = """
    _threads.thread_limit = lambda: 2  # threads also on a machine of one core
    assert_array_equal(fit(1.0), reference[1])
    warnings.simplefilter("ignore")  # Python >= 3.12 warns of any fork with threads
    with multiprocessing.get_context("fork").Pool(1) as pool:
        result = pool.apply_async(fit, (1.0,)).get(timeout=60)
    assert_array_equal(result, reference[1])
"""


@pytest.mark.parametrize(
    "layer",
    [
        pytest.param(
            "omp",
            marks=pytest.mark.skipif(
                sys.platform == "darwin", reason="OpenMP does not come with macOS"
            ),
        ),
        "workqueue",
    ],
)
def test_searches_threads_and_forks_give_the_same_bits(layer):
    forks = sys.platform == "linux"  # macOS libraries do not survive a fork
    run_script(SCRIPT + FORK * forks, NUMBA_THREADING_LAYER=layer)


def test_serial_blas_gives_the_limits_back_to_threads_that_overlap():
    from concurrent.futures import ThreadPoolExecutor

    from promise_learn.kernels._threads import _controller, serial_blas

    def limits():
        return [library.num_threads for library in _controller().lib_controllers]

    def turn(_):
        with serial_blas():
            return max(
                library.num_threads
                for library in _controller().lib_controllers
                if library.user_api == "blas"
            )

    before = limits()
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(turn, range(40))) == {1}
    assert limits() == before


def test_a_thread_that_is_held_up_leaves_the_parts_to_the_others(monkeypatch):
    monkeypatch.setattr(_threads, "thread_limit", lambda: 2)
    here, most, done = threading.current_thread(), threading.Event(), []

    def task(k, lo, hi):
        if threading.current_thread() is not here:
            return most.wait(timeout=60)
        time.sleep(0.01)  # so that the other thread gets a part
        done.append(k)
        if len(done) == 6:
            most.set()
        return True

    assert all(_threads.run(task, [(k, k + 1) for k in range(8)]))
    assert len(done) >= 6


def test_a_thread_that_has_not_begun_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(_threads, "thread_limit", lambda: 2)
    free = threading.Event()
    held = [_threads._pool().submit(free.wait, 60) for _ in range(_threads.MAX_PARTS)]
    try:
        results = _threads.run(lambda k, lo, hi: lo, [(k, k + 1) for k in range(8)])
        assert results == list(range(8))
        assert not any(thread.done() for thread in held)
    finally:
        free.set()


@pytest.mark.parametrize("fails_here", [True, False])
def test_nothing_runs_on_after_an_error(fails_here, monkeypatch):
    monkeypatch.setattr(_threads, "thread_limit", lambda: 2)
    here, other_began, running = threading.current_thread(), threading.Event(), []

    def task(k, lo, hi):
        running.append(k)
        try:
            if threading.current_thread() is not here:
                other_began.set()
            assert other_began.wait(60)
            time.sleep(0.01)
            if fails_here == (threading.current_thread() is here):
                raise ArithmeticError("in one part")
        finally:
            running.remove(k)

    with pytest.raises(ArithmeticError, match="in one part"):
        _threads.run(task, [(k, k + 1) for k in range(16)])
    assert not running
    time.sleep(0.05)
    assert not running
