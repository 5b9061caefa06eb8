"""The plain U-Net against counts by hand and an independent formula for its block."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate

from unblur.checkpoints.folder import load_checkpoint, save_checkpoint
from unblur.models import PlainUNet, PlainUNetConfig, build
from unblur.models.operations import count_macs
from unblur.models.plain_unet import PlainBlock

TINY = PlainUNetConfig(channels=(8, 16, 24), blocks=(1, 2, 1), stem_stride=2)


def awake(model: torch.nn.Module) -> torch.nn.Module:
    """The last convolution begins at 0, which hides all others; give everything seeded values."""
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.2
    return model


def test_macs_by_hand() -> None:
    # Channels, blocks and pixels of each level, for a picture of 64 x 64.
    first, second, third = (8, 1, 32**2), (16, 2, 16**2), (24, 1, 8**2)
    by_hand = 9 * 12 * 8 * 32**2 * 2
    for (channels, blocks, pixels), sides in ((first, 2), (second, 2), (third, 1)):
        by_hand += sides * blocks * 2 * 9 * channels**2 * pixels
    for (fine, _, _), (coarse, _, coarse_pixels) in ((first, second), (second, third)):
        by_hand += (4 + 1) * fine * coarse * coarse_pixels
    assert count_macs(lambda: PlainUNet(TINY)(torch.zeros(1, 3, 64, 64))) == by_hand


def test_block_equals_the_formula() -> None:
    block = awake(PlainBlock(5)).double()
    x = torch.randn(1, 5, 9, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    weights = {name: value.detach().numpy() for name, value in block.state_dict().items()}

    def convolved(y: np.ndarray, name: str) -> np.ndarray:
        kernels, biases = weights[f"{name}.weight"], weights[f"{name}.bias"]
        return np.stack(
            [
                sum(correlate(p, k, mode="constant") for p, k in zip(y, kernel, strict=True)) + bias
                for kernel, bias in zip(kernels, biases, strict=True)
            ]
        )

    expected = x[0].numpy() + convolved(np.maximum(convolved(x[0].numpy(), "conv1"), 0), "conv2")
    with torch.no_grad():
        np.testing.assert_allclose(block(x)[0].numpy(), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (7, 9), (32, 32), (33, 31)])
def test_any_size_comes_back_in_its_size(size: tuple[int, int]) -> None:
    blurry = torch.rand(2, 3, *size)
    assert awake(build(TINY))(blurry).shape == blurry.shape


def test_training_begins_at_the_identity() -> None:
    blurry = torch.rand(1, 3, 20, 21)
    assert torch.equal(build(TINY)(blurry), blurry)


def test_gradients_reach_every_parameter() -> None:
    model = awake(build(TINY))
    model(torch.rand(1, 3, 32, 32)).square().mean().backward()
    assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in model.parameters())


def test_bfloat16_stays_close_to_float32() -> None:
    model = awake(build(TINY))
    blurry = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        full = model(blurry)
        with torch.autocast("cpu", torch.bfloat16):
            half = model(blurry)
    correction = (full - blurry).abs().mean()
    assert half.dtype == torch.float32
    assert (half - full).abs().mean() < 0.02 * correction


def test_saved_and_loaded_is_the_same_network(tmp_path: Path) -> None:
    model, blurry = awake(build(TINY)).eval(), torch.rand(1, 3, 24, 40)
    save_checkpoint(tmp_path / "checkpoint", model, TINY, train_patch_px=32, card="A card.", dtype=torch.float32)
    loaded = load_checkpoint(str(tmp_path / "checkpoint"))
    assert loaded.config == TINY
    with torch.no_grad():
        assert torch.equal(loaded.model(blurry), model(blurry))


def test_an_invalid_config_is_refused() -> None:
    with pytest.raises(ValueError, match="two levels"):
        PlainUNetConfig(channels=(8,), blocks=(1,))
    with pytest.raises(ValueError, match="blocks for each"):
        PlainUNetConfig(channels=(8, 16), blocks=(1,))
    with pytest.raises(ValueError, match="positive"):
        PlainUNetConfig(channels=(8, 16), blocks=(1, -1))
