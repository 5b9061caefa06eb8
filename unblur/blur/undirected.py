"""Describes motion without the arrow of time: a photograph of the reversed motion would look the same.

The ends of a path are a start and an end, but nobody can tell from the blurry photograph which is which. What can
be estimated is where the middle between them lies, and a line between them without an arrow. Doubling the angle of that
line makes opposite directions equal and neighbouring ones near: the usual description of undirected lines (Mardia,
Statistics of Directional Data, 1972).
"""

import torch
from torch import Tensor


def to_undirected(start: Tensor, end: Tensor) -> Tensor:
    """(middle x, middle y, doubled x, doubled y) of paths from `start` to `end`; equal when the two are exchanged.

    In pixels; the doubled vector has the length of end - start and twice its angle. (..., 2, h, w) -> (..., 4, h, w).
    """
    x, y = (end - start).unbind(-3)
    length = torch.hypot(x, y).clamp(min=torch.finfo(x.dtype).tiny)
    doubled = torch.stack([(x * x - y * y) / length, 2 * x * y / length], dim=-3)
    return torch.cat([(start + end) / 2, doubled], dim=-3)


def to_directed(path: Tensor) -> tuple[Tensor, Tensor]:
    """A start and an end, (..., 2, h, w) pixels each, of undirected paths (..., 4, h, w), from left to right."""
    middle = path[..., :2, :, :]
    x, y = path[..., 2:, :, :].unbind(-3)
    length, angle = torch.hypot(x, y), torch.atan2(y, x) / 2
    half = torch.stack([length * torch.cos(angle), length * torch.sin(angle)], dim=-3) / 2
    return middle - half, middle + half


def compute_endpoint_error_px(start: Tensor, end: Tensor, true_start: Tensor, true_end: Tensor) -> Tensor:
    """Mean distance of both ends from the true ones, the nearer way round at each place.

    Pixels, (..., 2, h, w) -> (..., h, w). Exchanging the start and the end of either path changes nothing.
    """
    as_given = (start - true_start).norm(dim=-3) + (end - true_end).norm(dim=-3)
    exchanged = (start - true_end).norm(dim=-3) + (end - true_start).norm(dim=-3)
    return torch.minimum(as_given, exchanged) / 2
