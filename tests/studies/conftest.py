from pathlib import Path

import numpy as np
import pytest
import torch

from unblur.photos.files import write_photo
from unblur.photos.photo import Photo


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """On pictures this small more threads only wait for each other, for seconds where the machine is busy."""
    torch.set_num_threads(1)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """A folder of ten small pairs in blurry/ and sharp/."""
    for number in range(10):
        sharp = np.random.default_rng(number).integers(0, 255, (40, 48, 3), dtype=np.uint8)
        blurry = (sharp // 2 + np.roll(sharp, 1, axis=1) // 2).astype(np.uint8)
        for side, pixels in (("blurry", blurry), ("sharp", sharp)):
            (tmp_path / "real" / side).mkdir(parents=True, exist_ok=True)
            write_photo(Photo(pixels=pixels), tmp_path / "real" / side / f"{number}.png")
    return tmp_path / "real"
