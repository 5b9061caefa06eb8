"""The NAFNet against published counts and an independent formula for its block."""

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate

from unblur.models import NAFNet, NAFNetConfig, build
from unblur.models.nafnet import NAFBlock

TINY = NAFNetConfig(width=8, encoder_blocks=(1, 1), middle_blocks=1, decoder_blocks=(1, 1), stem_stride=2)


def awake(model: torch.nn.Module) -> torch.nn.Module:
    """beta and gamma start at 0, which hides every block; give them, and all else, seeded values."""
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.2
    return model


@pytest.mark.parametrize(("width", "published_millions"), [(32, 17.11), (64, 67.89)])
def test_parameter_counts_of_the_published_networks(width: int, published_millions: float) -> None:
    # NAFNet-width32 and -width64 for GoPro: 1-1-1-28 blocks, 1 in the middle, 1-1-1-1 back.
    config = NAFNetConfig(width=width, encoder_blocks=(1, 1, 1, 28), middle_blocks=1, decoder_blocks=(1, 1, 1, 1))
    with torch.device("meta"):
        count = sum(p.numel() for p in NAFNet(config).parameters())
    assert round(count / 1e6, 2) == published_millions


def test_parameter_count_of_a_block_by_hand() -> None:
    c = 12
    by_hand = (2 * c) + (2 * c * c + 2 * c) + (9 * 2 * c + 2 * c) + (c * c + c) + (c * c + c) + c
    by_hand += (2 * c) + (2 * c * c + 2 * c) + (c * c + c) + c
    assert sum(p.numel() for p in NAFBlock(c, 1).parameters()) == by_hand


def block_by_formula(block: NAFBlock, x: np.ndarray) -> np.ndarray:
    """The block of arXiv 2204.04676, fig. 4, in NumPy and SciPy, for one image (C, H, W)."""
    w = {name: value.detach().double().numpy() for name, value in block.state_dict().items()}

    def norm(y: np.ndarray, name: str) -> np.ndarray:
        y = (y - y.mean(0)) / np.sqrt(y.var(0) + 1e-6)
        return y * w[f"{name}.weight"][:, None, None] + w[f"{name}.bias"][:, None, None]

    def pointwise(y: np.ndarray, name: str) -> np.ndarray:
        return np.einsum("oi,ihw->ohw", w[f"{name}.weight"][:, :, 0, 0], y) + w[f"{name}.bias"][:, None, None]

    def gate(y: np.ndarray) -> np.ndarray:
        return y[: len(y) // 2] * y[len(y) // 2 :]

    y = pointwise(norm(x, "norm1"), "expand1")
    kernels, biases = w["depthwise.weight"][:, 0], w["depthwise.bias"]
    y = np.stack([correlate(p, k, mode="constant") + b for p, k, b in zip(y, kernels, biases, strict=True)])
    y = gate(y)
    y = y * pointwise(y.mean((1, 2), keepdims=True), "attention.project")
    x = x + pointwise(y, "project1") * w["beta"][0]
    y = gate(pointwise(norm(x, "norm2"), "expand2"))
    return x + pointwise(y, "project2") * w["gamma"][0]


def test_block_equals_the_formula() -> None:
    block = awake(NAFBlock(6, 1)).double()
    x = torch.randn(1, 6, 9, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        ours = block(x)[0].numpy()
    np.testing.assert_allclose(ours, block_by_formula(block, x[0].numpy()), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (7, 9), (32, 32), (33, 31)])
def test_any_size_comes_back_in_its_size(size: tuple[int, int]) -> None:
    blurry = torch.rand(2, 3, *size)
    assert awake(build(TINY))(blurry).shape == blurry.shape


def test_a_correction_of_zero_is_the_identity() -> None:
    model = awake(build(TINY))
    model.ending.weight.data.zero_()
    model.ending.bias.data.zero_()
    blurry = torch.rand(1, 3, 20, 20)
    assert torch.equal(model(blurry), blurry)


def test_padding_does_not_reach_into_a_photograph_that_needs_none() -> None:
    # Padding replicates the edge, so content beyond the needed multiple never appears.
    model = awake(build(TINY))
    blurry = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        padded_by_hand = torch.nn.functional.pad(blurry[..., :62, :59], (0, 5, 0, 2), mode="replicate")
        torch.testing.assert_close(model(blurry[..., :62, :59]), model(padded_by_hand)[..., :62, :59])


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


def test_an_invalid_config_is_refused() -> None:
    with pytest.raises(ValueError, match="levels"):
        NAFNetConfig(width=8, encoder_blocks=(1, 1), middle_blocks=1, decoder_blocks=(1,))
    with pytest.raises(ValueError, match="positive"):
        NAFNetConfig(width=0, encoder_blocks=(1,), middle_blocks=1, decoder_blocks=(1,))
