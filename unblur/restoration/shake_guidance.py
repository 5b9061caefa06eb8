"""The motion map of a solved camera shake: motion guidance that is measured on the photograph instead of predicted.

GLOWDeblur (arXiv 2601.06525) conditions its denoiser on motion that a network predicts from the blurry photograph.
Where the camera's path has been solved, its kernels give the same map: the straight line that has a kernel's direction
and spread stands for the path. A line of length l with even density has the variance l^2 / 12 along itself.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from unblur.deconvolution.camera_path import CameraPath
from unblur.models.motion_estimator import OUTPUT_STRIDE_PX
from unblur.models.motion_guidance import compute_motion_map

GRID_PX = 64
"""Distance of the places whose kernels are computed; roll changes them little between."""


def make_shake_guidance(path: CameraPath, left_px: int, top_px: int, width_px: int, height_px: int) -> Tensor:
    """Compute the motion map of a window of the photograph, whose sides are multiples of 32 px.

    Shape: (1, 6, height / 32, width / 32), as `unblur.models.motion_guidance.motion_map`.
    """
    return compute_motion_map(compute_shake_lines(path, left_px, top_px, width_px, height_px))


def compute_shake_lines(path: CameraPath, left_px: int, top_px: int, width_px: int, height_px: int) -> Tensor:
    """Compute the straight lines of the kernels in a window, at every 8th pixel.

    Shape: (1, 4, height / 8, width / 8) in pixels, in the form of `unblur.blur.undirected`.
    """
    rows, columns = (max(1, -(-side // GRID_PX)) for side in (height_px, width_px))
    x = left_px + (torch.arange(columns) + 0.5) * width_px / columns
    y = top_px + (torch.arange(rows) + 0.5) * height_px / rows
    places = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).flatten(0, 1)
    lines = fit_kernel_lines(path.compute_kernels_at(places)).T.reshape(1, 4, rows, columns)
    size = height_px // OUTPUT_STRIDE_PX, width_px // OUTPUT_STRIDE_PX
    return F.interpolate(lines, size, mode="bilinear", align_corners=False)


def fit_kernel_lines(kernels: Tensor) -> Tensor:
    """Compute the straight lines with the direction and the spread of kernels. (N, S, S), sum 1 -> (N, 4) px.

    A line has the form of `unblur.blur.undirected`: its middle (x, y), which is zero because kernels are centred, and
    the vector that has its length and twice its angle.
    """
    side = kernels.shape[-1]
    place = torch.arange(side, dtype=kernels.dtype) - side // 2
    across, down = kernels.sum(dim=1), kernels.sum(dim=2)
    x, y = across @ place, down @ place
    # Interpolation and the pixels' own area widen every kernel by about a twelfth.
    xx, yy = (across @ place**2 - x**2 - 1 / 12).clamp(min=0), (down @ place**2 - y**2 - 1 / 12).clamp(min=0)
    xy = torch.einsum("nij,i,j->n", kernels, place, place) - x * y
    doubled = torch.stack([xx - yy, 2 * xy], dim=1)
    spread = doubled.norm(dim=1, keepdim=True)
    largest_variance = ((xx + yy)[:, None] + spread) / 2
    vector = doubled / spread.clamp(min=1e-12) * (12 * largest_variance).sqrt()
    return torch.cat([torch.zeros_like(vector), vector], dim=1)
