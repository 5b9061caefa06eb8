"""The camera shake of one photograph, estimated on the photograph itself.

Lights at night draw the kernel themselves. In other photographs it is estimated coarse to fine, in linear light:
correlations of the blurry photograph with its restoration by the network give a first kernel and its size; a solver
without learned weights finds a second one from strong edges; the kernel estimator combines both and predicts its own
error. Windows over the frame then refine the kernel to one camera path with roll.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from unblur.datasets.orientation import apply_dihedral, undo_dihedral
from unblur.deconvolution.camera_path import (
    CameraPath,
    add_rolls,
    centre_path,
    fit_path,
    make_single_kernel_path,
)
from unblur.deconvolution.clipped_light import CLIPPED, choose_clipping_level
from unblur.deconvolution.edges import estimate_kernel_by_edges, refine_kernel_by_edges
from unblur.deconvolution.fourier import compute_differences
from unblur.deconvolution.kernel import clean_kernel, make_point_kernel, measure_extent_px
from unblur.deconvolution.kernel_features import WINDOW_PX, compute_kernel_features
from unblur.deconvolution.least_squares import NormalEquations, correlate, join
from unblur.deconvolution.light_streaks import estimate_kernel_by_streaks
from unblur.deconvolution.noise import estimate_noise
from unblur.deconvolution.non_blind import Deconvolution, deconvolve
from unblur.errors import UnblurError
from unblur.models import KernelEstimator
from unblur.photos.color import linear_to_srgb, luminance, srgb_to_linear
from unblur.photos.photo import Photo
from unblur.restoration.network_progress import run_with_progress
from unblur.restoration.tiled import Progress, split_progress
from unblur.restoration.windows import to_float, to_tensor

CPU = torch.device("cpu")

Restore = Callable[[Tensor], Tensor]
"""A restoring network: (1, 3, H, W) sRGB in [0, 1] -> same."""

SMALLEST_PX = 64
"""Shortest side of a photograph whose shake is estimated; blur is about as large as smaller ones."""

LARGEST_REGION_PX = 1024
"""Side of the best-textured square that is estimated on, where the photograph is larger."""

LARGEST_EDGES_PX = 512
"""Side of that square for the solver without learned weights, which takes most of the time."""

LONGEST_KERNEL_PX = 48.0
"""Length above which blur is estimated in a reduced photograph, so that it fits the window of the features."""

SHARE_OF_ROLL = 0.22
"""Share of the progress of an estimate for the fit of roll; measured, like SHARES, in processor time on photographs of
0.3 and 1 megapixels."""

SHARES = (0.15, 0.18, 0.35, 0.32)
"""Shares of the progress before that for the two restorations, the solver without learned weights and its refinement.
"""

STREAKS_ERROR = 0.3
"""Expected relative error of kernels that are read from the streaks of lights, which nothing estimates."""

LEAST_DETAIL = 1e-8
"""Mean squared gradient in linear light below which a photograph is flat and does not show how the camera moved."""

SMALLEST_SIDE_PX = 9
"""Side of the smallest kernels that are fitted."""

LEAST_IMPROVEMENT = 0.8
"""Residual with roll, as a share of that without, above which roll is not accepted: it always explains a little."""

LARGEST_GROWTH = 1.3
"""Largest factor, besides two pixels, by which a fit with roll may lengthen the kernel in the middle. Roll hardly
changes that kernel; a longer one means that the fit explains something else by roll, such as a moving object."""

ROLLS = 9
"""Roll angles that are tried, evenly spread."""

EDGES_SCALE = 8.0
"""Factor of the solver's kernel among the estimator's inputs, whose values are otherwise hundredths."""

SMALLEST_VALUE = 0.01
"""Share of a kernel's largest value below which an estimated kernel's values are dropped."""


@dataclass(frozen=True, kw_only=True)
class Shake:
    """The camera shake of a photograph."""

    path: CameraPath
    """The path in pixels of the photograph."""
    confidence: float
    """1 less the expected relative error of the kernel, in [0, 1]."""
    residual: float
    """Share of the energy of the blurry gradients that the reblurred restoration does not explain, at least 0."""
    noise: float
    """Standard deviation of the noise in linear light, white being 1."""
    clipping_level: float = CLIPPED
    """Linear light from which a pixel of the photograph counts as clipped."""
    region_px: tuple[int, int, int, int]
    """(left, top, width, height) of the part of the photograph that the estimate was made on."""

    @property
    def length_px(self) -> float:
        """Length of the blur in the middle of the frame, in pixels."""
        return self.path.length_px

    @property
    def direction_deg(self) -> float:
        """Main direction: 0 is horizontal, 90 vertical, 0 to 180, counter-clockwise."""
        return self.path.direction_deg

    def to_json(self) -> str:
        """Return the shake and its path as JSON."""
        facts = {
            "confidence": round(self.confidence, 4),
            "residual": round(self.residual, 4),
            "noise": round(self.noise, 5),
            "region_px": list(self.region_px),
        }
        return json.dumps(facts | self.path.describe(), indent=2) + "\n"

    def picture(self, rows: int = 5, columns: int = 5) -> Photo:
        """Return the kernels over the frame, `rows` x `columns` of them, as a grey picture."""
        width, height = (round(2 * centre) for centre in self.path.centre_px)
        values = self.path.draw(height, width, rows, columns)
        return Photo(pixels=(values * 255).round().byte().numpy()[..., None])

    def __str__(self) -> str:
        return f"shake: {self.length_px:.0f} px, {self.direction_deg:.0f} degrees"


class ShakeEstimator:
    """Estimator of camera shake from a restoring network and a kernel estimator."""

    def __init__(self, restore: Restore, kernel_estimator: KernelEstimator) -> None:
        """Take over networks that are in evaluation mode, on the CPU."""
        self._restore = restore
        self._estimator = kernel_estimator

    @torch.inference_mode()
    def estimate(self, pixels: NDArray[Any], progress: Progress | None = None) -> Shake:
        """Estimate the shake of a photograph, (H, W, 1 or 3) sRGB of any depth. Deterministic.

        `progress` is called with the share that is done, 0 to 1; what it raises ends the estimate. Raises UnblurError
        when the photograph is smaller than SMALLEST_PX.
        """
        height, width = pixels.shape[:2]
        if min(height, width) < SMALLEST_PX:
            raise UnblurError(
                f"The shake of {width} x {height} pixels cannot be estimated; use at least {SMALLEST_PX} pixels a side."
            )
        stride = max(1, max(height, width) // LARGEST_REGION_PX)
        overview = to_tensor(to_float(pixels[::stride, ::stride]), CPU)[0]
        place = find_best_textured_region(overview, LARGEST_REGION_PX // stride)
        left, top = place[0] * stride, place[1] * stride
        side_x, side_y = min(width, LARGEST_REGION_PX), min(height, LARGEST_REGION_PX)
        left, top = min(left, width - side_x), min(top, height - side_y)
        region = to_tensor(to_float(pixels[top : top + side_y, left : left + side_x]), CPU)[0]
        light = srgb_to_linear(region)
        grey = luminance(light)
        noise = estimate_noise(grey)
        if float(compute_differences(grey).square().mean()) < LEAST_DETAIL:
            still = make_single_kernel_path(make_point_kernel(SMALLEST_SIDE_PX), (width / 2, height / 2))
            region_px = left, top, side_x, side_y
            return Shake(path=still, confidence=0.0, residual=0.0, noise=noise, region_px=region_px)
        estimating, rolling = split_progress(progress, (1 - SHARE_OF_ROLL, SHARE_OF_ROLL))
        by_streaks = estimate_kernel_by_streaks(light)
        if by_streaks is None:
            small, kernel, error = self._estimate_by_edges_and_networks(region, estimating)
        else:
            small, kernel, error = region, by_streaks, STREAKS_ERROR
        scale = small.shape[2] / side_x
        centre = (width / 2 - left) * scale, (height / 2 - top) * scale
        path, residual = self._fit_roll(small, make_single_kernel_path(kernel, centre), noise, rolling)
        path = path if scale == 1 else path.scale(1 / scale)
        if rolling:
            rolling(1.0)
        return Shake(
            path=replace(path, centre_px=(width / 2, height / 2)),
            confidence=1 - min(1.0, error),
            residual=residual,
            noise=noise,
            clipping_level=choose_clipping_level(light),
            region_px=(left, top, side_x, side_y),
        )

    def _estimate_by_edges_and_networks(
        self, region: Tensor, progress: Progress | None
    ) -> tuple[Tensor, Tensor, float]:
        """Return (3, H, W) sRGB, reduced if its blur is long, the kernel of the reduced region, and its error."""
        # A first kernel at a small size gives the scale at which the kernel fits the window of the features.
        coarse = min(1.0, LARGEST_EDGES_PX / max(region.shape[1:]))
        small = _resize(region, coarse)
        first_part, second_part, edges, refining = split_progress(progress, SHARES)
        restored, first = self._estimate_first_kernel(small, first_part)
        scale = min(1.0, LONGEST_KERNEL_PX / max(measure_extent_px(first) / coarse, 1e-3))
        if scale != coarse:
            small = _resize(region, scale)
            restored, first = self._estimate_first_kernel(small, second_part)
        kernel, error = self._estimate_kernel(small, restored, first, edges, refining)
        return small, kernel, error

    def _estimate_first_kernel(self, blurry: Tensor, progress: Progress | None) -> tuple[Tensor, Tensor]:
        """Restore (3, H, W) sRGB by the network, and estimate the kernel without the solver; return both."""
        restored = run_with_progress(self._restore, blurry[None], progress)[0].clamp(0, 1)
        return restored, predict_kernel(self._estimator, blurry, restored, None)[0]

    def _estimate_kernel(
        self,
        blurry: Tensor,
        restored: Tensor,
        first: Tensor,
        progress: Progress | None,
        refining: Progress | None,
    ) -> tuple[Tensor, float]:
        """Estimate the kernel of (3, H, W) sRGB and its error, given the results of `_estimate_first_kernel`."""
        left, top, side_x, side_y = find_best_textured_region(blurry, LARGEST_EDGES_PX)
        light = luminance(srgb_to_linear(blurry[:, top : top + side_y, left : left + side_x]))
        by_edges = estimate_kernel_by_edges(light, choose_kernel_side(first), fits=4, on_size=progress)
        return refine_kernel(self._estimator, blurry, restored, by_edges, light, refining)

    def _fit_roll(
        self, blurry: Tensor, path: CameraPath, noise: float, progress: Progress | None
    ) -> tuple[CameraPath, float]:
        """Refine the path over windows, if roll explains the photograph better, and return it with its residual."""
        light = srgb_to_linear(blurry)
        grey, unclipped = luminance(light), _mask_unclipped(light)
        sharp = deconvolve(grey[None], path, Deconvolution(noise=noise))[0].clamp(0, 1)
        side = _choose_side_with_roll(path)
        windows, places = [], []
        for top, bottom in _split_in_windows(grey.shape[0]):
            for left, right in _split_in_windows(grey.shape[1]):
                part = slice(top, bottom), slice(left, right)
                windows.append(correlate(sharp[part], grey[part], side, unclipped[part]))
                places.append([(left + right - 1) / 2, (top + bottom - 1) / 2])
        correlations, where = join(windows), torch.tensor(places)
        equations = NormalEquations(correlations)

        def compute_residual(candidate: CameraPath) -> float:
            share = equations.residual(candidate.compute_kernels_at(where))
            return float((share * correlations.blurry).sum() / correlations.blurry.sum().clamp(min=1e-20))

        start = replace(path, weights=_pad(path.weights, side))
        before = compute_residual(start)
        rolls = _choose_rolls(path, *grey.shape)
        refined = centre_path(fit_path(correlations, where, add_rolls(start, rolls), on_step=progress))
        after = compute_residual(refined)
        plausible = refined.length_px <= LARGEST_GROWTH * path.length_px + 2
        return (refined, after) if plausible and after < LEAST_IMPROVEMENT * before else (path, before)


def predict_kernel(
    estimator: nn.Module, blurry: Tensor, restored: Tensor, by_edges: Tensor | None
) -> tuple[Tensor, float]:
    """Predict the kernel and its expected relative error, averaged over the eight orientations.

    `blurry` and `restored` are (3, H, W) sRGB in [0, 1]; `by_edges` is the kernel of the solver that has no learned
    weights. A turned photograph has the turned kernel.
    """
    light, rough = (luminance(srgb_to_linear(image)) for image in (blurry, restored))
    features = build_estimator_inputs(light, rough, by_edges)
    log_kernels, log_errors = estimator(
        torch.stack([apply_dihedral(features, orientation) for orientation in range(8)])
    )
    kernels = [undo_dihedral(kernel, orientation) for orientation, kernel in enumerate(log_kernels.exp())]
    mean = torch.stack(kernels).mean(dim=0)
    return clean_kernel(mean, SMALLEST_VALUE, smallest_part=0.02), math.exp(float(log_errors.mean()) / 2)


def choose_kernel_side(kernel: Tensor) -> int:
    """Return an odd side that holds a kernel about as long as `kernel`, and some room."""
    return min(WINDOW_PX, max(SMALLEST_SIDE_PX, round(1.4 * measure_extent_px(kernel) + 8) | 1))


def refine_kernel(
    estimator: nn.Module,
    blurry: Tensor,
    restored: Tensor,
    by_edges: Tensor,
    light: Tensor,
    progress: Progress | None = None,
) -> tuple[Tensor, float]:
    """Predict the kernel, sharpen it by the solver, and return it with its expected relative error.

    The estimator's kernel is an average of the possible ones, and therefore soft; the solver sharpens it.
    `blurry` and `restored` are (3, H, W) sRGB in [0, 1]; `by_edges` is the solver's first kernel, one of the
    estimator's inputs; `light`, (H, W), is the linear luminance of a textured part.
    """
    judged, error = predict_kernel(estimator, blurry, restored, by_edges)
    margin = (WINDOW_PX - choose_kernel_side(judged)) // 2
    inner = judged[margin : WINDOW_PX - margin, margin : WINDOW_PX - margin]
    return refine_kernel_by_edges(light, inner / inner.sum().clamp(min=1e-8), on_size=progress), error


def _choose_rolls(path: CameraPath, height: int, width: int) -> tuple[float, ...]:
    """Return angles that move the corners of the frame by up to half the kernel's length and two pixels."""
    largest_px = 0.5 * path.length_px + 2
    radius_px = math.hypot(height, width) / 2
    step = 2 * largest_px / (ROLLS - 1) / radius_px
    return tuple((index - ROLLS // 2) * step for index in range(ROLLS))


def _choose_side_with_roll(path: CameraPath) -> int:
    """Return an odd side that also holds the kernels of the corners."""
    return (path.side + 2 * round(0.5 * path.length_px + 2)) | 1


def _pad(weights: Tensor, side: int) -> Tensor:
    margin = (side - weights.shape[-1]) // 2
    return F.pad(weights, (margin,) * 4)


def _split_in_windows(length: int) -> list[tuple[int, int]]:
    """Return the bounds of three windows of half the length that overlap by a half."""
    return [(start, start + length // 2) for start in (0, length // 4, length - length // 2)]


def _mask_unclipped(light: Tensor) -> Tensor:
    """Return a mask: 1 where no colour is clipped in a 5 x 5 neighbourhood, else 0. (3, H, W) -> (H, W)."""
    clipped = (light >= CLIPPED).any(dim=0).float()
    return 1 - F.max_pool2d(clipped[None, None], 5, stride=1, padding=2)[0, 0]


def build_estimator_inputs(blurry: Tensor, sharp: Tensor, by_edges: Tensor | None) -> Tensor:
    """Return the inputs of the kernel estimator. (H, W) linear light, twice, and a kernel or None -> (9, 65, 65)."""
    kernel = torch.zeros(WINDOW_PX, WINDOW_PX)
    if by_edges is not None:
        margin = (WINDOW_PX - by_edges.shape[-1]) // 2
        kernel = F.pad(by_edges, (margin,) * 4)
    return torch.cat([compute_kernel_features(blurry, sharp), EDGES_SCALE * kernel[None]])


def find_best_textured_region(blurry: Tensor, largest_px: int) -> tuple[int, int, int, int]:
    """Return (left, top, width, height) of the part with most gradients and fewest clipped pixels.

    `blurry` is (3, H, W) sRGB in [0, 1]; the part has sides of at most `largest_px`.
    """
    height, width = blurry.shape[1:]
    rows, columns = min(height, largest_px), min(width, largest_px)
    if (rows, columns) == (height, width):
        return 0, 0, width, height
    grey = blurry.mean(dim=0)
    detail = (grey[1:, 1:] - grey[:-1, 1:]).abs() + (grey[1:, 1:] - grey[1:, :-1]).abs()
    # Clamped, so that a single strong edge does not decide.
    detail = F.pad(detail.clamp(max=0.1) * ((blurry < 0.99).all(dim=0)[1:, 1:]), (1, 0, 1, 0))
    top, left = find_largest_sum(detail, rows, columns)
    return left, top, columns, rows


def find_largest_sum(detail: Tensor, rows: int, columns: int) -> tuple[int, int]:
    """Return top and left of the part with `rows` and `columns` of (H, W) that has the largest sum."""
    sums = F.pad(detail.double().cumsum(0).cumsum(1), (1, 0, 1, 0))
    boxes = sums[rows:, columns:] - sums[:-rows, columns:] - sums[rows:, :-columns] + sums[:-rows, :-columns]
    top, left = divmod(int(boxes.argmax()), boxes.shape[1])
    return top, left


def _resize(image: Tensor, scale: float) -> Tensor:
    """Resize (3, H, W) -> (3, scale * H, scale * W), in linear light, as a smaller photograph of the same scene."""
    if scale == 1:
        return image
    height, width = (max(SMALLEST_PX, round(length * scale)) for length in image.shape[1:])
    light = F.interpolate(
        srgb_to_linear(image)[None], (height, width), mode="bicubic", align_corners=False, antialias=True
    )[0]
    return linear_to_srgb(light.clamp(0, 1))
