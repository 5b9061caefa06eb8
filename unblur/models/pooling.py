"""Channel means whose window can be limited, so that the result for a tile equals that for the whole photograph.

A network trained on small patches pools over small patches. Pooling over a whole photograph at test time
shifts those statistics, and pooling over a tile makes them depend on where the tile ends. Averaging over a
sliding window about as large as the training patch cures both: the test-time local converter (TLC, Chu et
al. 2022, arXiv 2112.04491).
"""

import copy
from typing import TypeVar

import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import handle_torch_function, has_torch_function_unary

from unblur.errors import UnblurError

Network = TypeVar("Network", bound=nn.Module)


class ChannelMean(nn.Module):
    """Mean of each channel over the whole map, or over a sliding window around every position.

    Shape: (B, C, H, W) -> (B, C, 1, 1) when pooling globally, else (B, C, H, W).
    """

    def __init__(self, stride_px: int) -> None:
        """Set the stride of the map in pixels of the photograph."""
        super().__init__()
        self.stride_px = stride_px
        self.window_px: int | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.window_px is None:
            return x.mean(dim=(2, 3), keepdim=True)
        return average_over_windows(x, max(1, self.window_px // self.stride_px))


class ScaledChannelMean(ChannelMean):
    """Mean of another module for a smaller scale of the image, over the same part of the scene."""

    def __init__(self, wrapped: ChannelMean, scale: int) -> None:
        nn.Module.__init__(self)
        # A tuple hides it from PyTorch, because it is registered in another network.
        self.wrapped = (wrapped,)
        self.scale = scale

    @property
    def stride_px(self) -> int:  # type: ignore[override]
        """The stride of the wrapped mean multiplied by `scale`."""
        return self.wrapped[0].stride_px * self.scale

    @property
    def window_px(self) -> int | None:  # type: ignore[override]
        """The window of the wrapped mean."""
        return self.wrapped[0].window_px


def share_weights_at_scale(network: Network, scale: int) -> Network:
    """Return a copy of `network` for images that are `scale` times smaller; it shares all weights.

    Its averages cover the same part of the scene. Later changes to the weights and windows of `network` apply to it.
    All modules of `network` must be registered.
    """
    # Copied by hand: `copy.deepcopy` takes ten times as long, for the many empty dictionaries of every module.
    twin = copy.copy(network)
    vars(twin).update({name: value.copy() for name, value in vars(network).items() if isinstance(value, dict)})
    for name, module in network._modules.items():
        if isinstance(module, ChannelMean):
            twin._modules[name] = ScaledChannelMean(module, scale)
        elif module is not None:
            twin._modules[name] = share_weights_at_scale(module, scale)
    return twin


def average_over_windows(x: Tensor, window: int) -> Tensor:
    """Average over a window of `window` x `window` positions that is moved inward at the borders.

    Shape: (B, C, H, W) -> (B, C, H, W), or (B, C, 1, 1) when the window covers the map.
    """
    if has_torch_function_unary(x):
        # A tensor in an export has no sizes yet; see `unblur.restoration.onnx_recording`.
        mean: Tensor = handle_torch_function(average_over_windows, (x,), x, window)
        return mean
    rows, columns = min(window, x.shape[2]), min(window, x.shape[3])
    if rows == x.shape[2] and columns == x.shape[3]:
        return x.mean(dim=(2, 3), keepdim=True)
    dtype = x.dtype
    # Differences of running sums cancel digits, so they are taken around the mean and in float32.
    x = x.float()
    centre = x.mean(dim=(2, 3), keepdim=True)
    sums = F.pad((x - centre).cumsum(2), (0, 0, 1, 0))
    x = (sums[:, :, rows:] - sums[:, :, :-rows]) / rows
    sums = F.pad(x.cumsum(3), (1, 0))
    x = (sums[..., columns:] - sums[..., :-columns]) / columns
    missing_rows, missing_columns = rows - 1, columns - 1
    padding = (
        missing_columns // 2,
        missing_columns - missing_columns // 2,
        missing_rows // 2,
        missing_rows - missing_rows // 2,
    )
    return (F.pad(x, padding, mode="replicate") + centre).to(dtype)


def choose_window_px(train_patch_px: int) -> int:
    """Return the usual window of local pooling: 1.5 training patches (TLC's ratio)."""
    return 3 * train_patch_px // 2


def use_local_pooling(model: nn.Module, window_px: int | None) -> None:
    """Limit every ChannelMean in `model` to a window of `window_px` photograph pixels; None pools globally."""
    if window_px is not None and window_px < 1:
        raise UnblurError(f"The pooling window must be at least 1 pixel, not {window_px}.")
    for module in model.modules():
        if isinstance(module, ChannelMean):
            module.window_px = window_px
