"""Array namespaces under scikit-learn's dispatch, in processes of their own.

SciPy reads SCIPY_ARRAY_API when it is imported, so the tests in ``dispatch`` run where
it is set: by the test below, or directly, by

    SCIPY_ARRAY_API=1 python -m pytest tests/dispatch
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FILES = sorted(Path(__file__).parent.glob("dispatch/test_*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_under_dispatch(file):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", file],
        env=environment | {"SCIPY_ARRAY_API": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-10_000:] + run.stderr[-2_000:]
    assert " passed" in run.stdout
