import os

import pytest

from _shared import FOLDER

# test_array_api.py runs these where SciPy's array support is on
collect_ignore = [] if os.environ.get("SCIPY_ARRAY_API") == "1" else ["dispatch"]


@pytest.fixture
def data_folder():
    """Folder of real data; the test is skipped where there is none."""
    if not FOLDER.is_dir():
        pytest.skip(f"PROMISE_LEARN_DATA names no folder ({FOLDER})")
    return FOLDER
