"""Machine, versions, threads and date: the line that goes with every number."""

import datetime
import os
import platform
from importlib import metadata
from pathlib import Path

import joblib

BASE = ("promise-learn", "numpy", "scipy", "numba")


def threads():
    """Threads that a fit may use: OMP_NUM_THREADS, else the usable cores."""
    return int(os.environ.get("OMP_NUM_THREADS") or joblib.cpu_count())


def processor():
    """Model of the processor, or its family where the system does not say."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.split(":")[1].strip() for line in lines if "model name" in line]
    return models[0] if models else platform.processor() or platform.machine()


def machine(*distributions):
    """One line: processor, threads, versions, date.

    Parameters
    ----------
    *distributions : str
        Distributions to name besides this package and what it stands on.

    Returns
    -------
    str
    """
    versions = ", ".join(
        f"{name} {metadata.version(name)}"
        for name in dict.fromkeys((*BASE, "scikit-learn", *distributions))
    )
    return (
        f"{processor()}, {joblib.cpu_count()} cores, {threads()} threads, "
        f"Python {platform.python_version()}, {versions}, {datetime.date.today()}"
    )
