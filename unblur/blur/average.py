"""Averages the scene over the poses of an exposure, as the sensor does.

Three ways, chosen by what moves. Layers that hide each other are put together at every pose, because light that
an object blocked for half of the exposure is half there. A single layer needs no putting together. And where the
whole crop is displaced alike at every pose, the mean is a convolution, which costs the same for any number of poses.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from unblur.blur.exposure import Exposure
from unblur.blur.scene import LayerPicture, combine_poses, composite
from unblur.blur.trajectory import compute_calibration, compute_displacements, compute_homographies

T = TypeVar("T")

VALUES_AT_ONCE = 2**25
"""The number of values that an accelerator renders at once: 128 MiB."""


def average_over_poses(
    layers: Sequence[LayerPicture],
    exposure: Exposure,
    margin_px: int = 0,
    tolerance_px: float = 0.0,
    poses_at_once: int | None = None,
) -> Tensor:
    """Mean light over the exposure, bilinearly sampled. Layers of (H, W) -> (3, H - 2 margin, W - 2 margin).

    A crop whose displacements differ by at most `tolerance_px` from those of its centre is convolved instead.
    `poses_at_once` is how many views are made together; by default as many as suit the device of the layers.
    """
    height, width = layers[0].light.shape[1:]
    rows, columns = height - 2 * margin_px, width - 2 * margin_px
    poses = [combine_poses(picture.layer, exposure) for picture in layers]
    if not any(bool(path.any()) for path in poses):
        return composite([picture.light for picture in layers])[
            :, margin_px : margin_px + rows, margin_px : margin_px + columns
        ]
    if len(layers) == 1 and tolerance_px > 0:
        path = _find_uniform_path(exposure, layers[0], poses[0], margin_px, tolerance_px)
        if path is not None:
            return _convolve(layers[0].light, path, margin_px)
    grids = [
        _compute_sampling_grids(exposure, picture, path, margin_px) for picture, path in zip(layers, poses, strict=True)
    ]
    total, count = torch.zeros(3, rows, columns, device=layers[0].light.device), 0
    for places in _split_in_batches(zip(*grids, strict=True), poses_at_once or _choose_batch(total)):
        batch = [torch.stack(of_layer) for of_layer in zip(*places, strict=True)]
        total += composite(
            [_shift_layer(picture.light, grid) for picture, grid in zip(layers, batch, strict=True)]
        ).sum(dim=0)
        count += len(places)
    return total / count


def _choose_batch(view: Tensor) -> int:
    # A processor is fastest while one view stays in its cache; an accelerator waits for work unless there is much.
    return 1 if view.device.type == "cpu" else max(1, VALUES_AT_ONCE // view.numel())


def _split_in_batches(items: Iterator[T], size: int) -> Iterator[list[T]]:
    while batch := list(islice(items, size)):
        yield batch


def _shift_layer(light: Tensor, places: Tensor) -> Tensor:
    """(C, H, W) at places (n, h, w, 2) -> (n, C, h, w)."""
    pictures = light.expand(len(places), -1, -1, -1)
    return F.grid_sample(pictures, places, padding_mode="reflection", align_corners=False)


def _compute_sampling_grids(
    exposure: Exposure, picture: LayerPicture, poses: Tensor, margin_px: int
) -> Iterator[Tensor]:
    """Return, for each instant, the coordinates in the layer of every pixel, as grid_sample needs them: (H, W, 2)."""
    device = picture.light.device
    height, width = picture.light.shape[1:]
    rows, columns = height - 2 * margin_px, width - 2 * margin_px
    disparity = picture.disparity
    plane = disparity if isinstance(disparity, float) else 1.0
    # Pixel (x, y) of the result -> grid_sample's coordinates of the layer, in which -1 and 1 are its outer edges.
    to_pixel = torch.tensor([[1, 0, margin_px], [0, 1, margin_px], [0, 0, 1]], dtype=torch.float64)
    to_grid = torch.tensor(
        [[2 / width, 0, 1 / width - 1], [0, 2 / height, 1 / height - 1], [0, 0, 1]], dtype=torch.float64
    )
    maps = to_grid @ compute_homographies(poses, exposure.focal_px, exposure.principal_px, plane) @ to_pixel
    # Per unit of disparity, translation adds this to the homogeneous coordinates: K t.
    shifts = poses[:, 3:] @ (to_grid @ compute_calibration(exposure.focal_px, exposure.principal_px)).T
    both = torch.cat([maps, shifts[:, :, None]], dim=2)
    if exposure.readout > 0:
        at_rest = torch.cat([to_grid @ to_pixel, torch.zeros(3, 1, dtype=torch.float64)], dim=1)
        both = _subtract_row_means(both, exposure, rows, margin_px) + at_rest
    relief: Tensor | float = 0.0
    if isinstance(disparity, Tensor):
        relief = disparity[margin_px : margin_px + rows, margin_px : margin_px + columns] - 1
    x = torch.arange(columns, dtype=torch.float32, device=device)
    y = torch.arange(rows, dtype=torch.float32, device=device)[:, None]
    for h in both.float().to(device):
        u, v, w = (h[..., i, 0] * x + (h[..., i, 1] * y + h[..., i, 2]) + relief * h[..., i, 3] for i in range(3))
        yield torch.stack([u / w, v / w], dim=-1)


def _subtract_row_means(values: Tensor, exposure: Exposure, rows: int, margin_px: int) -> Tensor:
    """`values` at the poses as each row of a rolling shutter meets them, less the row's mean over its exposure.

    The mean is taken off because a rolling shutter also bends the picture, and the sharp photograph is bent alike.
    Shape: (T, ...) -> (instants, rows, 1, ...).
    """
    frame, last = exposure.frame, len(values) - 1
    row = (torch.arange(rows, dtype=torch.float64) + margin_px - frame.top_px) / max(1, frame.height_px - 1)
    instants = torch.arange(max(2, round((1 - exposure.readout) * last) + 1), dtype=torch.float64)
    index = (exposure.readout * last * row.clamp(0, 1) + instants[:, None]).clamp(max=last)
    low = index.floor().long().clamp(max=last - 1)
    share = (index - low)[..., None, None]
    met = values[low] * (1 - share) + values[low + 1] * share
    return (met - met.mean(dim=0))[:, :, None]


def _find_uniform_path(
    exposure: Exposure, picture: LayerPicture, poses: Tensor, margin_px: int, tolerance_px: float
) -> Tensor | None:
    """Displacement (T, 2) of the crop if it is the same everywhere but for the tolerance."""
    if exposure.readout > 0 or isinstance(picture.disparity, Tensor):
        return None
    height, width = picture.light.shape[1:]
    across = [margin_px, (width - 1) / 2, width - 1 - margin_px]
    down = [margin_px, (height - 1) / 2, height - 1 - margin_px]
    points = torch.tensor([[x, y] for y in down for x in across])
    # The path is given in pixels of the crop, margin included, and so is the principal point.
    moved = compute_displacements(poses, exposure.focal_px, exposure.principal_px, points, picture.disparity)
    centre = moved[:, 4]
    return centre if float((moved - centre[:, None]).norm(dim=-1).max()) <= tolerance_px else None


def _convolve(light: Tensor, path: Tensor, margin_px: int) -> Tensor:
    """Mean of `light` displaced along `path` (T, 2) in pixels, bilinearly: one convolution, by FFT."""
    reach = math.ceil(float(path.abs().max())) + 1
    side = 2 * reach + 1
    low = path.floor()
    share = path - low
    kernel = torch.zeros(side * side)
    for dx in (0, 1):
        for dy in (0, 1):
            weight = (share[:, 0] if dx else 1 - share[:, 0]) * (share[:, 1] if dy else 1 - share[:, 1])
            place = (low[:, 1] + dy + reach) * side + low[:, 0] + dx + reach
            kernel.index_add_(0, place.long(), weight / len(path))
    kernel = kernel.view(side, side).to(light.device)
    outside = max(0, reach - margin_px)
    if outside:
        light = F.pad(light[None], (outside,) * 4, mode="reflect")[0]
    # A product with the conjugate is a correlation: a pixel gathers what lies at its displacements.
    size = light.shape[1:]
    spectrum = torch.fft.rfft2(light) * torch.fft.rfft2(kernel, s=size).conj()
    full = torch.fft.irfft2(spectrum, s=size)
    first = margin_px + outside - reach
    rows, columns = (length - 2 * (margin_px + outside) for length in size)
    blurred: Tensor = full[:, first : first + rows, first : first + columns].clamp(min=0)
    return blurred
