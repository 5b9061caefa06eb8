"""Simulates a camera's sensor: colour filter mosaic, noise, and demosaicing.

After RSBlur (Rim et al., "Realistic Blur Synthesis for Learning Image Deblurring", ECCV 2022, arXiv 2202.08771) with
the numbers of its code, github.com/rimchang/RSBlur. Noise is made where a camera makes it, on the raw mosaic before
white balance; demosaicing and the colour matrix then stretch it and spread it over neighbours and channels.
"""

from dataclasses import dataclass, replace
from functools import cache
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from unblur.blur.noise import add_sensor_noise
from unblur.errors import UnblurError
from unblur.photos.color import linear_to_srgb

Pattern = Literal["RGGB", "BGGR", "GRBG", "GBRG"]
"""Colours of the first two by two pixels, row by row."""

Response = Literal["srgb", "a7r3"]

A7R3_RESPONSE = (-0.0095228, 8.698516, -45.157821, 150.711809, -308.197829, 368.308117, -235.163398, 61.832224)
"""Coefficients of 1, x, ..., x^7: RSBlur's fit to the Sony a7R III (`a7r3_polynomial_alpha.mat` of its code)."""

_SRGB_TO_XYZ = torch.tensor(  # IEC 61966-2-1, white D65; RSBlur's `M_lin2xyz.mat`, transposed.
    [[0.412456, 0.357576, 0.180437], [0.212673, 0.715152, 0.072175], [0.019334, 0.119192, 0.950304]],
    dtype=torch.float64,
)
_XYZ_TO_A7R3 = torch.tensor(  # RSBlur's `a7r3_xyz2cam.mat`; it maps D65 white to (1, 1, 1).
    [[1.695418, -0.471602, -0.128433], [-0.488382, 1.213031, 0.230672], [-0.126723, 0.213502, 0.832953]],
    dtype=torch.float64,
)
_UNSCALED = _XYZ_TO_A7R3 @ _SRGB_TO_XYZ
# The rows sum to 1 within the 1e-6 of their six printed digits; this makes grey exactly grey. No entry is negative,
# so that light in [0, 1] gives camera colours in [0, 1].
_TO_CAMERA = _UNSCALED / _UNSCALED.sum(dim=1, keepdim=True)
_FROM_CAMERA = torch.linalg.inv(_TO_CAMERA)

# Malvar, He and Cutler, "High-quality linear interpolation for demosaicing of Bayer-patterned color images", ICASSP
# 2004 (doi 10.1109/ICASSP.2004.1326587), figure 2, in eighths.
_GREEN_ANYWHERE = ((0, 0, -1, 0, 0), (0, 0, 2, 0, 0), (-1, 2, 4, 2, -1), (0, 0, 2, 0, 0), (0, 0, -1, 0, 0))
_FROM_THE_SIDES = ((0, 0, 0.5, 0, 0), (0, -1, 0, -1, 0), (-1, 4, 5, 4, -1), (0, -1, 0, -1, 0), (0, 0, 0.5, 0, 0))
_FROM_THE_CORNERS = ((0, 0, -1.5, 0, 0), (0, 2, 0, 2, 0), (-1.5, 0, 6, 0, -1.5), (0, 2, 0, 2, 0), (0, 0, -1.5, 0, 0))
_ITSELF = ((0, 0, 0, 0, 0), (0, 0, 0, 0, 0), (0, 0, 8, 0, 0), (0, 0, 0, 0, 0), (0, 0, 0, 0, 0))


@dataclass(frozen=True, kw_only=True)
class Sensor:
    """One camera's way from light to a picture. JSON-serialisable."""

    pattern: Pattern
    """Arrangement of the colour filters; a crop by an odd number of pixels has another one."""
    red_gain: float
    """White balance: the ratio of the sensor's sensitivity to green and to red. RSBlur draws it from [1.9, 2.4]."""
    blue_gain: float
    """The same for blue. RSBlur draws it from [1.5, 1.9]."""
    response: Response
    """The tone curve of the camera, see `respond`."""

    def crop(self, left_px: int, top_px: int) -> "Sensor":
        """Return the sensor of a crop that starts at (left, top): odd numbers shift the pattern."""
        rows = self.pattern[:2], self.pattern[2:]
        first, second = rows[::-1] if top_px % 2 else rows
        if left_px % 2:
            first, second = first[::-1], second[::-1]
        return replace(self, pattern=cast(Pattern, first + second))


def photograph(linear: Tensor, sensor: Sensor, shot_noise: float, read_noise: float, seed: int) -> Tensor:
    """Expose linear sRGB light (3, H, W), clipped at 1, and return linear sRGB in [0, 1], same shape.

    Raw noise has variance `shot_noise * raw + read_noise**2`. RSBlur
    estimates (8.8915e-5, 2.9430e-5) on RealBlur's camera, (1e-4, 9.1504e-4) on its own, and draws each from 0.5 to 1.5
    times that (it draws from a Poisson law, here its Gaussian approximation). As in RSBlur, a saturated channel keeps
    its clean value. Raises UnblurError below 4 x 4 pixels.
    """
    light = linear.clamp(0, 1)
    raw = expose(light, sensor)
    noisy = add_sensor_noise(raw, shot_noise, read_noise, seed)
    return torch.where(light < 1, develop(noisy, sensor).clamp(0, 1), light)


def expose(light: Tensor, sensor: Sensor) -> Tensor:
    """Return the raw mosaic (H, W) that linear sRGB light (3, H, W) leaves on the sensor: one colour per pixel."""
    camera = _recolour(light, _TO_CAMERA)
    return _sample_mosaic(camera, sensor.pattern) / _compute_gains(sensor, camera)


def develop(raw: Tensor, sensor: Sensor) -> Tensor:
    """Develop a raw mosaic (H, W) to linear sRGB (3, H, W), not clipped: white balance, demosaic, colour matrix."""
    return _recolour(demosaic(raw * _compute_gains(sensor, raw), sensor.pattern), _FROM_CAMERA)


def demosaic(mosaic: Tensor, pattern: Pattern) -> Tensor:
    """Return the missing colours of a mosaic (H, W), white balanced, by Malvar, He and Cutler: (3, H, W).

    Borders are mirrored about the outermost pixels, which keeps the pattern going; where light changes there, the two
    outermost pixels are worse than the rest, and RSBlur cuts off four.
    """
    height, width = mosaic.shape
    if height < 4 or width < 4:
        raise UnblurError(f"A picture of {width} x {height} pixels cannot be demosaiced; use at least 4 x 4.")
    # Two by two pixels at a time: each of the twelve filters makes one colour at one of the four places.
    mirrored = F.pad(mosaic[None, None], (2, 2 + width % 2, 2, 2 + height % 2), mode="reflect")
    colours = F.pixel_shuffle(F.conv2d(mirrored, _build_filters(pattern).to(mosaic), stride=2), 2)
    return colours[0, :, :height, :width]


def respond(linear: Tensor, response: Response) -> Tensor:
    """Apply the camera's tone curve to linear light in [0, 1], any shape; the result is in [0, 1].

    The a7R3 curve goes into RealBlur-J's photographs; RSBlur gives it to both the blurry and the sharp photograph,
    or else the network would learn a change of tone. As published it is a contrasty fit, not quite a curve: 0 below
    0.0011 and 1 above 0.974, and between 0.830 and 0.887 it falls by 0.0006, a sixth of an eight-bit step.
    """
    if response == "srgb":
        return linear_to_srgb(linear).clamp(0, 1)
    encoded = torch.zeros_like(linear)
    for coefficient in reversed(A7R3_RESPONSE):
        encoded = encoded * linear + coefficient
    return encoded.clamp(0, 1)


def _recolour(picture: Tensor, matrix: Tensor) -> Tensor:
    return (matrix.to(picture) @ picture.flatten(1)).view_as(picture)


def _sample_mosaic(colours: Tensor, pattern: Pattern) -> Tensor:
    """Sample the mosaic: of every pixel (3, H, W) the colour that its filter passes, (H, W)."""
    mosaic = torch.empty_like(colours[0])
    for place, colour in enumerate(pattern):
        rows, columns = slice(place // 2, None, 2), slice(place % 2, None, 2)
        mosaic[rows, columns] = colours["RGB".index(colour), rows, columns]
    return mosaic


def _compute_gains(sensor: Sensor, like: Tensor) -> Tensor:
    """Return the gain of every pixel of the mosaic: (H, W)."""
    gains = torch.tensor([sensor.red_gain, 1.0, sensor.blue_gain]).to(like)
    return _sample_mosaic(gains[:, None, None].expand(3, *like.shape[-2:]), sensor.pattern)


@cache
def _build_filters(pattern: Pattern) -> Tensor:
    """Return filters (12, 1, 6, 6) for red, green and blue, each at the four places of two by two pixels."""
    filters = torch.zeros(3, 2, 2, 6, 6)
    for index, wanted in enumerate("RGB"):
        for place, here in enumerate(pattern):
            y, x = divmod(place, 2)
            neighbour = pattern[2 * y + 1 - x]
            if here == wanted:
                weights = torch.tensor(_ITSELF)
            elif wanted == "G":
                weights = torch.tensor(_GREEN_ANYWHERE)
            elif here != "G":
                weights = torch.tensor(_FROM_THE_CORNERS)
            else:
                weights = torch.tensor(
                    _FROM_THE_SIDES if neighbour == wanted else tuple(zip(*_FROM_THE_SIDES, strict=True))
                )
            filters[index, y, x, y : y + 5, x : x + 5] = weights / 8
    return filters.flatten(0, 2)[:, None]
