"""Fixed row partitions run by plain threads.

Kernels release the GIL, so Python threads run them side by side without any Numba
threading layer: nothing to lock under joblib's threads, nothing left behind by a fork.
The partition depends on the data alone and partial sums are added in order, so results
do not depend on the number of threads.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from itertools import count, pairwise
from threading import Lock

import numpy as np

MAX_PARTS = 16
WORK_PER_PART = 1_000_000
# what OpenBLAS calls the machines without longer vectors
SHORT_VECTORS = {"Haswell", "Zen", "Sandybridge", "Bulldozer", "Nehalem"}


@lru_cache(maxsize=1)
def cores():
    from joblib import cpu_count  # knows the quotas of containers

    return cpu_count()


@lru_cache(maxsize=1)
def _controller():
    import scipy.linalg  # noqa: F401  has a BLAS of its own, to be found
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _libraries():
    return _controller().lib_controllers


@lru_cache(maxsize=1)
def blas_has_short_vectors():
    """Whether a BLAS is in use that is known to have vectors of 256 bits or less."""
    names = {getattr(library, "architecture", None) for library in _libraries()}
    return bool(names & SHORT_VECTORS)


def _numba_limit():
    import numba

    try:
        numba.threading_layer()
    except (
        ValueError
    ):  # none started: nobody has set a limit, and asking would start it
        return numba.config.NUMBA_NUM_THREADS
    return numba.get_num_threads()


def thread_limit():
    """Threads that the cores, Numba, BLAS and OpenMP (threadpoolctl) allow now."""
    limits = [library.num_threads for library in _libraries()]
    return min(filter(None, [cores(), _numba_limit(), *limits]))


@lru_cache(maxsize=1)
def _pool():
    return ThreadPoolExecutor(max_workers=MAX_PARTS, thread_name_prefix="promise")


@lru_cache(maxsize=1)
def _turn():
    return Lock()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    for state in (_pool, _turn):
        os.register_at_fork(after_in_child=state.cache_clear)


@contextmanager
def serial_blas():
    """BLAS in one thread, for calls that wait for their other threads many times.

    Each wait takes a time slice, not a microsecond, where another process has the core:
    a Cholesky factor of order 500 half a second instead of two milliseconds. Whoever
    asks takes turns, since the limit is one for the whole process.
    """
    with _turn(), _controller().limit(limits=1, user_api="blas"):
        yield


def partition(boundaries, work, width, most=MAX_PARTS):
    """Row ranges of about equal work; few when a private accumulator would be costly.

    Their number is a power of two: three parts in two threads take as long as four.

    Parameters
    ----------
    boundaries : callable
        Maps a number of parts to a list of the increasing row numbers that separate
        them.
    work : int
        Multiply-adds of one pass.
    width : int
        Length of a part's private accumulator.
    most : int, optional
        Parts at the most.
    """
    worth = min(work // WORK_PER_PART, work // (16 * max(width, 1)), most, MAX_PARTS)
    parts = 1 << (max(int(worth), 1).bit_length() - 1)
    return list(pairwise(boundaries(parts)))


def evenly(lo, hi, parts):
    """Bounds of equal parts of the rows lo:hi."""
    return [lo + (hi - lo) * k // parts for k in range(parts + 1)]


def run(task, ranges, blas=False):
    """Call ``task(k, lo, hi)`` for every range, in threads; results in order.

    A thread takes the next range when it is free, and one that has not begun when none
    are left is not waited for: its core may be taken, by the threads of a BLAS that
    still spin after their last product.

    A task that calls BLAS says so: it gets BLAS in one thread, whatever the number of
    ranges, so that the same sums come out.
    """
    if len(ranges) == 1 and not blas:
        return [task(0, *ranges[0])]
    results, take = [None] * len(ranges), count().__next__
    threads = min(thread_limit(), len(ranges)) if len(ranges) > 1 else 1

    def share():
        while (k := take()) < len(ranges):
            results[k] = task(k, *ranges[k])

    with serial_blas() if blas else nullcontext():
        others = [_pool().submit(share) for _ in range(1, threads)]
        try:
            share()
        finally:  # after an error nothing more begins, and nothing runs on
            for _ in ranges:
                take()
            errors = [other.exception() for other in others if not other.cancel()]
    for error in filter(None, errors):
        raise error
    return results


def accumulate(kernel, ranges, shape, dtype=np.float64):
    """Run ``kernel(lo, hi, accumulator)`` over the ranges.

    Returns the sum of the accumulators and the sum of the kernel's results.
    """
    private = np.zeros((len(ranges), *shape), dtype)
    totals = run(lambda k, lo, hi: kernel(lo, hi, private[k]), ranges)
    return (private[0] if len(ranges) == 1 else private.sum(axis=0)), sum(totals)
