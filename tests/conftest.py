"""Settings and files for all tests."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from unblur.photos.files import write_photo
from unblur.photos.photo import Photo

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


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of two small photographs with edges."""
    (tmp_path / "photos").mkdir()
    for number in range(2):
        coarse = np.random.default_rng(number).integers(0, 255, (30, 30, 3), dtype=np.uint8)
        write_photo(Photo(pixels=coarse.repeat(10, 0).repeat(10, 1)), tmp_path / "photos" / f"{number}.png")
    return tmp_path / "photos"
