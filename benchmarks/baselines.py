"""Deterministic first-order methods and BFGS, as the talk's tables benchmark them.

Every method is a function of ``fun(x) -> (value, gradient)``, a start x0 and a
smoothness constant L. It stops when the largest entry of the gradient is below ``tol``,
or after ``budget`` gradient evaluations, and returns a `Run`. Values of f are free.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import optimize

EPSILON = 1e-8  # of Adam and AdaGrad
LARGEST_MOMENTUM = 0.9995


@dataclass
class Run:
    """Outcome: last point, largest entry of its gradient, evaluations, and verdict."""

    x: np.ndarray
    residual: float
    evaluations: int
    solved: bool


class Oracle:
    """Function that counts its evaluations, and knows when a run is over."""

    def __init__(self, fun, tol, budget):
        self.fun, self.tol, self.budget, self.count = fun, tol, budget, 0

    def __call__(self, x):
        self.count += 1
        return self.fun(x)

    def over(self, g):
        """Whether the gradient is small, useless, or the last one."""
        size = np.abs(g).max()
        return not (self.tol <= size < np.inf) or self.count >= self.budget

    def run(self, x, g):
        """`Run` that ends at x."""
        size = float(np.abs(g).max())
        return Run(x, size, self.count, size < self.tol and self.count < self.budget)


def gradient_descent(fun, x0, L, *, tol=1e-4, budget=1000):
    """x <- x - g / L."""
    return heavy_ball(fun, x0, L, 0.0, tol=tol, budget=budget)


def heavy_ball(fun, x0, L, beta, *, tol=1e-4, budget=1000):
    """Polyak's momentum: v <- beta v + g / L, x <- x - v."""
    oracle, x, v = Oracle(fun, tol, budget), x0, 0 * x0
    while True:
        _, g = oracle(x)
        if oracle.over(g):
            return oracle.run(x, g)
        v = beta * v + g / L
        x = x - v


def accelerated(fun, x0, L, momentum, *, tol=1e-4, budget=1000):
    """Nesterov's method: y = x + beta_k (x - x_old), x <- y - grad(y) / L.

    ``momentum`` generates the beta_k. The gradient at x that the stopping rule looks at
    is free, as in the published benchmark: only those at y are counted.
    """
    oracle, x, old = Oracle(fun, tol, budget), x0, x0
    for beta in momentum():
        _, g = fun(x)
        if oracle.over(g):
            return oracle.run(x, g)
        y = x + beta * (x - old)
        x, old = y - oracle(y)[1] / L, x
    raise ValueError("momentum must not end: yield a beta for every iteration")


def agd_convex(fun, x0, L, *, tol=1e-4, budget=1000):
    """Accelerated gradient for convex functions, FISTA's momentum."""

    def momentum():
        weight = 1.0
        while True:
            following = (1 + (1 + 4 * weight**2) ** 0.5) / 2
            yield (weight - 1) / following
            weight = following

    return accelerated(fun, x0, L, momentum, tol=tol, budget=budget)


def agd_strongly_convex(fun, x0, L, m=1e-4, *, tol=1e-4, budget=1000):
    """Accelerated gradient with the constant momentum of convexity m."""

    def momentum():
        while True:
            yield (L**0.5 - m**0.5) / (L**0.5 + m**0.5)

    return accelerated(fun, x0, L, momentum, tol=tol, budget=budget)


def adam(fun, x0, L, rate, beta=(0.9, 0.999), *, tol=1e-4, budget=1000):
    """Adam (Kingma and Ba, 2015) with full gradients."""
    oracle, x, first, second, k = Oracle(fun, tol, budget), x0, 0 * x0, 0 * x0, 0
    while True:
        _, g = oracle(x)
        if oracle.over(g):
            return oracle.run(x, g)
        k += 1
        first = beta[0] * first + (1 - beta[0]) * g
        second = beta[1] * second + (1 - beta[1]) * g * g
        scale = np.sqrt(second / (1 - beta[1] ** k)) + EPSILON
        x = x - rate * first / (1 - beta[0] ** k) / scale


def adagrad(fun, x0, L, rate, *, tol=1e-4, budget=1000):
    """AdaGrad (Duchi, Hazan and Singer, 2011), diagonal, with full gradients."""
    oracle, x, past = Oracle(fun, tol, budget), x0, 0 * x0
    while True:
        _, g = oracle(x)
        if oracle.over(g):
            return oracle.run(x, g)
        past = past + g * g
        x = x - rate * g / (np.sqrt(past) + EPSILON)


def osgm_tuned(fun, x0, L, rate, momentum_rate, *, tol=1e-4, budget=1000):
    """HDM-best as released with the OSGM papers: diagonal scaling, heavy-ball momentum.

    Both are learned by AdaGrad on hypergradients, steps that raise f are null steps,
    and L is estimated anew from the path after a while. ``rate`` is in units of 1 / L.
    """
    oracle, x, old = Oracle(fun, tol, budget), x0, x0
    f, g = oracle(x)
    P, past, beta, past_beta = 0 * x, 0 * x, 0.95, 0.0
    lr, guessed, monotone, seen, k = rate / L, False, 0, [], 0
    floor = 1e-3 * lr
    while not oracle.over(g):
        k += 1
        change = x - old
        trial = x - P * g + beta * change
        ft, gt = oracle(trial)
        extra = 0.25 * (change @ change) * L**2 if guessed else 1e-12
        size = g @ g + extra
        q = -gt * g / size
        past = past + q * q
        P = np.clip(P - lr * q / (np.sqrt(past) + 1e-12), 0, 1e10 / L)
        m = gt @ change / size
        past_beta += m * m
        beta -= momentum_rate * m / (past_beta**0.5 + 1e-12)
        beta = min(max(beta, 0.0), LARGEST_MOMENTUM)
        if k % 50 == 0 and not guessed:
            lr = max(0.8 * lr, floor)
        old = x
        if ft < f:
            length = np.linalg.norm(trial - x)
            if length > 1e-3:
                seen.append(np.linalg.norm(gt - g) / length)
            x, f, g, monotone = trial, ft, gt, monotone + 1
        else:
            monotone = max(0, monotone - 2)
        if monotone > max(min(budget / 4, 200), 20) and not guessed and seen:
            L, guessed, past = float(np.mean(seen)), True, 0 * x
            lr = 1 / L
    return oracle.run(x, g)


def lbfgs(fun, x0, L, memory=10, *, tol=1e-4, budget=1000):
    """L-BFGS-B of SciPy without bounds; L is not used."""
    options = {
        "maxcor": memory,
        "ftol": 1e-25,
        "gtol": tol,
        "maxiter": budget - 1,
        "maxfun": 10 * budget,
    }
    return _scipy(fun, x0, "L-BFGS-B", options, tol, budget)


def bfgs(fun, x0, L, *, tol=1e-4, budget=1000):
    """BFGS of SciPy; L is not used."""
    options = {"gtol": tol, "maxiter": budget - 1}
    return _scipy(fun, x0, "BFGS", options, tol, budget)


def _scipy(fun, x0, method, options, tol, budget):
    oracle = Oracle(fun, tol, budget)
    with np.errstate(all="ignore"):
        found = optimize.minimize(oracle, x0, jac=True, method=method, options=options)
    return oracle.run(found.x, found.jac)


def _grid(method, **values):
    """Settings of a method: one partial function for each combination."""
    settings = [{}]
    for name, choices in values.items():
        settings = [{**known, name: v} for known in settings for v in choices]
    return [partial(method, **known) for known in settings]


def published_grids(L):
    """Twelve methods by the name that the talk's table gives them, with their grids."""
    rates = [1e-3, 1e-2, 1e-1, 1.0, 10.0, 1 / L]
    memories = {f"L-BFGS-M{m}": _grid(lbfgs, memory=[m]) for m in (1, 3, 5, 10)}
    tuned = {"rate": [0.1, 1, 10, 100], "momentum_rate": [1, 3, 5, 10, 100]}
    return {
        "GD": _grid(gradient_descent),
        "GD-HB": _grid(heavy_ball, beta=[0.1, 0.5, 0.9, 0.99]),
        "AGD-CVX": _grid(agd_convex),
        "AGD-SCVX": _grid(agd_strongly_convex),
        "Adam": _grid(adam, rate=rates),
        "AdaGrad": _grid(adagrad, rate=rates),
        **memories,
        "BFGS": _grid(bfgs),
        "OSGM (tuned)": _grid(osgm_tuned, **tuned),
    }
