import pytest

from _shared import FOLDER


@pytest.fixture
def data_folder():
    """Folder of real data; the test is skipped where there is none."""
    if not FOLDER.is_dir():
        pytest.skip(f"PROMISE_LEARN_DATA names no folder ({FOLDER})")
    return FOLDER
