"""Settings and files for all tests."""

import os

# Tests run beside each other: more threads of each would only wait. Before PyTorch is loaded, which asks once.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import settings
from numpy.typing import NDArray

from unblur.photos.photo import Photo
from unblur.photos.writing import write_photo

if TYPE_CHECKING:
    from unblur.models import GlowDeblur, LatentDecoder
    from unblur.restoration.shake import Shake

# How long an example takes says nothing about whether it is right, least of all on a busy machine.
settings.register_profile("unblur", deadline=None)
settings.load_profile("unblur")

WEIGHTS = Path(os.environ.get("UNBLUR_TEST_WEIGHTS", Path(__file__).parents[2] / "shared" / "weights"))
"""Folder of weights that others published and that are not part of the repository; it need not exist."""


@pytest.fixture(autouse=True)
def same_numbers() -> None:
    """Networks begin alike in every test, whatever ran before it in the same process."""
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests read what they wrote from memory; tests/photos/test_files.py proves that files are synchronised."""
    monkeypatch.setattr(os, "fsync", lambda _handle: None)


_SHAKES: "dict[tuple[tuple[int, ...], bytes], Shake]" = {}


@pytest.fixture
def remembered_shakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Estimate the shake of every photograph once in all tests with this fixture, which use the bundled networks.

    The estimate takes most of the time of restoring a small photograph, and depends on its pixels alone.
    """
    from unblur.restoration.shake import ShakeEstimator

    estimate = ShakeEstimator.estimate

    def remember(
        self: ShakeEstimator, pixels: NDArray[Any], progress: Callable[[float], None] | None = None
    ) -> "Shake":
        key = pixels.shape, pixels.tobytes()
        if key not in _SHAKES:
            _SHAKES[key] = estimate(self, pixels, progress)
        return _SHAKES[key]

    monkeypatch.setattr(ShakeEstimator, "estimate", remember)


@pytest.fixture(scope="session")
def published() -> Callable[[str], Path]:
    """The file of that name, or the test is skipped."""

    def find(name: str) -> Path:
        if not (WEIGHTS / name).is_file():
            pytest.skip(f"needs {name}, which is not in the repository; UNBLUR_TEST_WEIGHTS may name its folder")
        return WEIGHTS / name

    return find


@pytest.fixture(scope="session")
def write_two_photos() -> Callable[[Path], None]:
    """Write two small photographs with edges into a folder, which is made."""

    def write(folder: Path) -> None:
        folder.mkdir()
        for number in range(2):
            coarse = np.random.default_rng(number).integers(0, 255, (30, 30, 3), dtype=np.uint8)
            write_photo(Photo(pixels=coarse.repeat(10, 0).repeat(10, 1)), folder / f"{number}.png")

    return write


@pytest.fixture
def photos(tmp_path: Path, write_two_photos: Callable[[Path], None]) -> Path:
    """A folder of two small photographs with edges."""
    write_two_photos(tmp_path / "photos")
    return tmp_path / "photos"


@pytest.fixture(scope="session")
def tiny_glow() -> "GlowDeblur":
    """GLOWDeblur with four latents and random weights, whose answers stay near a photograph in grey tones."""
    from tiny_networks import GLOW

    from unblur.models import GlowDeblur

    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        network = GlowDeblur(GLOW)
        for name, parameter in network.named_parameters():
            # Training begins with zeros, which are silent.
            if parameter.abs().max() == 0 or "tokens.norm" in name:
                parameter.normal_(0, 0.01 if "nafnet.ending" in name else 0.1)
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def tiny_decoder() -> "LatentDecoder":
    """A decoder of four latents with random weights, which paints grey with a little detail."""
    from tiny_networks import LATENTS

    from unblur.models import LatentDecoder, LatentDecoderConfig

    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        config = LatentDecoderConfig(latent_channels=LATENTS, channels=(16, 16, 16, 8, 8), blocks=(1, 1, 1, 1, 1))
        decoder = LatentDecoder(config)
        decoder.ending.weight.normal_(0, 0.003)
    return decoder.eval().requires_grad_(False)
