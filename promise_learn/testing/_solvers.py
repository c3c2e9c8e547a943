"""What every solver must do."""

from itertools import product

import numpy as np
from numpy.testing import assert_array_equal
from sklearn.base import clone

from ._reference import DenseProblem, design_matrix

TASKS = (
    "ridge",
    "ridge, 3 targets",
    "ridge, alpha a target",
    "logistic",
    "multinomial",
    "squared hinge",
    "huber",
    "poisson",
)
STORAGES = ("dense", "csr")
SHAPES = ("n > p", "n < p")

SOLVER_CASES = tuple(product(TASKS, STORAGES, SHAPES))
"""Every (task, storage, shape) that `solver_case` builds."""

COLUMNS = ("passes", "seconds", "objective", "gap", "step_size", "refreshes")


def solver_case(task, storage, shape, seed=0):
    """Small problem with an intercept, columns of scales 1 to 30, and its reference.

    Parameters
    ----------
    task : {"ridge", "ridge, 3 targets", "ridge, alpha a target", "logistic", \
            "multinomial", "squared hinge", "huber", "poisson"}
    storage : {"dense", "csr"}
        Dense rows are centred.
    shape : {"n > p", "n < p"}
        300 x 20 or 40 x 60.
    seed : int

    Returns
    -------
    Objective
    DenseProblem
    """
    from scipy import sparse

    n, p = (300, 20) if shape == "n > p" else (40, 60)
    rng = np.random.default_rng(seed)
    X = (
        rng.standard_normal((n, p))
        * (rng.random((n, p)) < 0.5)
        * np.geomspace(1, 30, p)
    )
    K = 3 if task == "multinomial" or "target" in task else 1
    scores = (X / np.linalg.norm(X)) @ rng.standard_normal((p, K)) * n**0.5
    noisy = scores + 0.5 * rng.standard_normal((n, K)) + 1.0
    loss, y, columns = _targets(task, noisy)
    s = rng.uniform(0.5, 2.0, n)
    penalty = np.append(np.full(p, 1.0), 0.0) / s.sum()
    if task == "ridge, alpha a target":
        penalty = penalty[:, None] * np.array([0.1, 1.0, 10.0])
    s /= s.sum()
    shift = s @ X if storage == "dense" else None
    Z = design_matrix(X, shift, intercept=True)
    reference = DenseProblem(Z, y, loss, s, penalty, (p + 1, *columns))
    X = sparse.csr_array(X) if storage == "csr" else X
    return reference.objective(X, shift=shift, intercept=True), reference


def _targets(task, noisy):
    """Name of the loss, targets as it takes them, and trailing shape of w."""
    one = noisy[:, 0]
    if task in ("logistic", "squared hinge"):
        return task.replace(" ", "_"), np.where(one > 0.5, 1.0, -1.0), ()
    if task == "multinomial":
        return task, np.argmax(noisy, axis=1).astype(float), (3,)
    if task == "poisson":
        return task, np.floor(np.exp(one)), ()
    if task == "huber":
        return task, np.where(np.abs(one - 1) < 1, one, 5 * one), ()
    return (
        ("squared_error", one, ())
        if task == "ridge"
        else ("squared_error", noisy, (3,))
    )


def check_solver(solver, cases=SOLVER_CASES, tol=1e-9, max_iter=None):
    """Check that a solver keeps the contract.

    On every case it either refuses in ``check`` with a ValueError, or converges and
    then truly is within ``10 * tol`` of the minimum, keeps its parameters, the start
    and the data unchanged, writes a history whose passes and seconds only grow, repeats
    itself from the same generator, and started at its own solution stops within two
    iterations.

    Parameters
    ----------
    solver : Solver
    cases : sequence of (task, storage, shape)
        Arguments of `solver_case`.
    tol : float, default=1e-9
        Relative suboptimality asked for.
    max_iter : int, optional
        Iterations allowed; the solver's own limit by default.

    Raises
    ------
    AssertionError
        If a property fails.

    Examples
    --------
    >>> from promise_learn.solvers import NewtonCholesky
    >>> from promise_learn.testing import check_solver
    >>> check_solver(NewtonCholesky())
    """
    for case in cases:
        f, reference = solver_case(*case)
        if not _refuses(solver, f):
            label = f"{solver!r} on {', '.join(case)}"
            _check_run(solver, f, reference, tol, max_iter, label)


def _refuses(solver, f):
    try:
        solver.check(f)
    except ValueError as error:
        advice = str(error)
    else:
        return False
    assert len(advice) > 40, f"{solver!r} refuses without advice: {advice}"
    return True


def _check_run(solver, f, reference, tol, max_iter, label):
    from ..solvers import Status, minimize

    before, y = clone(solver).get_params(), f.y.copy()
    start = f.zeros()

    def run(w0, seed=0):
        rng = np.random.default_rng(seed)
        return minimize(f, solver, w0, tol=tol, max_iter=max_iter, rng=rng)

    result = run(start)
    assert result.status is Status.CONVERGED, f"{label}: {result.status}, {result.gap}"
    gap = reference.gap(result.w)
    assert gap <= 10 * tol, f"{label}: reports {result.gap:.1e}, truly {gap:.1e}"
    assert result.w.shape == f.shape, f"{label}: w has shape {result.w.shape}"
    assert not start.any(), f"{label}: the start was changed"
    assert_array_equal(f.y, y, err_msg=f"{label}: y was changed")
    assert str(solver.get_params()) == str(before), f"{label}: parameters were changed"
    _check_history(result, label)
    again = run(None)
    message = f"{label}: same generator, another result"
    assert_array_equal(again.w, result.w, err_msg=message)
    refit = run(result.w, seed=1)
    assert refit.status is Status.CONVERGED, f"{label}: refit {refit.status}"
    assert refit.n_iter <= 2, f"{label}: refit took {refit.n_iter} iterations"


def _check_history(result, label):
    history = result.history
    assert tuple(history) == COLUMNS, f"{label}: history has {tuple(history)}"
    assert len({len(column) for column in history.values()}) == 1, f"{label}: ragged"
    for name in ("passes", "seconds", "refreshes"):
        assert (np.diff(history[name]) >= 0).all(), f"{label}: {name} decrease"
    assert result.n_passes == history["passes"][-1], f"{label}: n_passes"
