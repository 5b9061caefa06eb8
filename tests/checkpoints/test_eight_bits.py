"""Weights stored in 8 bits: what rounding costs, what files take, and what damage does."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from unblur.checkpoints.eight_bits import SCALE, from_eight_bits, to_eight_bits
from unblur.checkpoints.folder import load_checkpoint, save_checkpoint
from unblur.errors import UnblurError
from unblur.models import PlainUNet, PlainUNetConfig

CONFIG = PlainUNetConfig(channels=(16, 32), blocks=(1, 1))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    save_checkpoint(tmp_path, PlainUNet(CONFIG), CONFIG, train_patch_px=64, card="", dtype=torch.int8)
    return tmp_path


def test_the_error_of_a_weight_is_at_most_half_a_step_of_its_channel() -> None:
    weights = {"weight": torch.randn(8, 4, 3, 3) * torch.logspace(-6, 2, 8)[:, None, None, None], "bias": torch.ones(8)}
    again = from_eight_bits(to_eight_bits(weights))
    error = (again["weight"] - weights["weight"]).abs().flatten(1).amax(dim=1)
    largest = weights["weight"].abs().flatten(1).amax(dim=1)
    assert bool((error <= 1.001 * largest / 254).all())
    assert torch.equal(again["bias"].float(), weights["bias"])


def test_zeros_are_exact_and_quantisation_is_idempotent() -> None:
    weights = {"zeros": torch.zeros(3, 5), "some": torch.randn(3, 5)}
    once = from_eight_bits(to_eight_bits(weights))
    assert not once["zeros"].any()
    assert torch.allclose(from_eight_bits(to_eight_bits(once))["some"], once["some"], atol=1e-7)


def test_a_checkpoint_is_half_as_large_and_restores_alike(folder: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = PlainUNet(CONFIG).eval()
    save_checkpoint(tmp_path / "half", network, CONFIG, train_patch_px=64, card="")
    sizes = [(place / "model.safetensors").stat().st_size for place in (folder, tmp_path / "half")]
    assert sizes[0] < 0.6 * sizes[1]
    blurry = torch.rand(1, 3, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(load_checkpoint(folder).model(blurry), network(blurry), atol=1e-2, rtol=0)


def test_a_missing_scale_is_damage(folder: Path) -> None:
    stored = load_file(folder / "model.safetensors")
    stored.pop(next(name for name in stored if name.endswith(SCALE)))
    save_file(stored, folder / "model.safetensors")
    with pytest.raises(UnblurError, match="damaged"):
        load_checkpoint(folder)
