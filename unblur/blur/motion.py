"""The true motion behind a blurry photograph: for each place, where its light came from during the exposure."""

from dataclasses import dataclass

import torch
from torch import Tensor

from unblur.blur.exposure import Exposure, Layer
from unblur.blur.matte import compute_coverage
from unblur.blur.scene import combine_poses, interpolate_disparity
from unblur.blur.trajectory import compute_calibration, compute_homographies

STRIDE_PX = 16
"""GS-Blur exports its trajectories at every 16th pixel too."""


@dataclass(frozen=True, kw_only=True)
class MotionField:
    """Offsets (x, y) in pixels from a place to where its light comes from in the sharp photograph, on a coarse grid.

    The blurry photograph is the mean over the exposure of the sharp one at these offsets, as long as nothing hides
    anything else. The mean offset is zero. Grid point (i, j) lies in the middle of its square of `stride_px`.
    """

    offsets: Tensor
    """Offsets at equal steps of time, (T, 2, h, w)."""
    stride_px: int = STRIDE_PX

    @property
    def start(self) -> Tensor:
        """(2, h, w)."""
        return self.offsets[0]

    @property
    def end(self) -> Tensor:
        """(2, h, w)."""
        return self.offsets[-1]

    @property
    def magnitude_px(self) -> Tensor:
        """Distance between the start and the end, (h, w)."""
        magnitude: Tensor = (self.end - self.start).norm(dim=0)
        return magnitude

    def fit_quadratic(self) -> Tensor:
        """Least-squares coefficients (c0, c1, c2) of offset = c0 + c1 s + c2 s^2, s from -1 to 1. (3, 2, h, w)."""
        count = len(self.offsets)
        s = torch.linspace(-1, 1, count, dtype=torch.float64) if count > 1 else torch.zeros(1, dtype=torch.float64)
        powers = torch.stack([torch.ones_like(s), s, s**2], dim=1)
        fit: Tensor = torch.linalg.pinv(powers) @ self.offsets.double().flatten(1)
        return fit.float().view(3, *self.offsets.shape[1:])

    def fit_ends(self) -> tuple[Tensor, Tensor]:
        """Offsets at the start and the end of the quadratic fit, (2, h, w) each: a path without its trembling."""
        constant, linear, square = self.fit_quadratic()
        return constant - linear + square, constant + linear + square

    def apply_dihedral(self, orientation: int) -> "MotionField":
        """The motion of the picture turned: mirrored left to right from 4 on, then by quarter turns to the left."""
        offsets = self.offsets
        if orientation >= 4:
            offsets = offsets.flip(3) * torch.tensor([-1.0, 1.0]).view(2, 1, 1)
        for _ in range(orientation % 4):
            # What pointed to the right points up, what pointed down points to the right.
            x, y = offsets.rot90(1, (2, 3)).unbind(1)
            offsets = torch.stack([y, -x], dim=1)
        return MotionField(offsets=offsets, stride_px=self.stride_px)


def compute_motion_field(exposure: Exposure, height: int, width: int, stride_px: int = STRIDE_PX) -> MotionField:
    """The motion of a picture of `height` x `width` pixels: of the nearest layer that covers half of a place."""
    rows, columns = max(1, height // stride_px), max(1, width // stride_px)
    y = (torch.arange(rows, dtype=torch.float64) + 0.5) * stride_px - 0.5
    x = (torch.arange(columns, dtype=torch.float64) + 0.5) * stride_px - 0.5
    offsets = torch.zeros(1, 2, rows, columns)
    for layer in exposure.scene:
        moved = _compute_offsets(exposure, layer, x, y, height, width)
        matte = compute_coverage(layer.matte, exposure.frame, height, width, torch.device("cpu"))[0]
        visible = (matte[y.long()][:, x.long()] >= 0.5) if layer.matte else torch.ones(rows, columns, dtype=torch.bool)
        offsets = torch.where(visible, moved, offsets)
    return MotionField(offsets=offsets, stride_px=stride_px)


def _compute_offsets(exposure: Exposure, layer: Layer, x: Tensor, y: Tensor, height: int, width: int) -> Tensor:
    """Offsets of a layer at the grid points, (T, 2, h, w)."""
    poses = combine_poses(layer, exposure)
    disparity = interpolate_disparity(layer, exposure.frame, height, width, torch.device("cpu"))
    relief = disparity[y.long()][:, x.long()].double() if isinstance(disparity, Tensor) else torch.tensor(disparity)
    # H = K R K^-1 plus, per unit of disparity, K t in its last column.
    rotations = compute_homographies(poses, exposure.focal_px, exposure.principal_px, disparity=0.0)
    shift = poses[:, 3:] @ compute_calibration(exposure.focal_px, exposure.principal_px).T
    u, v, w = (
        (
            rotations[:, i, 0, None, None] * x
            + rotations[:, i, 1, None, None] * y[:, None]
            + rotations[:, i, 2, None, None]
        )
        + relief * shift[:, i, None, None]
        for i in range(3)
    )
    offsets = torch.stack([u / w - x, v / w - y[:, None]], dim=1)
    if exposure.readout > 0:
        offsets = _select_row_paths(offsets, exposure, y)
    return offsets.float()


def _select_row_paths(offsets: Tensor, exposure: Exposure, y: Tensor) -> Tensor:
    """The part of the path that each row of a rolling shutter sees, at as many steps. (T, 2, h, w) -> same."""
    frame, last = exposure.frame, len(offsets) - 1
    row = ((y - frame.top_px) / max(1, frame.height_px - 1)).clamp(0, 1)
    time = torch.linspace(0, 1 - exposure.readout, len(offsets), dtype=torch.float64)
    index = (exposure.readout * row + time[:, None]) * last
    low = index.floor().long().clamp(max=last - 1)
    share = (index - low)[:, None, :, None]
    rows = torch.arange(len(y))
    met = offsets[low, :, rows].movedim(2, 1) * (1 - share) + offsets[low + 1, :, rows].movedim(2, 1) * share
    return met - met.mean(dim=0)
