"""Sizes made to fit a network's strides."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function_unary


def padded_to_multiple(x: Tensor, of: int) -> Tensor:
    """`x` with its last row and column repeated until both sides are multiples of `of`. Shape: (B, C, H, W)."""
    if has_torch_function_unary(x):
        # A tensor in an export has no sizes yet; see `unblur.restoration.onnx_recording`.
        padded: Tensor = handle_torch_function(padded_to_multiple, (x,), x, of)
        return padded
    height, width = x.shape[2:]
    return F.pad(x, (0, -width % of, 0, -height % of), mode="replicate")


def reflected_to_multiple(x: Tensor, of: int) -> Tensor:
    """`x` continued as in a mirror until both sides are multiples of `of`, however small it is. Shape: (B, C, H, W).

    Networks that continue patterns see fewer edges than where the last row is repeated.
    """
    height, width = x.shape[2:]
    rows, columns = (_mirrored(side, side + -side % of, x.device) for side in (height, width))
    return x if not (height % of or width % of) else x[:, :, rows][..., columns]


def _mirrored(side: int, wanted: int, device: torch.device) -> Tensor:
    """0, 1, ..., side - 1, side - 2, ..., 0, 1, ... of length `wanted`; the last position is not repeated."""
    turn = max(1, 2 * (side - 1))
    return (side - 1) - ((torch.arange(wanted, device=device) % turn) - (side - 1)).abs()
