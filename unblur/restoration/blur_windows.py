"""What windows of a photograph show of its blur, in numbers.

Three kinds of evidence: how much the restoring network changes a window, because it undoes motion and leaves focus
alone; the kernel that the kernel estimator finds between the window and its restoration; and the power of spatial
frequencies by direction, because motion removes fine detail along one direction and a lens out of focus along all.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, fft

from unblur.checkpoints.folder import BUNDLED_KERNEL_ESTIMATOR, load_checkpoint
from unblur.deconvolution.kernel import compute_centroid, measure_extent_px
from unblur.models import KernelEstimator
from unblur.photos.color import luma, luminance, srgb_to_linear
from unblur.restoration.shake import build_estimator_inputs

Restore = Callable[[Tensor], Tensor]
"""A restoring network: (1, 3, H, W) sRGB in [0, 1] -> same."""

WINDOW_PX, STEP_PX = 96, 48
"""Side of the windows and distance between them."""

LEAST_TEXTURE = 1.5 / 255
"""Mean absolute difference of pixels from the means of 9 x 9 pixels below which a place does not show its blur."""

SMALLEST_VALUE = 0.02
"""Share of a kernel's largest value below which its values are dropped."""

NEAR_PX = 2
"""Light of a kernel within this distance of its middle, in both directions, does not blur visibly."""

SPECTRUM_PX, SECTORS = 32, 8
"""Side of the squares whose spectra are averaged, and the number of directions."""

BANDS = (0.04, 0.1, 0.17, 0.25, 0.36, 0.5)
"""Borders of the bands of spatial frequencies, in cycles per pixel."""

FEATURES = 27


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Windows of one picture, N of them, row by row."""

    corners: tuple[tuple[int, int], ...]
    """(left, top) of each window in pixels."""
    features: Tensor
    """(N, FEATURES)."""
    length_px: Tensor
    """(N,): length of the kernel, the diagonal of the box around it."""
    doubled: Tensor
    """(N, 2): elongation of the kernel with its angle doubled, x to the right and y upwards."""
    texture: Tensor
    """(N,): share of the window that has texture."""


class WindowMeter:
    """Measures windows with a restoring network and the bundled kernel estimator."""

    def __init__(self, restore: Restore) -> None:
        estimator = load_checkpoint(BUNDLED_KERNEL_ESTIMATOR).model
        assert isinstance(estimator, KernelEstimator)
        self._restore, self._estimator = restore, estimator

    @torch.inference_mode()
    def measure(self, image: Tensor) -> Windows:
        """Measure (3, H, W) sRGB in [0, 1]."""
        restored = self._restore(image[None])[0].clamp(0, 1)
        light, rough = (luminance(srgb_to_linear(picture)) for picture in (image, restored))
        grey, clear = luma(image), luma(restored)
        textured = _textured(grey)
        rows, lengths, doubled, texture, corners = [], [], [], [], []
        for top in _starts(image.shape[1]):
            for left in _starts(image.shape[2]):
                part = slice(top, top + WINDOW_PX), slice(left, left + WINDOW_PX)
                log_kernel, log_error = self._estimator(build_estimator_inputs(light[part], rough[part], None)[None])
                kernel = log_kernel[0].exp()
                kernel = torch.where(kernel < SMALLEST_VALUE * kernel.max(), 0, kernel)
                kernel /= kernel.sum()
                numbers, elongation = _of_kernel(kernel)
                rows.append(torch.cat([numbers, log_error, _of_change(grey[part], clear[part])]))
                lengths.append(measure_extent_px(kernel))
                doubled.append(elongation)
                texture.append(float(textured[part].mean()))
                corners.append((left, top))
        return Windows(
            corners=tuple(corners),
            features=torch.stack(rows),
            length_px=torch.tensor(lengths),
            doubled=torch.stack(doubled),
            texture=torch.tensor(texture),
        )


def _starts(length: int) -> list[int]:
    if length <= WINDOW_PX:
        return [0]
    count = math.ceil((length - WINDOW_PX) / STEP_PX) + 1
    return [round(index * (length - WINDOW_PX) / (count - 1)) for index in range(count)]


def _textured(grey: Tensor) -> Tensor:
    """1 where a photograph, (H, W), has texture, 0 elsewhere."""
    around = F.avg_pool2d(grey[None, None], 9, 1, 4, count_include_pad=False)
    detail = F.avg_pool2d((grey - around).abs(), 17, 1, 8, count_include_pad=False)
    return (detail[0, 0] >= LEAST_TEXTURE).float()


def _of_kernel(kernel: Tensor) -> tuple[Tensor, Tensor]:
    """Light near the middle, length, and spread along and across the main direction; and the elongation."""
    middle = kernel.shape[0] // 2
    near = slice(middle - NEAR_PX, middle + NEAR_PX + 1)
    x, y = compute_centroid(kernel)
    places = torch.arange(kernel.shape[0]) - middle
    right = float((kernel.sum(0) * (places - x).square()).sum())
    down = float((kernel.sum(1) * (places - y).square()).sum())
    both = float((kernel * (places - x) * (places - y)[:, None]).sum())
    elongation = torch.tensor([right - down, -2 * both])
    longest, total = float(elongation.norm()), right + down
    spread = [math.log(0.1 + (total + longest) / 2), math.log(0.1 + max(0.0, total - longest) / 2)]
    return torch.tensor([float(kernel[near, near].sum()), math.log(1 + measure_extent_px(kernel)), *spread]), elongation


def _of_change(grey: Tensor, clear: Tensor) -> Tensor:
    """What restoration changes, and the spectra before and after. (h, w), twice -> (22,)."""
    energy = _gradients(grey) + 1e-7
    changes = torch.stack([_gradients(clear - grey) / energy, _gradients(clear) / energy]).clamp(min=1e-6).log()
    before, after = _spectrum(grey), _spectrum(clear)
    level, lopsided = _by_direction(before)
    change, changed_lopsided = _by_direction(after - before)
    finer = level[1:] - level[:-1]
    return torch.cat([changes, finer, level[-1:], lopsided, change, changed_lopsided])


def _gradients(grey: Tensor) -> Tensor:
    return grey.diff(dim=0).square().mean() + grey.diff(dim=1).square().mean()


def _spectrum(grey: Tensor) -> Tensor:
    """Logarithm of the mean power of each band and sector. (h, w) -> (bands, SECTORS)."""
    masks, window = _masks()
    squares = (255 * grey).unfold(0, SPECTRUM_PX, SPECTRUM_PX // 2).unfold(1, SPECTRUM_PX, SPECTRUM_PX // 2)
    squares = squares - squares.mean(dim=(-2, -1), keepdim=True)
    power = fft.rfft2(squares * window).abs().square().mean(dim=(0, 1))
    return (masks @ power.flatten()).clamp(min=1e-3).log().view(len(BANDS) - 1, SECTORS)


@cache
def _masks() -> tuple[Tensor, Tensor]:
    """Averages over bands and sectors, (bands * SECTORS, frequencies), and the window of the squares."""
    y, x = fft.fftfreq(SPECTRUM_PX)[:, None], fft.rfftfreq(SPECTRUM_PX)
    radius, angle = torch.hypot(y, x), torch.atan2(y, x) % math.pi
    sector = (angle / math.pi * SECTORS).round().long() % SECTORS
    masks = torch.stack(
        [
            ((radius >= low) & (radius < high) & (sector == number)).float().flatten()
            for low, high in pairwise(BANDS)
            for number in range(SECTORS)
        ]
    )
    hann = torch.hann_window(SPECTRUM_PX, periodic=False)
    return masks / masks.sum(dim=1, keepdim=True).clamp(min=1), hann[:, None] * hann


def _by_direction(spectrum: Tensor) -> tuple[Tensor, Tensor]:
    """Mean over the directions, and how much the spectrum differs between them, for each band."""
    angles = 2 * math.pi * torch.arange(SECTORS) / SECTORS
    across, along = ((spectrum * wave(angles)).mean(dim=1) for wave in (torch.cos, torch.sin))
    return spectrum.mean(dim=1), 2 * torch.hypot(across, along)
