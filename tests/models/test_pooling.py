"""Sliding means against SciPy, and what they are for: tiles that agree with the whole."""

import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter

from unblur.errors import UnblurError
from unblur.models.pooling import ChannelMean, average_over_windows, share_weights_at_scale, use_local_pooling


@pytest.mark.parametrize("window", [1, 3, 5, 9])
def test_equals_a_box_filter_away_from_the_border(window: int) -> None:
    x = torch.rand(1, 2, 30, 40, generator=torch.Generator().manual_seed(0))
    ours = average_over_windows(x, window)[0].numpy()
    reference = np.stack([uniform_filter(plane, window) for plane in x[0].double().numpy()])
    inner = slice(window, -window)
    np.testing.assert_allclose(ours[:, inner, inner], reference[:, inner, inner], atol=1e-6)


def test_windows_are_moved_inward_at_the_border() -> None:
    x = torch.rand(1, 1, 10, 12)
    means = average_over_windows(x, 4)
    torch.testing.assert_close(means[0, 0, 0, 0], x[0, 0, :4, :4].mean())
    torch.testing.assert_close(means[0, 0, -1, -1], x[0, 0, -4:, -4:].mean())


@pytest.mark.parametrize("size", [(1, 1), (3, 100), (100, 3), (8, 8)])
def test_a_window_as_large_as_the_map_is_the_global_mean(size: tuple[int, int]) -> None:
    x = torch.rand(2, 3, *size)
    torch.testing.assert_close(average_over_windows(x, 100), x.mean(dim=(2, 3), keepdim=True))


def test_a_narrow_map_is_averaged_across_and_slides_along() -> None:
    x = torch.rand(1, 1, 2, 50)
    means = average_over_windows(x, 10)
    assert means.shape == x.shape
    torch.testing.assert_close(means[0, 0, 0, 20], x[0, 0, :, 16:26].mean())


def test_large_offsets_lose_no_digits() -> None:
    x = 1e4 + torch.rand(1, 1, 400, 400, generator=torch.Generator().manual_seed(0))
    exact = uniform_filter(x[0, 0].double().numpy(), 31)[40:-40, 40:-40]
    np.testing.assert_allclose(average_over_windows(x, 31)[0, 0].numpy()[40:-40, 40:-40], exact, atol=5e-3)


def test_the_window_is_counted_in_photograph_pixels() -> None:
    mean = ChannelMean(stride_px=4)
    x = torch.rand(1, 1, 20, 20)
    assert mean(x).shape == (1, 1, 1, 1)
    use_local_pooling(mean, 12)
    torch.testing.assert_close(mean(x), average_over_windows(x, 3))
    use_local_pooling(mean, None)
    assert mean(x).shape == (1, 1, 1, 1)
    with pytest.raises(UnblurError, match="at least 1"):
        use_local_pooling(mean, 0)


def test_a_network_for_smaller_photographs_has_the_same_weights_and_reaches_as_far_in_the_scene() -> None:
    class Averages(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(1, 1, 1)
            self.mean = ChannelMean(stride_px=2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            averaged: torch.Tensor = self.mean(self.conv(x))
            return averaged

    network = Averages()
    half, quarter = share_weights_at_scale(network, 2), share_weights_at_scale(share_weights_at_scale(network, 2), 2)
    x = torch.rand(1, 1, 20, 20)
    for each in (network, half, quarter):
        torch.testing.assert_close(each(x), network.conv(x).mean(dim=(2, 3), keepdim=True))
    use_local_pooling(network, 24)
    with torch.no_grad():
        network.conv.weight.fill_(3.0)
    for each, window in ((network, 12), (half, 6), (quarter, 3)):
        torch.testing.assert_close(each(x), average_over_windows(network.conv(x), window))
    # They follow wherever the weights go.
    network.double()
    assert half.conv.weight is quarter.conv.weight is network.conv.weight
    assert quarter(x.double()).dtype == torch.float64
