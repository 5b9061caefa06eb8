"""Padding of images to multiples of a network's strides."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function_unary


def pad_to_multiple(x: Tensor, of: int) -> Tensor:
    """Repeat the last row and column of `x`, (B, C, H, W), until both sides are multiples of `of`."""
    if has_torch_function_unary(x):
        # A tensor in an export has no sizes yet; see `unblur.restoration.onnx_recording`.
        padded: Tensor = handle_torch_function(pad_to_multiple, (x,), x, of)
        return padded
    height, width = x.shape[2:]
    return F.pad(x, (0, -width % of, 0, -height % of), mode="replicate")


def reflect_to_multiple(x: Tensor, of: int) -> Tensor:
    """Reflect `x`, (B, C, H, W), of any size at its last row and column until both sides are multiples of `of`.

    For networks that continue patterns this makes fewer artificial edges than replication.
    """
    height, width = x.shape[2:]
    rows, columns = (_make_mirror_indices(side, side + -side % of, x.device) for side in (height, width))
    return x if not (height % of or width % of) else x[:, :, rows][..., columns]


def _make_mirror_indices(side: int, wanted: int, device: torch.device) -> Tensor:
    """Return 0, 1, ..., side - 1, side - 2, ..., 0, 1, ... of length `wanted`; the last position is not repeated."""
    turn = max(1, 2 * (side - 1))
    return (side - 1) - ((torch.arange(wanted, device=device) % turn) - (side - 1)).abs()
