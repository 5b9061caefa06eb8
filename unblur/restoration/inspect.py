"""`unblur.inspect`: what kind of blur a photograph has, from the photograph alone."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unblur.errors import UnblurError
from unblur.photos.files import read_photo
from unblur.photos.photo import Photo
from unblur.restoration.blur_report import KINDS, BlurReport, Kind, Place, PlaceKind
from unblur.restoration.blur_rule import DEFOCUS, MOTION, SHARP, BlurRule, bundled_rule, counting
from unblur.restoration.blur_windows import WINDOW_PX, Restore, WindowMeter, Windows
from unblur.restoration.noise_level import noise_level
from unblur.restoration.pictures import extract_planes
from unblur.restoration.restorer import load
from unblur.restoration.shake import CPU, Shake, find_best_textured_region
from unblur.restoration.windows import to_float, to_tensor

SMALLEST_PX = 64
"""A photograph with a shorter side is too small to show its blur."""

WORKING_PX = 640
"""About the longest side of what is inspected: larger photographs are reduced by a whole factor."""

FINE_PX = 384
"""Side of the part that is inspected at full size where the reduced photograph is sharp."""

FINE_CONFIDENCE = 0.8
"""Confidence from which shake counts that shows only at full size."""

PLACES = 12
"""Places of the map along the longer side, at most."""

CLEAR = 0.5
"""Probability from which a place has a kind."""


def inspect(picture: Any, shake: Shake | None = None) -> BlurReport:
    """Return the kind of blur of a photograph, how strong it is, in which direction and where.

    `picture` is a path, a Photo, a Pillow image, an array (H, W) or (H, W, C), or a tensor (C, H, W), sRGB; 8 or 16
    bits, or floating point in [0, 1]. Give the `shake` that `estimate_shake` or a restoration found, if there is one:
    its path is more accurate than the estimate of the report. The result is deterministic. Raises UnblurError for
    anything else, for a batch of several pictures and for a picture smaller than 64 x 64 pixels.

    >>> print(unblur.inspect("photo.jpg"))
    shaken: about 17 px at 62 degrees, everywhere
    """
    return BlurInspector().inspect(picture, shake)


class BlurInspector:
    """Inspects photographs. It loads the networks once; threads may share it."""

    def __init__(self, restore: Restore | None = None, rule: BlurRule | None = None) -> None:
        """`restore` and `rule` are others than the bundled network, without solving shake, and the bundled rule."""
        self._rule = rule or bundled_rule()
        self._meter = WindowMeter(restore or load(device="cpu", shake="off").apply_network)

    def inspect(self, picture: Any, shake: Shake | None = None) -> BlurReport:
        """Return the report on one photograph, see `unblur.inspect`."""
        pixels = _pixels_of(picture)
        height, width = pixels.shape[:2]
        if min(height, width) < SMALLEST_PX:
            raise UnblurError(
                f"The blur of {width} x {height} pixels cannot be inspected; use at least {SMALLEST_PX} pixels a side."
            )
        factor = _reduction(height, width)
        image = reduced(pixels, factor)
        windows = self._meter.measure(image)
        probabilities = self._rule.photo(windows)
        kind = KINDS[int(probabilities.argmax())]
        confidence, scale = float(probabilities.max()), factor
        level = noise_level(pixels)
        measured = windows
        if factor > 1 and kind == "sharp":
            # Softness without a direction does not count: every large photograph is soft at full size.
            fine = self._meter.measure(_best_part(pixels))
            shaken = float(self._rule.photo(fine)[KINDS.index("shaken")])
            if shaken >= FINE_CONFIDENCE:
                kind, confidence, measured, scale = "shaken", shaken, fine, 1
        length_px, direction = strength(self._rule, kind, measured, scale)
        report = BlurReport(
            kind=kind,
            confidence=round(confidence, 4),
            length_px=round(length_px, 2),
            direction_degrees=None if direction is None else round(direction, 1),
            share=round(self._share(kind, measured), 4),
            noisy=level >= self._rule.noise_level,
            noise_level=round(level, 2),
            solved=False,
            width=width,
            height=height,
            places=self._places(windows, factor, height, width),
        )
        return report if shake is None else report.with_shake(shake)

    def _share(self, kind: Kind, windows: Windows) -> float:
        """Share of the texture that has this kind of blur; 0 for sharp photographs."""
        if kind == "sharp":
            return 0.0
        which = DEFOCUS if kind == "out of focus" else MOTION
        found = self._rule.windows(windows).argmax(dim=1) == which
        weight = windows.texture * counting(windows) + 1e-6
        return float((found * weight).sum() / weight.sum())

    def _places(self, windows: Windows, factor: int, height: int, width: int) -> tuple[Place, ...]:
        """The map: each place takes the mean of the windows that cover its middle."""
        kinds, count = self._rule.windows(windows), counting(windows)
        sizes = factor * self._rule.window_sizes(windows.features).exp()
        corners = factor * torch.tensor(windows.corners)
        side = math.ceil(max(height, width) / PLACES)
        found = []
        for top in range(0, height, side):
            for left in range(0, width, side):
                bottom, right = min(top + side, height), min(left + side, width)
                middle = torch.tensor([(left + right) / 2, (top + bottom) / 2])
                covers = count & ((middle >= corners) & (middle <= corners + factor * WINDOW_PX)).all(dim=1)
                kind, length_px, direction = _place(kinds[covers], sizes[covers], windows.doubled[covers])
                found.append(
                    Place(
                        left_px=left,
                        top_px=top,
                        width_px=right - left,
                        height_px=bottom - top,
                        kind=kind,
                        length_px=round(length_px, 1),
                        direction_degrees=None if direction is None else round(direction, 1),
                    )
                )
        return tuple(found)


def strength(rule: BlurRule, kind: Kind, windows: Windows, scale: int) -> tuple[float, float | None]:
    """Return the length of the blur of this kind in pixels of the photograph, and its direction in degrees or None.

    `scale` is how many pixels of the photograph one pixel of what was measured stands for.
    """
    if kind == "sharp":
        return 0.0, None
    which = DEFOCUS if kind == "out of focus" else MOTION
    chosen = _windows_of(which, rule.windows(windows), counting(windows))
    motion_px, radius_px = (scale * rule.window_sizes(windows.features[chosen]).exp()).median(dim=0).values
    if which == DEFOCUS:
        return 2 * float(radius_px), None
    return float(motion_px), _direction(windows.doubled[chosen])


def _place(kinds: Tensor, sizes: Tensor, doubled: Tensor) -> tuple[PlaceKind, float, float | None]:
    """Kind, length in pixels and direction of a place that windows cover: (N, 3), (N, 2), (N, 2)."""
    if not len(kinds):
        return "unclear", 0.0, None
    mean = kinds.mean(dim=0)
    which = int(mean.argmax())
    motion_px, radius_px = sizes.median(dim=0).values.tolist()
    if float(mean[which]) < CLEAR:
        return "unclear", 0.0, None
    if which == SHARP:
        return "sharp", 0.0, None
    return ("out of focus", 2 * radius_px, None) if which == DEFOCUS else ("motion", motion_px, _direction(doubled))


def _best_part(pixels: NDArray[Any]) -> Tensor:
    """The part of the photograph with most texture at full size, (3, FINE_PX, FINE_PX) sRGB in [0, 1]."""
    stride = math.ceil(max(pixels.shape[:2]) / WORKING_PX)
    overview = to_tensor(to_float(pixels[::stride, ::stride]), CPU)[0]
    left, top, *_ = find_best_textured_region(overview, FINE_PX // stride)
    part = pixels[top * stride :, left * stride :][:FINE_PX, :FINE_PX]
    return to_tensor(to_float(part), CPU)[0]


def _pixels_of(picture: Any) -> NDArray[Any]:
    if isinstance(picture, (str, Path)):
        picture = read_photo(picture)
    if isinstance(picture, Photo):
        return picture.pixels
    planes = extract_planes(picture)
    if len(planes) != 1:
        raise UnblurError(f"The blur of {len(planes)} pictures cannot be inspected at once; give one at a time.")
    return planes[0].pixels


def _reduction(height: int, width: int) -> int:
    """The whole factor by which a photograph is reduced, so that its shorter side stays large enough."""
    return max(1, min(round(max(height, width) / WORKING_PX), min(height, width) // SMALLEST_PX))


def reduced(pixels: NDArray[Any], factor: int) -> Tensor:
    """Return means over squares of `factor` pixels. (H, W, 1 or 3) of any depth -> (3, H / factor, W / factor)."""
    if factor == 1:
        return to_tensor(to_float(pixels), CPU)[0]
    rows, columns, channels = pixels.shape[0] // factor, pixels.shape[1] // factor, pixels.shape[2]
    small = np.empty((rows, columns, channels), np.float32)
    # Row by row: a float copy of a large photograph would double the memory of the program.
    for row in range(rows):
        band = to_float(pixels[row * factor : (row + 1) * factor, : columns * factor])
        small[row] = band.reshape(factor, columns, factor, channels).mean(axis=(0, 2))
    return to_tensor(small, CPU)[0]


def _windows_of(which: int, kinds: Tensor, count: Tensor) -> Tensor:
    """The windows that are most probably of that kind; where there are none, the one that is nearest to it."""
    found = count & (kinds.argmax(dim=1) == which)
    if bool(found.any()):
        return found
    return count & (kinds[:, which] >= kinds[count, which].max())


def _direction(doubled: Tensor) -> float:
    """Mean direction of (N, 2) vectors of doubled angles: 0 to 180 degrees, counter-clockwise."""
    x, y = doubled.sum(dim=0).tolist()
    return math.degrees(math.atan2(y, x) / 2) % 180
