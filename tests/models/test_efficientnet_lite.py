"""EfficientNet-Lite: published counts, and the laws of its features."""

import pytest
import torch
import torch.nn.functional as F

from unblur.models.efficientnet_lite import (
    Convolution,
    EfficientNetLite,
    EfficientNetLiteClassifier,
    EfficientNetLiteConfig,
)

TINY = EfficientNetLiteConfig(width=0.25, depth=0.4)


@pytest.mark.parametrize(
    ("width", "depth", "millions"),
    # The table in the README of EfficientNet-Lite's authors (tensorflow/tpu).
    [(1.0, 1.0, 4.7), (1.0, 1.1, 5.4), (1.1, 1.2, 6.1), (1.2, 1.4, 8.2), (1.4, 1.8, 13.0)],
    ids=["Lite0", "Lite1", "Lite2", "Lite3", "Lite4"],
)
def test_parameter_counts_are_the_published_ones(width: float, depth: float, millions: float) -> None:
    with torch.device("meta"):
        network = EfficientNetLiteClassifier(EfficientNetLiteConfig(width=width, depth=depth))
    count = sum(p.numel() for p in network.parameters())
    # The papers count a scale and a shift for each normalised channel, ours are folded into one shift.
    count += sum(layer.out_channels for layer in network.modules() if isinstance(layer, Convolution))
    assert round(count / 1e6, 1) == millions
    if width == depth == 1:
        assert count == 4_652_008  # Counted in the PyTorch file that the extra `prior` brings.


@pytest.mark.parametrize("size", [(1, 1), (32, 64), (33, 70)])
def test_levels_are_what_comes_out_at_any_size(size: tuple[int, int]) -> None:
    network = EfficientNetLite(TINY)
    with torch.no_grad():
        features = network(torch.rand(2, 3, *size))
    height, width = (-(-side // 32) * 32 for side in size)
    assert [level.stride_px for level in network.levels] == [2, 4, 8, 16, 32]
    for level, feature in zip(network.levels, features, strict=True):
        assert feature.shape == (2, level.channels, height // level.stride_px, width // level.stride_px)


@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (5, 1), (3, 2), (5, 2)])
def test_a_convolution_pads_like_tensorflow_where_sides_are_even(kernel: int, stride: int) -> None:
    convolution = Convolution(2, 4, kernel, stride=stride)
    x = torch.rand(1, 2, 8, 10)
    # "SAME" of TensorFlow: as many outputs as strides begin, the odd zero behind.
    missing = [(-(-side // stride) - 1) * stride + kernel - side for side in (8, 10)]
    before = [total // 2 for total in missing]
    padded = F.pad(x, (before[1], missing[1] - before[1], before[0], missing[0] - before[0]))
    by_hand = F.conv2d(padded, convolution.weight, convolution.bias, stride=stride)
    assert by_hand.shape[2:] == (8 // stride, 10 // stride)
    torch.testing.assert_close(convolution(x), by_hand)


def test_features_of_a_tile_on_the_grid_are_those_of_the_whole() -> None:
    network = EfficientNetLite(EfficientNetLiteConfig(width=0.25, depth=0.1)).eval()
    picture = torch.rand(1, 3, 32, 768)
    with torch.no_grad():
        whole, tile = network(picture), network(picture[..., 128:])
    for level, of_whole, of_tile in zip(network.levels, whole, tile, strict=True):
        offset, reach = 128 // level.stride_px, 320 // level.stride_px
        torch.testing.assert_close(of_whole[..., offset + reach :], of_tile[..., reach:])
        # Nearer to the cut they differ: the reach is not nothing.
        assert not torch.allclose(of_whole[..., offset], of_tile[..., 0], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("wrong", [{"width": 0.0}, {"depth": -1.0}, {"width": float("nan")}])
def test_sizes_must_be_positive(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        EfficientNetLiteConfig(**wrong)
