"""Time and gap of every entrant on one problem, in interleaved rounds."""

import random
import statistics
import time
import warnings
from collections import defaultdict
from dataclasses import dataclass, field

from optimum import minimum

FLOOR = 1e-9  # a solver within this gap is asked for no tighter tolerance
COMPILING = 10.0  # seconds beyond the budget that a first fit may take
SHORT = 0.02  # a fit is repeated for so many seconds, and the fastest counts


@dataclass
class Point:
    """One solver of a library at one tolerance on one problem.

    Attributes
    ----------
    seconds : dict of int to float
        Time of the fit in each round that had it.
    gap : float
        (F - F*) / F*, F evaluated by the problem.
    """

    problem: object
    library: str
    entrant: object
    chosen: str = ""
    value: float = float("inf")
    gap: float = float("inf")
    seconds: dict = field(default_factory=dict)

    @property
    def key(self):
        """What shares a budget: a solver of a library."""
        return self.library, self.entrant.label

    @property
    def default(self):
        """Whether this is a fit at the library's own tolerance."""
        return self.entrant.tolerance is None

    @property
    def median(self):
        """Median seconds over the rounds."""
        return statistics.median(self.seconds.values())

    def run(self, number):
        """Fit once more, as part of a round; seconds that all its fits took."""
        seconds = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            while sum(seconds) < SHORT:
                start = time.perf_counter()
                solution = self.entrant.fit()
                seconds.append(time.perf_counter() - start)
        self.seconds[number] = min(seconds)
        self.chosen = solution.chosen
        self.value = self.problem.objective(solution.coef, solution.intercept)
        return sum(seconds)


def measure(problem, libraries, rounds, budget):
    """Points of all entrants on a problem.

    Round 0 goes from a solver's loosest tolerance to its tightest, until the gap is
    below `FLOOR` or the budget is spent; in the rounds that follow all entrants take
    turns, in random order. Each entrant's first fit, which may compile, is not timed,
    unless it takes far more than the budget.

    Parameters
    ----------
    problem : Problem
    libraries : list of module
        Adapters.
    rounds : int
    budget : float
        Seconds of timed fits that one solver may take on the problem; each has one fit
        at least.

    Returns
    -------
    list of Point
    """
    best = minimum(problem)
    spent = defaultdict(float)
    points = []
    for adapter in libraries:
        points += _sweep(problem, adapter, best, budget, spent)
    rng = random.Random(0)
    for number in range(1, rounds):
        for point in rng.sample(points, len(points)):
            if spent[point.key] + point.median <= budget:
                spent[point.key] += point.run(number)
    best = min([best, *(point.value for point in points)])
    for point in points:
        point.gap = (point.value - best) / abs(best)
    return points


def _sweep(problem, adapter, best, budget, spent):
    """Round 0 of one library."""
    points, over = [], set()
    for entrant in adapter.entrants(problem):
        point = Point(problem, adapter.name, entrant)
        if point.key in over:
            continue
        try:
            if point.run(0) <= budget + COMPILING:
                point.run(0)
        except Exception as error:  # a fit that fails is a result of the library's
            print(f"  {adapter.name} {entrant.label}: {type(error).__name__}: {error}")
            over.add(point.key)
            continue
        points.append(point)
        spent[point.key] += point.median
        reached = point.value - best <= FLOOR * abs(best)
        if reached or spent[point.key] + point.median > budget:
            over.add(point.key)
    return points


def reaching(points, gap):
    """Fastest point of each library within a gap; ours only by its default fit.

    Parameters
    ----------
    points : list of Point
        Of one problem.
    gap : float

    Returns
    -------
    dict of str to Point
        By library; those that did not reach the gap are absent.
    """
    fastest = {}
    for point in sorted(points, key=lambda point: point.median):
        judged = point.default or point.library != "promise-learn"
        if judged and point.gap <= gap:
            fastest.setdefault(point.library, point)
    return fastest


def ratio(ours, peer):
    """Median over common rounds of the peer's seconds over ours."""
    common = ours.seconds.keys() & peer.seconds.keys()
    return statistics.median(peer.seconds[i] / ours.seconds[i] for i in common)
