from pathlib import Path

import numpy as np
import pytest

from unblur.photos.photo import Photo
from unblur.photos.writing import write_photo


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of three small photographs with edges and texture."""
    folder = tmp_path / "photos"
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(3):
        coarse = random.integers(0, 255, (12, 15, 3), dtype=np.uint8)
        pixels = coarse.repeat(10, axis=0).repeat(10, axis=1)
        write_photo(Photo(pixels=pixels), folder / f"{number}.png")
    return folder
