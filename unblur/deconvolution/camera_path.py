"""The movement of a camera during an exposure as the time that it spent at each pose: translation and roll.

A photograph does not determine the order of the poses, so a path is a density over them. Blur then varies over the
frame in the way that one moving camera makes it vary: the kernel at a place is the density with each roll's layer
displaced by the roll's displacement there. Whyte et al. 2012, "Non-uniform Deblurring for Shaken Images", give the
model; windows with one kernel each, tied together by one global camera, are those of Hirsch et al. 2011, "Fast Removal
of Non-uniform Camera Shake".
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from unblur.deconvolution.kernel import compute_centroid, measure_direction_deg, measure_extent_px, resize_kernel
from unblur.deconvolution.least_squares import RIDGE, Correlations, NormalEquations, minimise_non_negative


@dataclass(frozen=True, kw_only=True)
class CameraPath:
    """Durations for which a camera stayed at each pose."""

    weights: Tensor
    """(R, S, S): share of the exposure at each roll and translation, not negative, sum 1. S is odd; the translation
    (x, y) in pixels, right and down, lies at (S // 2 + y, S // 2 + x)."""
    roll_rad: tuple[float, ...]
    """The R roll angles in radians, clockwise in the image."""
    centre_px: tuple[float, float]
    """(x, y) of the place in the photograph that roll leaves where it is."""

    @property
    def side(self) -> int:
        """The side S of the kernels."""
        return self.weights.shape[-1]

    def compute_kernels_at(self, places_px: Tensor) -> Tensor:
        """Return the blur kernels at places (x, y) of the photograph, as convolution kernels.

        (N, 2) -> (N, S, S), sum 1.
        """
        kernels = _displace_and_sum(self.weights, _compute_roll_displacements(places_px, self))
        return kernels / kernels.sum(dim=(1, 2), keepdim=True).clamp(min=1e-8)

    def compute_kernel_at(self, x_px: float, y_px: float) -> Tensor:
        """Return the blur kernel at one place, (S, S) with sum 1."""
        return self.compute_kernels_at(torch.tensor([[x_px, y_px]]))[0]

    @property
    def central_kernel(self) -> Tensor:
        """The kernel at `centre_px`, (S, S) with sum 1."""
        return self.compute_kernel_at(*self.centre_px)

    @property
    def length_px(self) -> float:
        """Length of the central kernel, see `measure_extent_px`."""
        return measure_extent_px(self.central_kernel)

    @property
    def direction_deg(self) -> float:
        """Return the main direction of the central kernel: 0 is horizontal, 90 vertical, counter-clockwise."""
        return measure_direction_deg(self.central_kernel)

    @property
    def concentration(self) -> float:
        """Share of the central kernel's light that lies within two pixels of its middle, in both directions."""
        kernel, middle = self.central_kernel, self.side // 2
        first = max(0, middle - 2)
        return float(kernel[first : middle + 3, first : middle + 3].sum())

    @property
    def roll_range_rad(self) -> float:
        """Width of the range of rolls that holds all but 1 % of the exposure on each side."""
        shares = self.weights.sum(dim=(1, 2))
        below = shares.cumsum(0) / shares.sum()
        used = [
            angle
            for angle, share, own in zip(self.roll_rad, below, shares, strict=True)
            if share > 0.01 and share - own / shares.sum() < 0.99
        ]
        return max(used) - min(used) if used else 0.0

    def compute_variation_px(self, height_px: int, width_px: int) -> float:
        """Return the largest difference in pixels that roll makes between the kernels at two corners of a window."""
        return self.roll_range_rad * math.hypot(height_px, width_px)

    def scale(self, factor: float) -> "CameraPath":
        """Return the same movement in the photograph scaled by `factor`."""
        side = max(3, round(self.side * factor) | 1)
        weights = torch.stack([layer.sum() * resize_kernel(layer, side) for layer in self.weights])
        x, y = self.centre_px
        return replace(self, weights=weights, centre_px=(x * factor, y * factor))

    def describe(self) -> dict[str, Any]:
        """Return the path for JSON: poses and their shares of the exposure, but those below 0.001 of the largest."""
        half = self.side // 2
        largest = float(self.weights.max())
        poses = [
            {"x_px": column - half, "y_px": row - half, "roll_rad": self.roll_rad[roll], "share": round(share, 6)}
            for roll, row, column in (self.weights > largest / 1000).nonzero().tolist()
            for share in [float(self.weights[roll, row, column])]
        ]
        return {
            "centre_px": list(self.centre_px),
            "length_px": round(self.length_px, 2),
            "direction_deg": round(self.direction_deg, 1),
            "roll_range_rad": round(self.roll_range_rad, 6),
            "poses": poses,
        }

    def draw(self, height_px: int, width_px: int, rows: int = 5, columns: int = 5) -> Tensor:
        """Return the kernels over a photograph of that size as one image, brightest values white. (H, W) in [0, 1]."""
        places = torch.tensor(
            [
                [(column + 0.5) / columns * width_px, (row + 0.5) / rows * height_px]
                for row in range(rows)
                for column in range(columns)
            ]
        )
        kernels = self.compute_kernels_at(places)
        framed = F.pad(kernels / kernels.amax(dim=(1, 2), keepdim=True), (1,) * 4)
        return framed.view(rows, columns, self.side + 2, self.side + 2).transpose(1, 2).flatten(2).flatten(0, 1)


def make_single_kernel_path(kernel: Tensor, centre_px: tuple[float, float] = (0.0, 0.0)) -> CameraPath:
    """Return a path without roll, whose kernel is the same everywhere. `kernel`: (S, S), not negative."""
    return CameraPath(weights=(kernel / kernel.sum())[None], roll_rad=(0.0,), centre_px=centre_px)


def add_rolls(path: CameraPath, roll_rad: tuple[float, ...]) -> CameraPath:
    """Return the same path on a finer set of rolls, all of its time at the one that is nearest to zero."""
    weights = path.weights.new_zeros(len(roll_rad), path.side, path.side)
    weights[min(range(len(roll_rad)), key=lambda index: abs(roll_rad[index]))] = path.weights.sum(dim=0)
    return replace(path, weights=weights, roll_rad=roll_rad)


def fit_path(
    correlations: Correlations,
    places_px: Tensor,
    start: CameraPath,
    *,
    ridge: float = RIDGE,
    iterations: int = 100,
    on_step: Callable[[float], None] | None = None,
) -> CameraPath:
    """Return the path that best explains all windows, by projected gradients (FISTA: Beck and Teboulle 2009).

    `places_px`, (P, 2), are the middles (x, y) of the windows that `correlations` belong to. `on_step` is called in
    each iteration with the share of the work that is done; exceptions from it end the fit.
    """
    steps = count(1)
    equations = NormalEquations(correlations)
    moved = _compute_roll_displacements(places_px, start)
    energy = float(correlations.energy.sum())
    bound = float(equations.largest_eigenvalue.sum()) * len(start.roll_rad) + ridge * energy

    def gradient(weights: Tensor) -> Tensor:
        if on_step is not None:
            on_step(min(1.0, next(steps) / iterations))
        error = equations.apply(_displace_and_sum(weights, moved)) - correlations.cross
        return _displace_back(error, moved) + ridge * energy * weights

    weights = minimise_non_negative(gradient, start.weights, step=1 / bound, iterations=iterations)
    return replace(start, weights=weights / weights.sum().clamp(min=1e-8))


def centre_path(path: CameraPath) -> CameraPath:
    """Return the path with the centre of mass of its translations in the middle, by whole pixels."""
    x, y = (round(value) for value in compute_centroid(path.weights.sum(dim=0)))
    return replace(path, weights=path.weights.roll((-y, -x), (1, 2)))


def _compute_roll_displacements(places_px: Tensor, path: CameraPath) -> Tensor:
    """Return the displacement (x, y) in pixels of each place by each roll. (N, 2) -> (N, R, 2)."""
    away = places_px - torch.tensor(path.centre_px)
    turned = torch.stack([-away[:, 1], away[:, 0]], dim=1)
    return turned[:, None] * torch.tensor(path.roll_rad)[:, None]


def _displace_and_sum(weights: Tensor, moved_px: Tensor) -> Tensor:
    """Return the sum of all layers, each displaced. (R, S, S) and (N, R, 2) -> (N, S, S)."""
    places, rolls = moved_px.shape[:2]
    layers = weights.expand(places, -1, -1, -1).reshape(places * rolls, 1, *weights.shape[1:])
    return _shift(layers, moved_px.flatten(0, 1)).view(places, rolls, *weights.shape[1:]).sum(dim=1)


def _displace_back(kernels: Tensor, moved_px: Tensor) -> Tensor:
    """Return the adjoint of `_displace_and_sum`. (N, S, S) and (N, R, 2) -> (R, S, S)."""
    places, rolls = moved_px.shape[:2]
    layers = kernels[:, None].expand(-1, rolls, -1, -1).reshape(places * rolls, 1, *kernels.shape[1:])
    return _shift(layers, -moved_px.flatten(0, 1)).view(places, rolls, *kernels.shape[1:]).sum(dim=0)


def _shift(images: Tensor, moved_px: Tensor) -> Tensor:
    """Return images displaced by (x, y) pixels, right and down, bilinearly; zero comes in.

    (M, 1, S, S) and (M, 2) -> same.
    """
    side = images.shape[-1]
    if not bool(moved_px.any()):
        return images
    places = torch.arange(side, dtype=images.dtype)
    x = places[None, None, :] - moved_px[:, 0, None, None]
    y = places[None, :, None] - moved_px[:, 1, None, None]
    shape = len(images), side, side
    grid = torch.stack([((2 * x + 1) / side - 1).expand(shape), ((2 * y + 1) / side - 1).expand(shape)], dim=-1)
    return F.grid_sample(images, grid, padding_mode="zeros", align_corners=False)
