"""From a sharp photograph and an exposure to the blurry photograph: deterministic, in linear light.

Order: sRGB to linear, highlights extended, averaged over the poses, clipped by the sensor, noise, back to
sRGB, eight bits, JPEG. Each stage is skipped when the exposure says so.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from unblur.blur.exposure import Exposure
from unblur.blur.noise import add_sensor_noise
from unblur.blur.trajectory import displacements, homographies
from unblur.photos.color import linear_to_srgb, srgb_to_linear
from unblur.photos.files import decode_jpeg, encode_jpeg

HIGHLIGHT_THRESHOLD = 0.85
"""Linear light from which a pixel counts as a clipped highlight."""


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """A blurry photograph and the sharp one it must be restored to, (3, H, W) sRGB in [0, 1]."""

    blurry: Tensor
    sharp: Tensor


def render(sharp: Tensor, exposure: Exposure, margin_px: int = 0) -> Rendering:
    """Expose `sharp` (3, H, W), sRGB in [0, 1]; what lies outside of it is mirrored.

    With a margin, that many pixels on each side only serve as the scene outside of the frame: both results
    are (3, H - 2 margin, W - 2 margin). Zero motion, noise and compression give back the input.
    """
    frame = slice(margin_px, sharp.shape[1] - margin_px), slice(margin_px, sharp.shape[2] - margin_px)
    scene = extend_highlights(srgb_to_linear(sharp), exposure.highlight_gain)
    light = average_over_poses(scene, exposure, margin_px).clamp(max=1.0)
    noisy = add_sensor_noise(light, exposure.shot_noise, exposure.read_noise, exposure.noise_seed)
    blurry = compress(linear_to_srgb(noisy.clamp(0, 1)), exposure)
    target = linear_to_srgb(scene[:, *frame].clamp(max=1.0)) if exposure.highlight_gain else sharp[:, *frame]
    return Rendering(blurry=blurry, sharp=target.clamp(0, 1))


def extend_highlights(linear: Tensor, gain: float) -> Tensor:
    """Undo the clipping of highlights by guessing how bright they were, so that lights draw full streaks.

    RSBlur (Rim et al. 2022) adds a random amount of light to saturated pixels; this does so smoothly. (3, H, W).
    """
    if gain == 0:
        return linear
    darkest_channel = linear.amin(dim=0, keepdim=True)
    clipped = ((darkest_channel - HIGHLIGHT_THRESHOLD) / (1 - HIGHLIGHT_THRESHOLD)).clamp(min=0)
    return linear + gain * clipped**2


def average_over_poses(scene: Tensor, exposure: Exposure, margin_px: int = 0) -> Tensor:
    """Mean of the scene seen from every pose, bilinearly sampled. (3, H, W) -> (3, H - 2 margin, W - 2 margin)."""
    height, width = scene.shape[1:]
    rows, columns = height - 2 * margin_px, width - 2 * margin_px
    poses = torch.tensor(exposure.poses, dtype=torch.float64)
    if not bool(poses.any()):
        return scene[:, margin_px : margin_px + rows, margin_px : margin_px + columns]
    maps = homographies(poses, exposure.focal_px, exposure.principal_px)
    # Pixel (x, y) of the result -> grid_sample's coordinates of the scene, in which -1 and 1 are its outer edges.
    to_pixel = torch.tensor([[1, 0, margin_px], [0, 1, margin_px], [0, 0, 1]], dtype=torch.float64)
    to_grid = torch.tensor(
        [[2 / width, 0, 1 / width - 1], [0, 2 / height, 1 / height - 1], [0, 0, 1]], dtype=torch.float64
    )
    maps = (to_grid @ maps @ to_pixel).float()
    x = torch.arange(columns, dtype=torch.float32)
    y = torch.arange(rows, dtype=torch.float32)
    total = torch.zeros(3, rows, columns)
    for h in maps:  # One pose at a time: the working set stays in the processor's cache.
        depth = h[2, 0] * x + (h[2, 1] * y + h[2, 2])[:, None]
        grid_x = (h[0, 0] * x + (h[0, 1] * y + h[0, 2])[:, None]) / depth
        grid_y = (h[1, 0] * x + (h[1, 1] * y + h[1, 2])[:, None]) / depth
        grid = torch.stack([grid_x, grid_y], dim=-1)[None]
        total += F.grid_sample(scene[None], grid, padding_mode="reflection", align_corners=False)[0]
    return total / len(maps)


def compress(srgb: Tensor, exposure: Exposure) -> Tensor:
    """Round to eight bits as a camera does, and through JPEG if the exposure says so. (3, H, W), [0, 1]."""
    if exposure.jpeg_quality is None:
        return srgb
    pixels = (srgb * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    data = encode_jpeg(pixels, exposure.jpeg_quality, exposure.jpeg_subsample_chroma)
    decoded = np.ascontiguousarray(decode_jpeg(data).transpose(2, 0, 1))
    return torch.from_numpy(decoded).float() / 255


def reach_px(exposure: Exposure, height: int, width: int) -> int:
    """The farthest that any pixel of a frame looks beyond itself: the margin that `render` needs."""
    points = torch.tensor(
        [[x, y] for x in (0.0, (width - 1) / 2, width - 1.0) for y in (0.0, (height - 1) / 2, height - 1.0)]
    )
    offsets = displacements(torch.tensor(exposure.poses), exposure.focal_px, exposure.principal_px, points)
    return math.ceil(float(offsets.abs().amax())) + 1
