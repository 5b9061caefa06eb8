"""A tiny checkpoint on disk, and photographs to try it on."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from unblur.checkpoints.folder import save_checkpoint
from unblur.models import NAFNetConfig, build


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Use one thread: with pictures this small more threads only wait for each other."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a folder with a network that changes a photograph visibly."""
    config = NAFNetConfig(width=8, encoder_blocks=(1,), middle_blocks=1, decoder_blocks=(1,), stem_stride=2)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build(config)
        # A fresh network is the identity.
        network.get_submodule("ending").reset_parameters()
    folder = tmp_path_factory.mktemp("checkpoint")
    save_checkpoint(folder, network, config, train_patch_px=64, card="A tiny network for tests.\n")
    return folder


@pytest.fixture
def make_photo() -> Callable[..., Path]:
    """Write a photograph and return its path; folders are made as needed."""

    def make(path: Path, height: int = 40, width: int = 60) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
        Image.fromarray(pixels).save(path)
        return path

    return make
