"""One network at several sizes: laws that hold whatever is chosen, and choices whose result is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import map_coordinates
from torch import Tensor, nn

from unblur.models import MultiScale, MultiScaleConfig, NAFNetConfig
from unblur.models.multiscale import HalfResolution, upsample2x

NAFNET = NAFNetConfig(width=8, encoder_blocks=(1,), middle_blocks=1, decoder_blocks=(1,), stem_stride=2)
CONFIG = MultiScaleConfig(nafnet=NAFNET, channels=8, blocks=1)


@pytest.fixture
def network() -> MultiScale:
    """Return a network with random weights everywhere but in the last layer of the selection, which stays zero."""
    torch.manual_seed(0)
    model = MultiScale(CONFIG).eval().requires_grad_(False)
    for name, parameter in model.named_parameters():
        if not name.startswith("fusion.ending"):
            parameter.copy_(torch.randn(parameter.shape) * 0.1)
    return model


def blurry(height: int, width: int) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(1))


def choose(network: MultiScale, logit: float) -> None:
    """The coarser size everywhere, or the own one."""
    bias = network.fusion.ending.bias
    assert bias is not None
    bias.zero_()
    bias[:16] = logit


@pytest.mark.parametrize("size", [(1, 1), (7, 50), (33, 16), (64, 65)])
def test_any_size_comes_back_in_its_size(network: MultiScale, size: tuple[int, int]) -> None:
    for model in (network, HalfResolution(network)):
        restored = model(blurry(*size))
        assert restored.shape == (1, 3, *size)
        assert bool(restored.isfinite().all())


def test_where_the_own_size_is_chosen_it_is_the_plain_network(network: MultiScale) -> None:
    choose(network, -100.0)
    x = blurry(48, 32)
    torch.testing.assert_close(network(x), network.nafnet(x))
    assert not torch.allclose(network.nafnet(x), x)


def test_where_the_coarser_size_is_chosen_only_the_smallest_counts(network: MultiScale) -> None:
    choose(network, 100.0)
    x = blurry(48, 32)
    quarter = x.reshape(1, 3, 12, 4, 8, 4).mean(dim=(3, 5))
    expected = x + upsample2x(upsample2x(network.nafnet(quarter) - quarter))
    torch.testing.assert_close(network(x), expected)


def test_an_untrained_coarse_condition_changes_nothing(network: MultiScale) -> None:
    conditioned = MultiScale(replace(CONFIG, condition_on_coarser=True)).eval()
    assert conditioned.coarse_proj is not None
    assert {name for name in conditioned.state_dict() if name not in network.state_dict()} == {
        "coarse_proj.weight",
        "coarse_proj.bias",
    }
    conditioned.load_state_dict(conditioned.state_dict() | network.state_dict())
    x = blurry(41, 30)
    torch.testing.assert_close(conditioned(x), network(x), rtol=0, atol=0)


def test_the_nafnet_is_conditioned_on_the_coarser_result(network: MultiScale) -> None:
    """The coarser result changes the NAFNet's output, even where only the finest of two scales is selected."""
    conditioned = MultiScale(replace(CONFIG, condition_on_coarser=True, scales=2)).double().eval().requires_grad_(False)
    assert conditioned.coarse_proj is not None
    conditioned.load_state_dict(conditioned.state_dict() | network.state_dict())
    choose(conditioned, -100.0)
    conditioned.coarse_proj.weight.normal_(generator=torch.Generator().manual_seed(2))
    x = blurry(48, 32).double()
    half = x.reshape(1, 3, 24, 2, 16, 2).mean(dim=(3, 5))
    came_up = 8 * upsample2x(conditioned.nafnet(half) - half)
    pixels = came_up.reshape(1, 3, 24, 2, 16, 2).permute(0, 1, 3, 5, 2, 4).reshape(1, 12, 24, 16)
    proj = conditioned.coarse_proj
    expected = conditioned.nafnet(x, F.conv2d(pixels, proj.weight, proj.bias, padding=1))
    torch.testing.assert_close(conditioned(x), expected)
    assert not torch.allclose(expected, conditioned.nafnet(x))


def test_training_begins_near_the_plain_network(network: MultiScale) -> None:
    """A twentieth of the way to the coarser size, at every size."""
    share = 1 / (1 + np.exp(3.0))
    x = blurry(48, 32)
    half, quarter = (x.reshape(1, 3, 48 // n, n, 32 // n, n).mean(dim=(3, 5)) for n in (2, 4))
    correction = upsample2x(network.nafnet(quarter) - quarter)
    correction = upsample2x((1 - share) * (network.nafnet(half) - half) + share * correction)
    expected = x + (1 - share) * (network.nafnet(x) - x) + share * correction
    torch.testing.assert_close(network(x), expected)


def test_a_constant_correction_stays_constant_whatever_is_chosen(network: MultiScale) -> None:
    """All scales agree, so a selection between them changes nothing."""
    for parameter in network.nafnet.ending.parameters():
        parameter.zero_()
    assert network.nafnet.ending.bias is not None
    network.nafnet.ending.bias.fill_(0.125)
    x = blurry(40, 40)
    for logit in (-2.0, 0.0, 2.0):
        choose(network, logit)
        torch.testing.assert_close(network(x), x + 0.125)
    torch.testing.assert_close(HalfResolution(network)(x), x + 0.125)


def test_corrections_are_enlarged_around_the_middles_of_pixels() -> None:
    """Against SciPy: the pixel (i, j) of the larger picture lies at (i / 2 - 1/4, j / 2 - 1/4) of the smaller one."""
    small = blurry(6, 5)[0, 0].double()
    rows, columns = np.meshgrid(np.arange(12) / 2 - 0.25, np.arange(10) / 2 - 0.25, indexing="ij")
    expected = map_coordinates(small.numpy(), [rows, columns], order=1, mode="nearest")
    np.testing.assert_allclose(upsample2x(small[None, None])[0, 0].numpy(), expected, atol=1e-12)


def test_half_resolution_averages_four_pixels() -> None:
    inputs = []

    class Eye(nn.Module):
        def forward(self, half: Tensor) -> Tensor:
            inputs.append(half)
            return half

    x = blurry(6, 8)
    torch.testing.assert_close(HalfResolution(Eye())(x), x)
    torch.testing.assert_close(inputs[0], x.reshape(1, 3, 3, 2, 4, 2).mean(dim=(3, 5)))


def test_one_size_is_no_choice() -> None:
    with pytest.raises(ValueError, match="two scales at least"):
        MultiScaleConfig(nafnet=NAFNET, scales=1)
