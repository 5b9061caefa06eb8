"""The blur kernel, read from the streaks of small bright lights: every lamp at night draws the path of the camera.

Streaks are bright, thin, isolated, bent, and alike; lights of another shape, letters and reflections in water are not.
The kernel is the median of the streaks, each moved to where it fits their mean best. Straight streaks are not used:
edges of windows and of lettering are straight, too.

Source: Hu, Cho, Wang and Yang 2014, "Deblurring Low-light Images with Light Streaks", who read it from one streak.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from unblur.deconvolution.clipped_light import is_night
from unblur.deconvolution.kernel import clean_kernel, label_connected_parts, measure_bend

SHORTEST_PX, LONGEST_PX = 10, 58
"""Length of the streaks that are read; shorter ones have hardly a shape."""

LEAST_PEAK = 0.35
"""Smallest linear light, as a share of white, of the brightest pixel of a streak."""

LEAST_CONTRAST = 0.08
"""Smallest linear light of the pixels of a streak above their surroundings."""

DARK = 0.2
"""Largest light of the surroundings of a streak, as a share of its brightest pixel."""

LARGEST_FILL = 0.55
"""Largest area of a streak, as a share of the square of its length."""

SIZE_TOLERANCE = 0.15
"""Difference of the sides of streaks that are alike, as a share of the sides, besides two pixels."""

FEWEST = 8
"""Smallest number of streaks that are alike."""

LEAST_LIKENESS = 0.75
"""Smallest median correlation of the streaks with their mean."""

LEAST_BEND = 0.15
"""Smallest bend of the kernel, see `measure_bend`."""

USED_SHARE = 0.6
"""Share of the streaks that the kernel is the median of: those that are most like their mean."""

REACH_PX = 3
"""Largest shift of a streak in each direction to where it fits best."""

SMALLEST_VALUE = 0.04
"""Share of the kernel's largest value below which values are dropped."""


@dataclass(frozen=True, kw_only=True)
class _Streaks:
    """Bright parts of an image, their boxes as (top, left, bottom, right), and the light above the surroundings."""

    contrast: Tensor
    numbers: Tensor
    boxes: Tensor
    """(N, 4) int64, of the parts of `parts`."""
    parts: Tensor
    """(N,) int64, values of `numbers`."""

    @property
    def sides(self) -> Tensor:
        """(N, 2), heights and widths."""
        return self.boxes[:, 2:] - self.boxes[:, :2]

    def select(self, mask: Tensor) -> "_Streaks":
        """Return those for which `mask`, (N,) bool, is true."""
        return _Streaks(contrast=self.contrast, numbers=self.numbers, boxes=self.boxes[mask], parts=self.parts[mask])

    def cut(self, side: int) -> Tensor:
        """Cut out each streak without the others around it, its centre in the middle, with norm 1. (N, side, side)."""
        cut = torch.zeros(len(self.parts), side, side)
        for own, part, (top, left, bottom, right) in zip(cut, self.parts, self.boxes.tolist(), strict=True):
            light = self.contrast[top:bottom, left:right] * (self.numbers[top:bottom, left:right] == part)
            row, column = side // 2 - (bottom - top) // 2, side // 2 - (right - left) // 2
            own[row : row + bottom - top, column : column + right - left] = light / light.norm()
        return cut


def estimate_kernel_by_streaks(light: Tensor) -> Tensor | None:
    """Estimate the blur kernel from the streaks of lights at night; None without enough streaks that are alike.

    Args:
        light: (C, H, W) linear light, white being 1.

    Returns:
        (S, S) with odd S, not negative, sum 1, its centre of mass in the middle.
    """
    if not is_night(light):
        return None
    streaks = _find_streaks(light.amax(dim=0))
    if len(streaks.parts) < FEWEST:
        return None
    sides = streaks.sides.float()
    alike = ((sides[:, None] - sides).abs() <= 2 + SIZE_TOLERANCE * sides).all(dim=2)
    streaks = streaks.select(alike[:, int(alike.sum(dim=0).argmax())])
    if len(streaks.parts) < FEWEST:
        return None
    side = int(streaks.sides.max() + 2 * REACH_PX) | 1
    aligned, likeness = _align(streaks.cut(side))
    if float(likeness.median()) < LEAST_LIKENESS:
        return None
    used = aligned[likeness >= likeness.quantile(1 - USED_SHARE)]
    kernel = clean_kernel(used.median(dim=0).values, SMALLEST_VALUE)
    return kernel if measure_bend(kernel) >= LEAST_BEND else None


def _find_streaks(grey: Tensor) -> _Streaks:
    """Find bright, thin and isolated parts of an image, (H, W) linear light."""
    surroundings = _remove_small_lights(grey)
    contrast = (grey - surroundings).clamp(0, 1)
    numbers = label_connected_parts(contrast > LEAST_CONTRAST, longest_px=2 * LONGEST_PX)
    count = int(numbers.max()) + 1
    rows, columns = (numbers > 0).nonzero().unbind(1)
    own = numbers[rows, columns]

    def reduce(values: Tensor, how: str) -> Tensor:
        return values.new_zeros(count).scatter_reduce(0, own, values, how, include_self=False)

    boxes = torch.stack(
        [reduce(rows, "amin"), reduce(columns, "amin"), reduce(rows, "amax") + 1, reduce(columns, "amax") + 1], dim=1
    )
    length = (boxes[:, 2:] - boxes[:, :2]).amax(dim=1)
    peak = reduce(grey[rows, columns], "amax")
    inside = (boxes[:, :2] > 0).all(dim=1) & (boxes[:, 2:] < torch.tensor(grey.shape)).all(dim=1)
    accepted = inside & (length >= SHORTEST_PX) & (length <= LONGEST_PX) & (peak >= LEAST_PEAK)
    accepted &= own.bincount(minlength=count) <= LARGEST_FILL * length.square()
    accepted &= reduce(surroundings[rows, columns], "amax") <= DARK * peak
    found = _Streaks(contrast=contrast, numbers=numbers, boxes=boxes, parts=torch.arange(count))
    return found.select(accepted)


def _remove_small_lights(grey: Tensor) -> Tensor:
    """Replace lights that hold no square of half the longest streak by their surroundings. (H, W) -> (H, W)."""
    margin = LONGEST_PX // 4
    padded = F.pad(grey[None, None], (margin,) * 4, mode="replicate")
    smallest = -F.max_pool2d(-padded, 2 * margin + 1, stride=1)
    return F.max_pool2d(F.pad(smallest, (margin,) * 4, mode="replicate"), 2 * margin + 1, stride=1)[0, 0]


def _align(streaks: Tensor) -> tuple[Tensor, Tensor]:
    """Shift each streak to where it fits the mean of all best. (N, S, S) -> same, and (N,) correlations with it."""
    shifts = [(down, right) for down in range(-REACH_PX, REACH_PX + 1) for right in range(-REACH_PX, REACH_PX + 1)]
    shifted = torch.stack([streaks.roll(shift, (1, 2)) for shift in shifts])
    mean = streaks.mean(dim=0)
    for _ in range(4):
        likeness, best = (shifted * (mean / mean.norm())).sum(dim=(2, 3)).max(dim=0)
        aligned = shifted[best, torch.arange(len(streaks))]
        mean = aligned[likeness >= likeness.quantile(1 - USED_SHARE)].mean(dim=0)
    return aligned, likeness
