"""Estimates length and direction of even, straight motion blur.

Source: Yitzhaky, Mor, Lantzman, Kopeika, "Direct method for restoration of motion-blurred images", Journal of the
Optical Society of America A 15(6), 1998 (and Yitzhaky, Kopeika, Graphical Models and Image Processing 59(5), 1997):

- direction: blur takes most from the slopes along the motion, so their sum is least in its direction;
- length: the derivative of a picture along the motion is, with even motion, the difference of the scene and of the
  scene one blur length further, so that its autocorrelation along the motion is least at that length.

Pictures are whitened first, there by a derivative across the motion, here by one that is the same in all directions,
since nature's spectra fall alike in all. Derivatives are made in the frequency domain, in a window that hides the
borders.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from unblur.blur.kernel import compute_path_kernel

STEP_DEG = 3
LONGEST_PX = 40
SHORTEST_PX = 3
"""The shortest length that differs from the interpolation between pixels; shorter blur counts as none."""
FINEST_PX = 3.0
"""Waves shorter than this are left out: they are noise in blurred pictures."""
CLEAR = 0.2
"""Depth of the autocorrelation's minimum, relative to its value at zero, for the length to be accepted. It was 0.2 and
more in most of eleven photographs from training that were blurred evenly, and 0.14 or less in nine of them sharp."""


@dataclass(frozen=True, kw_only=True)
class LineBlur:
    """Even, straight motion: its length in pixels, 0 for none that is visible, and its direction in degrees.

    Directions run from right (0) over down (90), half a turn: opposite directions blur alike.
    """

    length_px: float
    angle_deg: float


def estimate_line_blur(picture: Tensor) -> LineBlur:
    """Estimate the blur of (3, H, W) linear light in [0, 1]."""
    height, width = picture.shape[1:]
    longest = min(LONGEST_PX, min(height, width) // 3)
    grey = picture.double().mean(0)
    window = torch.outer(*(torch.hann_window(side, periodic=False, dtype=torch.float64) for side in (height, width)))
    power = torch.fft.fft2((grey - grey.mean()) * window).abs().square()
    down = 2 * math.pi * torch.fft.fftfreq(height, dtype=torch.float64)[:, None]
    right = 2 * math.pi * torch.fft.fftfreq(width, dtype=torch.float64)[None]
    radius = (right.square() + down.square()).sqrt()
    whitened = power * radius.square() * (radius < 2 * math.pi / FINEST_PX)
    angles = torch.arange(0, 180, STEP_DEG, dtype=torch.float64).deg2rad()
    along = [(math.cos(angle) * right + math.sin(angle) * down).square() for angle in angles.tolist()]
    place = min(range(len(along)), key=lambda index: float((whitened * along[index]).sum()))
    direction = float(angles[place])
    correlation = torch.fft.ifft2(whitened * along[place]).real
    if longest < SHORTEST_PX or float(correlation[0, 0]) <= 0:
        return LineBlur(length_px=0.0, angle_deg=math.degrees(direction))
    line = _sample_along(correlation / correlation[0, 0], direction, longest)
    hollows = [
        (float(line[length]), length)
        for length in range(SHORTEST_PX, longest)
        if line[length - 1] > line[length] <= line[length + 1]
    ]
    depth, length = min(hollows, default=(0.0, 0))
    return LineBlur(length_px=float(length) if depth < -CLEAR else 0.0, angle_deg=math.degrees(direction))


def make_line_kernel(blur: LineBlur) -> Tensor:
    """Return the kernel of a line: (side, side) with an odd side, float64, sum 1, through the middle."""
    count = 64 * (2 * math.ceil(blur.length_px / 2) + 1)
    offsets = ((torch.arange(count, dtype=torch.float64) + 0.5) / count - 0.5) * blur.length_px
    angle = math.radians(blur.angle_deg)
    return compute_path_kernel(torch.stack([offsets * math.cos(angle), offsets * math.sin(angle)], dim=1))


def _sample_along(correlation: Tensor, direction: float, longest: int) -> Tensor:
    """Return the values at 0, 1, ... pixels in a direction, interpolated linearly, with wrapped borders."""
    steps = torch.arange(longest + 1, dtype=torch.float64)
    x, y = steps * math.cos(direction), steps * math.sin(direction)
    column, row = x.floor().long(), y.floor().long()
    right, lower = x - column, y - row
    height, width = correlation.shape
    corners = [correlation[(row + i) % height, (column + j) % width] for i in (0, 1) for j in (0, 1)]
    weights = [(1 - lower) * (1 - right), (1 - lower) * right, lower * (1 - right), lower * right]
    return torch.stack([weight * corner for weight, corner in zip(weights, corners, strict=True)]).sum(0)
