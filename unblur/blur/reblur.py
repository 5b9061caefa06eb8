"""Reblurring of a sharp photograph along estimated paths, which measures estimates without ground truth.

Motion-ETR (Zhang et al. 2021) is trained so on pairs alone: the sharp photograph sampled at 15 places of each path and
averaged must be the blurry one. Three things are ours. Light is averaged, not the numbers in a file. Paths are
undirected. And as the mean of a path is zero here (`unblur.blur.motion`), two ends determine a parabola: with s from -1
to 1 it is (end - start) / 2 times s, plus (start + end) / 2 times the second Legendre polynomial, whose mean is zero
and which is 1 at both ends.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from unblur.blur.undirected import to_directed
from unblur.photos.color import linear_to_srgb, srgb_to_linear

INSTANTS = 15
"""Number of samples of each path, as in Motion-ETR."""

SHORTEST_PX = 1e-3
"""Length below which a path counts as zero: it has no direction, and no light from outside."""


def reblur(sharp: Tensor, path: Tensor) -> tuple[Tensor, Tensor]:
    """Blur `sharp` along `path`; return the photograph and a mask of pixels whose light is all from inside.

    (B, 3, H, W) sRGB in [0, 1] and undirected paths (B, 4, h, w) in pixels of it, evenly spread over it ->
    (B, 3, H, W) sRGB and (B, 1, H, W) bool. Differentiable in both; sampled bilinearly.
    """
    height, width = sharp.shape[2:]
    dense = F.interpolate(path.float(), (height, width), mode="bilinear", align_corners=False)
    middle, half = dense[:, :2], _compute_half_vector(dense)
    rows = torch.arange(height, device=sharp.device, dtype=torch.float32)[:, None].expand(height, width)
    columns = torch.arange(width, device=sharp.device, dtype=torch.float32).expand(height, width)
    here = torch.stack((columns, rows))
    size = here.new_tensor([width, height]).view(2, 1, 1)
    light = srgb_to_linear(sharp.float())
    total = torch.zeros_like(light)
    known = torch.ones_like(light[:, :1], dtype=torch.bool)
    for instant in range(INSTANTS):
        # The middles of equal parts of the exposure.
        s = (2 * instant + 1) / INSTANTS - 1
        places = here + half * s + middle * (1.5 * s**2 - 0.5)
        inside = (places >= -SHORTEST_PX) & (places <= size - 1 + SHORTEST_PX)
        known &= inside.all(dim=1, keepdim=True)
        # grid_sample's coordinates, in which -1 and 1 are the outer edges.
        grid = ((2 * places + 1) / size - 1).permute(0, 2, 3, 1)
        total = total + F.grid_sample(light, grid, padding_mode="border", align_corners=False)
    return linear_to_srgb(total / INSTANTS), known


def _compute_half_vector(path: Tensor) -> Tensor:
    """Return the vector from the middle to the right end, (B, 2, H, W); zero, without a slope, for a zero path."""
    nowhere = path[:, 2:].square().sum(dim=1, keepdim=True) < SHORTEST_PX**2
    # The angle of a zero vector has no gradient, even if it is multiplied by zero.
    start, end = to_directed(torch.where(nowhere, torch.ones_like(path), path))
    return torch.where(nowhere, torch.zeros_like(start), (end - start) / 2)
