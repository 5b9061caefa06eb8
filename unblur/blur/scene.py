"""Renders the layers of a scene as images for any pose: colour, coverage, distance, focus."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from unblur.blur.exposure import Exposure, Layer
from unblur.blur.matte import Frame, compute_coverage


@dataclass(frozen=True, kw_only=True)
class LayerPicture:
    """The image of a layer, in linear light."""

    light: Tensor
    """(4, H, W): colour times coverage, then coverage; (3, H, W) for a layer that fills the frame."""
    disparity: Tensor | float
    """(H, W), or one number for a plane that faces the camera."""
    layer: Layer


def render_layers(scene: Tensor, exposure: Exposure, pictures: Sequence[Tensor | None]) -> list[LayerPicture]:
    """Return the visible layers of `exposure`, from far to near. `scene` is the exposed image, (3, H, W), linear.

    `pictures` holds, for each layer, the picture (3, H, W) that it shows instead of `scene`, or None.
    """
    rows, columns = scene.shape[1:]
    layers = exposure.scene
    mattes = [compute_coverage(layer.matte, exposure.frame, rows, columns, scene.device) for layer in layers]
    result: list[LayerPicture] = []
    # Behind what is cut out of the scene itself, the scene continues somehow; nobody may see it twice.
    cut_out = [matte for layer, matte in zip(layers, mattes, strict=True) if layer.matte and not layer.picture]
    behind = fill_holes(scene, 1 - torch.stack(cut_out).amax(dim=0)) if cut_out else scene
    for layer, matte, picture in zip(layers, mattes, pictures or [None] * len(layers), strict=True):
        if layer.matte and not bool(matte.any()):
            continue  # Out of sight, as most things are in a small crop.
        if layer.matte:
            colour = scene if picture is None else picture
            light = torch.cat([colour * matte, matte])
        else:
            light = behind if picture is None else picture
        result.append(
            LayerPicture(
                light=defocus(light, layer.defocus_px),
                disparity=interpolate_disparity(layer, exposure.frame, rows, columns, scene.device),
                layer=layer,
            )
        )
    return result


def composite(lights: Sequence[Tensor]) -> Tensor:
    """Each layer over those behind it (Porter and Duff 1984). Layers' `light` from far to near -> (..., 3, H, W)."""
    total = lights[0]
    for light in lights[1:]:
        total = total * (1 - light[..., 3:, :, :]) + light[..., :3, :, :]
    return total


def combine_poses(layer: Layer, exposure: Exposure) -> Tensor:
    """The layer's poses: the camera's and, added to them, its own. (T, 6), float64."""
    camera = torch.tensor(exposure.poses, dtype=torch.float64)
    return camera + torch.tensor(layer.poses, dtype=torch.float64) if layer.poses else camera


def fill_holes(picture: Tensor, weight: Tensor) -> Tensor:
    """`picture` where `weight` is 1, and a smooth continuation of it where `weight` is 0. (3, H, W), (1, H, W).

    Push-pull: averages of ever larger neighbourhoods fill what the smaller ones leave open
    (Gortler et al. 1996, "The Lumigraph", section 3.5).
    """
    level, levels = torch.cat([picture * weight, weight])[None], []
    while min(level.shape[2:]) > 1:
        levels.append(level)
        level = F.avg_pool2d(level, 2, ceil_mode=True, count_include_pad=False)
    fill = level[:, :3] / level[:, 3:].clamp(min=1e-4)
    for finer in reversed(levels):
        fill = F.interpolate(fill, finer.shape[2:], mode="bilinear", align_corners=False)
        fill = finer[:, :3] + (1 - finer[:, 3:]) * fill
    return fill[0]


def defocus(light: Tensor, radius_px: float) -> Tensor:
    """Every point spread over a disk with a soft edge of one pixel. (C, H, W) -> same."""
    if radius_px == 0:
        return light
    reach = int(radius_px) + 1
    offsets = torch.arange(-reach, reach + 1, dtype=light.dtype, device=light.device)
    disk = (radius_px + 0.5 - torch.hypot(offsets[:, None], offsets)).clamp(0, 1)
    kernel = (disk / disk.sum()).expand(light.shape[0], 1, -1, -1)
    padded = F.pad(light[None], (reach,) * 4, mode="replicate")
    return F.conv2d(padded, kernel, groups=light.shape[0])[0]


def interpolate_disparity(layer: Layer, frame: Frame, rows: int, columns: int, device: torch.device) -> Tensor | float:
    """The layer's control grid, bilinear (2 x 2) or bicubic between its points, at every pixel."""
    grid = layer.disparity
    if len(grid) == len(grid[0]) == 1:
        return grid[0][0]
    x = (torch.arange(columns, dtype=torch.float32, device=device) - frame.left_px) / (frame.width_px - 1) * 2 - 1
    y = (torch.arange(rows, dtype=torch.float32, device=device) - frame.top_px) / (frame.height_px - 1) * 2 - 1
    places = torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1], dim=-1)[None]
    control = torch.tensor(grid, device=device)[None, None]
    mode = "bilinear" if max(len(grid), len(grid[0])) == 2 else "bicubic"
    return F.grid_sample(control, places, mode=mode, padding_mode="border", align_corners=True)[0, 0]
