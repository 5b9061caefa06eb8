"""Renders the blurry photograph of a sharp photograph and an exposure: deterministic, in linear light.

Order: sRGB to linear, highlights extended, layers rendered for every pose and averaged, clipped by the sensor,
mosaic and noise, back to sRGB, eight bits, JPEG. Stages that the exposure does not have are skipped.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from unblur.blur.average import average_over_poses
from unblur.blur.exposure import Exposure
from unblur.blur.noise import add_sensor_noise
from unblur.blur.scene import combine_poses, composite, render_layers
from unblur.blur.sensor import photograph, respond
from unblur.blur.trajectory import compute_displacements
from unblur.photos.color import srgb_to_linear
from unblur.photos.pixel_files import decode_jpeg, encode_jpeg

DEMOSAIC_REACH_PX = 2
"""Distance from the border in which demosaicing is worse; even, so that the pattern of the colour filters stays."""

HIGHLIGHT_THRESHOLD = 0.85
"""Linear light from which a pixel counts as a clipped highlight."""


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """A blurry photograph and the sharp one it must be restored to, (3, H, W) sRGB in [0, 1]."""

    blurry: Tensor
    sharp: Tensor
    saturated: Tensor
    """Mask of pixels where a channel of the blurry photograph was clipped, (1, H, W) bool."""


def render(
    sharp: Tensor,
    exposure: Exposure,
    margin_px: int = 0,
    pictures: Sequence[Tensor | None] = (),
    tolerance_px: float = 0.0,
) -> Rendering:
    """Expose `sharp` (3, H, W), sRGB in [0, 1]; the image is mirrored beyond its borders.

    With a margin, that many pixels on each side only serve as the scene outside of the frame: both results
    are (3, H - 2 margin, W - 2 margin). Zero motion, noise and compression give back the input. `pictures` are
    the photographs (3, H, W) that layers name, one for each layer or None. Blur that differs by less than
    `tolerance_px` over the crop is rendered as if it did not, which is faster.
    """
    frame = slice(margin_px, sharp.shape[1] - margin_px), slice(margin_px, sharp.shape[2] - margin_px)
    scene = extend_highlights(srgb_to_linear(sharp), exposure.highlight_gain)
    own = [None if p is None else extend_highlights(srgb_to_linear(p), exposure.highlight_gain) for p in pictures]
    layers = render_layers(scene, exposure, own)
    # A demosaiced picture is worse at its borders, so they are made and cut off where there is a margin.
    border_px = min(margin_px, DEMOSAIC_REACH_PX) if exposure.sensor else 0
    light = average_over_poses(layers, exposure, margin_px - border_px, tolerance_px)
    inner = slice(border_px, light.shape[1] - border_px), slice(border_px, light.shape[2] - border_px)
    saturated = (light[:, *inner] >= 1).any(dim=0, keepdim=True)
    # Without a change the photograph is not converted to linear light and back, so that the target equals it exactly.
    sensed = (
        sharp[:, *frame] if exposure.changes_nothing else _encode(_apply_sensor(light, exposure), exposure)[:, *inner]
    )
    as_it_is = len(layers) == 1 and not (exposure.highlight_gain or layers[0].layer.defocus_px or exposure.sensor)
    target = sharp if as_it_is else _encode(composite([picture.light for picture in layers]), exposure)
    return Rendering(blurry=compress(sensed, exposure), sharp=target[:, *frame].clamp(0, 1), saturated=saturated)


def extend_highlights(linear: Tensor, gain: float) -> Tensor:
    """Undo the clipping of highlights by guessing how bright they were, so that lights draw full streaks.

    RSBlur (Rim et al. 2022) adds a random amount of light to saturated pixels; this does so smoothly. (3, H, W).
    """
    if gain == 0:
        return linear
    darkest_channel = linear.amin(dim=0, keepdim=True)
    clipped = ((darkest_channel - HIGHLIGHT_THRESHOLD) / (1 - HIGHLIGHT_THRESHOLD)).clamp(min=0)
    return linear + gain * clipped**2


def compress(srgb: Tensor, exposure: Exposure) -> Tensor:
    """Round to eight bits as a camera does, and compress as JPEG if the exposure has a quality. (3, H, W), [0, 1]."""
    if exposure.jpeg_quality is None:
        return srgb
    pixels = (srgb * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().cpu().numpy()
    data = encode_jpeg(pixels, exposure.jpeg_quality, exposure.jpeg_subsample_chroma)
    decoded = np.ascontiguousarray(decode_jpeg(data).transpose(2, 0, 1))
    return torch.from_numpy(decoded).to(srgb.device).float() / 255


def reach_px(exposure: Exposure, height: int, width: int) -> int:
    """Return the largest displacement of any pixel of a frame: the margin that `render` needs."""
    points = torch.tensor(
        [[x, y] for x in (0.0, (width - 1) / 2, width - 1.0) for y in (0.0, (height - 1) / 2, height - 1.0)]
    )
    reaches = []
    for layer in exposure.scene:
        nearest = max(max(row) for row in layer.disparity)
        poses = combine_poses(layer, exposure)
        offsets = compute_displacements(poses, exposure.focal_px, exposure.principal_px, points, nearest)
        reaches.append(float(offsets.abs().amax()) + layer.defocus_px)
    return math.ceil(max(reaches)) + 1


def _apply_sensor(light: Tensor, exposure: Exposure) -> Tensor:
    """Return the picture that the sensor makes of the light, linear."""
    clipped = light.clamp(max=1.0)
    if exposure.sensor is None:
        return add_sensor_noise(clipped, exposure.shot_noise, exposure.read_noise, exposure.noise_seed)
    return photograph(clipped, exposure.sensor, exposure.shot_noise, exposure.read_noise, exposure.noise_seed)


def _encode(linear: Tensor, exposure: Exposure) -> Tensor:
    """Encode linear light in [0, 1] by the camera's tone curve, for the sharp and the blurry photograph alike."""
    return respond(linear.clamp(0, 1), exposure.sensor.response if exposure.sensor else "srgb")
