from pathlib import Path

import numpy as np
import pytest
import torch

from unblur.checkpoints.folder import save_checkpoint
from unblur.models import NAFNetConfig, build
from unblur.photos.photo import Photo
from unblur.photos.writing import write_photo


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Use one thread: on pictures this small more of them only wait for each other, for seconds on a busy machine."""
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


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny network that restores."""
    config = NAFNetConfig(width=8, encoder_blocks=(1,), middle_blocks=1, decoder_blocks=(1,), stem_stride=2)
    folder = tmp_path_factory.mktemp("checkpoint")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_checkpoint(folder, build(config), config, train_patch_px=64, card="A tiny network for tests.\n")
    return folder
