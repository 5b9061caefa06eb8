"""Settings and files for all tests."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes says nothing about whether it is right, least of all on a busy machine.
settings.register_profile("unblur", deadline=None)
settings.load_profile("unblur")

WEIGHTS = Path(os.environ.get("UNBLUR_TEST_WEIGHTS", Path(__file__).parents[2] / "shared" / "weights"))
"""Where weights lie that others published and that are no part of the repository, if anywhere."""


@pytest.fixture(scope="session")
def published() -> Callable[[str], Path]:
    """The file of that name, or the test is skipped."""

    def find(name: str) -> Path:
        if not (WEIGHTS / name).is_file():
            pytest.skip(f"needs {name}, which is not in the repository; UNBLUR_TEST_WEIGHTS may name its folder")
        return WEIGHTS / name

    return find
