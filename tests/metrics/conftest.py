"""A real blurry photograph and its sharp twin, for the metrics that need more than a few pixels."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def read(name: str) -> Tensor:
    pixels = np.array(Image.open(EXAMPLES / name).convert("RGB"))
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].double() / 255


@pytest.fixture(scope="session")
def blurry() -> Tensor:
    """(1, 3, 448, 640) float64, exact multiples of 1/255."""
    return read("reds_blurry.png")


@pytest.fixture(scope="session")
def sharp() -> Tensor:
    return read("reds_sharp.png")
