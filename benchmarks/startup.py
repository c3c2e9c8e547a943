"""What the first fit of a process costs beyond the second: imports and compilation.

    python benchmarks/startup.py [--suite smoke] [--libraries promise_learn,skglm]

Each library's first solver fits in fresh processes, the first time with an empty cache
of compiled code (Numba's), then with the cache that it left.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings

from environment import machine
from libraries import adapters
from problems import SUITES, Spec, load

FITS = 3


def startup(specs, libraries):
    """Extra seconds of first fits, on the first problem of each task.

    Parameters
    ----------
    specs : sequence of Spec
    libraries : list of module
        Adapters.

    Yields
    ------
    dict
        Problem, library, solver, seconds with an empty and with a filled cache.
    """
    firsts = {spec.task: spec for spec in reversed(specs)}
    for spec in firsts.values():
        for adapter in libraries:
            library = adapter.__name__.rpartition("bench_")[2]
            with tempfile.TemporaryDirectory() as cache:
                results = [_in_fresh_process(spec, library, cache) for _ in range(2)]
            if None in results:
                continue
            cold, filled = results
            yield {
                "problem": spec.name,
                "library": adapter.name,
                "solver": cold["solver"],
                "empty cache": f"{cold['extra']:.2f}",
                "filled cache": f"{filled['extra']:.2f}",
                "second fit": f"{filled['later']:.3f}",
            }


def _in_fresh_process(spec, library, cache):
    """Result of `_probe` in a process of its own; None where there is no fit."""
    run = subprocess.run(
        [sys.executable, __file__, "--probe", json.dumps([library, vars(spec)])],
        env={**os.environ, "NUMBA_CACHE_DIR": cache},
        capture_output=True,
        text=True,
    )
    if run.returncode:
        print(f"  {library}: {(run.stderr.splitlines() or ['failed'])[-1]}")
        return None
    return json.loads(run.stdout.splitlines()[-1])


def _probe(library, spec):
    """Print as JSON what the first fit took beyond the fastest of the later ones."""
    problem = load(spec)
    (adapter,) = adapters([library])
    entrant = next(iter(adapter.entrants(problem)), None)
    if entrant is None:
        print("null")
        return
    seconds = []
    for _ in range(FITS):
        start = time.perf_counter()
        entrant.fit()
        seconds.append(time.perf_counter() - start)
    later = min(seconds[1:])
    extra = max(seconds[0] - later, 0.0)
    print(json.dumps({"solver": entrant.label, "extra": extra, "later": later}))


def main():
    """Print a row for each library and task."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--suite", choices=SUITES, default="smoke")
    parser.add_argument("--libraries", type=lambda text: text.split(","))
    parser.add_argument("--probe", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.probe:
        warnings.simplefilter("ignore")
        library, spec = json.loads(options.probe)
        _probe(library, Spec(**spec))
        return
    libraries = adapters(options.libraries)
    print(machine(*(adapter.name for adapter in libraries)), "\n")
    for row in startup(SUITES[options.suite], libraries):
        print(", ".join(f"{key}: {value}" for key, value in row.items()), flush=True)


if __name__ == "__main__":
    main()
