"""`unblur.inspect`: the kind of blur of a photograph, from the photograph alone."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from unblur.checkpoints.folder import BUNDLED_BLUR_CLASSIFIER, load_checkpoint
from unblur.errors import UnblurError
from unblur.models import BlurClassifier
from unblur.models.blur_classifier import CELL_PX, DIRECTIONS
from unblur.photos.color import luma
from unblur.restoration.blur_report import (
    KINDS,
    LEAST_CONFIDENCE,
    NOISY_LEVEL,
    BlurReport,
    Kind,
    Place,
    PlaceKind,
)
from unblur.restoration.noise_level import measure_noise_level
from unblur.restoration.pictures import get_single_pixels
from unblur.restoration.shake import CPU, Shake, find_best_textured_region
from unblur.restoration.windows import to_float, to_tensor

SMALLEST_PX = 64
"""A photograph with a shorter side is too small to show its blur."""

WORKING_PX = 640
"""About the longest side of the picture that is classified: larger photographs are reduced by a whole factor."""

FINE_PX = 384
"""Side of the part that is classified at full size where the reduced photograph is sharp."""

FINE_CONFIDENCE = 0.8
"""Probability from which shake counts that shows only at full size."""

PLACES = 12
"""Places of the map along the longer side, at most."""

CLEAR = 0.5
"""Probability from which a place has a kind."""

LEAST_TEXTURE = 1.5 / 255
"""Mean absolute difference of 5 x 5 from 25 x 25 pixels below which a place does not show its blur."""

SHARP, MOTION, DEFOCUS = 0, 1, 2
"""Kinds of places, in the order of the classifier."""


@dataclass(frozen=True, kw_only=True)
class BlurMaps:
    """The classification of one picture, a number for each place of 32 x 32 pixels. (h, w) are the places."""

    photo: Tensor
    """(4,): probabilities of KINDS."""
    places: Tensor
    """(3, h, w): probabilities of sharp, motion, out of focus."""
    length_px: Tensor
    """(h, w): length of the motion, in pixels of the picture."""
    diameter_px: Tensor
    """(h, w): diameter of the disk out of focus, in pixels of the picture."""
    doubled: Tensor
    """(2, h, w): mean direction of the motion with doubled angle, x to the right and y upwards, length at most 1."""
    textured: Tensor
    """(h, w): 1 where a place has texture, 0 elsewhere."""


def inspect(picture: Any, shake: Shake | None = None) -> BlurReport:
    """Return the kind of blur of a photograph, how strong it is, in which direction and where.

    `picture` is whatever a restorer restores, but one picture at a time: a path, the content of a file, a Photo, a
    Pillow image, an array or a tensor, sRGB. Give the `shake` that `estimate_shake` or a restoration found, if there
    is one: its path is more accurate than the estimate of the report. The result is deterministic. Raises UnblurError
    for anything else, for a batch of several pictures and for a picture smaller than 64 x 64 pixels.

    >>> print(unblur.inspect("photo.jpg"))
    shaken: about 17 px at 62 degrees, everywhere
    """
    return BlurInspector().inspect(picture, shake)


class BlurInspector:
    """Inspector of photographs. It loads the blur classifier once; threads may share it."""

    def __init__(self, network: BlurClassifier | None = None) -> None:
        """Inspect by `network`, by default the bundled blur classifier."""
        if network is None:
            loaded = load_checkpoint(BUNDLED_BLUR_CLASSIFIER).model
            assert isinstance(loaded, BlurClassifier)
            network = loaded
        self._network = network

    def inspect(self, picture: Any, shake: Shake | None = None) -> BlurReport:
        """Return the report on one photograph, see `unblur.inspect`."""
        pixels = get_single_pixels(picture, "The blur of {} pictures cannot be inspected at once")
        height, width = pixels.shape[:2]
        if min(height, width) < SMALLEST_PX:
            raise UnblurError(
                f"The blur of {width} x {height} pixels cannot be inspected; use at least {SMALLEST_PX} pixels a side."
            )
        factor = _choose_reduction(height, width)
        maps = self._classify(reduce_pixels(pixels, factor))
        first, second = maps.photo.argsort(descending=True)[:2].tolist()
        confidence, measured, scale = float(maps.photo[first]), maps, factor
        if factor > 1 and KINDS[first] == "sharp":
            # Softness without a direction does not count: every large photograph is soft at full size.
            fine = self._classify(_cut_best_part(pixels))
            shaken = float(fine.photo[KINDS.index("shaken")])
            confidence = min(confidence, 1 - shaken)
            if shaken >= FINE_CONFIDENCE:
                first, second, confidence, measured, scale = KINDS.index("shaken"), first, shaken, fine, 1
        kind = KINDS[first]
        level = measure_noise_level(pixels)
        length_px, direction = _measure_strength(kind, measured)
        report = BlurReport(
            kind=kind if confidence >= LEAST_CONFIDENCE else "uncertain",
            likeliest=kind,
            confidence=round(confidence, 4),
            second=KINDS[second],
            length_px=round(scale * length_px, 2),
            direction_deg=None if direction is None else round(direction, 1),
            share=round(_measure_share(kind, measured), 4),
            noisy=level >= NOISY_LEVEL,
            noise_level=round(level, 2),
            solved=False,
            width=width,
            height=height,
            places=_draw_map(maps, factor, height, width),
        )
        return report if shake is None else report.with_shake(shake)

    @torch.inference_mode()
    def _classify(self, image: Tensor) -> BlurMaps:
        """Classify (3, H, W) sRGB in [0, 1]."""
        found = self._network(image[None])
        angles = 2 * math.pi * torch.arange(DIRECTIONS) / DIRECTIONS
        # Rows grow downwards.
        waves = torch.stack([torch.cos(angles), -torch.sin(angles)])
        places = found.places[0].softmax(dim=0)
        return BlurMaps(
            photo=found.photo[0].softmax(dim=0),
            places=places,
            length_px=found.log_length[0].exp(),
            diameter_px=2 * found.log_radius[0].exp(),
            doubled=torch.einsum("cd,dhw->chw", waves, found.directions[0].softmax(dim=0)),
            textured=_find_texture(image)[: places.shape[1], : places.shape[2]],
        )


def _measure_share(kind: Kind, maps: BlurMaps) -> float:
    """Return the share of the texture that has this kind of blur; 0 for sharp photographs."""
    if kind == "sharp":
        return 0.0
    return float((_get_mask(kind, maps) * maps.textured).sum() / maps.textured.sum().clamp(min=1))


def _get_mask(kind: Kind, maps: BlurMaps) -> Tensor:
    """Return which places most probably have the blur of this kind, (h, w)."""
    return maps.places.argmax(dim=0) == (DEFOCUS if kind == "out of focus" else MOTION)


def _measure_strength(kind: Kind, maps: BlurMaps) -> tuple[float, float | None]:
    """Return the length of the blur of this kind in pixels of the picture, and its direction in degrees or None."""
    if kind == "sharp":
        return 0.0, None
    mask = _get_mask(kind, maps) & (maps.textured > 0)
    if not bool(mask.any()):
        # The photograph has the kind, but no place of it is sure: the most probable one has to do.
        which = maps.places[DEFOCUS if kind == "out of focus" else MOTION]
        mask = which == which.max()
    if kind == "out of focus":
        return float(maps.diameter_px[mask].median()), None
    return float(maps.length_px[mask].median()), _average_direction(maps.doubled[:, mask])


def _draw_map(maps: BlurMaps, factor: int, height: int, width: int) -> tuple[Place, ...]:
    side = math.ceil(max(height, width) / PLACES)
    cell = factor * CELL_PX
    found = []
    for top in range(0, height, side):
        for left in range(0, width, side):
            bottom, right = min(top + side, height), min(left + side, width)
            rows, columns = _get_cells(top, bottom, cell), _get_cells(left, right, cell)
            part = replace(
                maps,
                places=maps.places[:, rows, columns].flatten(1),
                length_px=maps.length_px[rows, columns].flatten(),
                diameter_px=maps.diameter_px[rows, columns].flatten(),
                doubled=maps.doubled[:, rows, columns].flatten(1),
                textured=maps.textured[rows, columns].flatten(),
            )
            kind, length_px, direction = _decide_place(part)
            found.append(
                Place(
                    left_px=left,
                    top_px=top,
                    width_px=right - left,
                    height_px=bottom - top,
                    kind=kind,
                    length_px=round(factor * length_px, 1),
                    direction_deg=None if direction is None else round(direction, 1),
                )
            )
    return tuple(found)


def _get_cells(start_px: int, end_px: int, cell_px: int) -> slice:
    """Return the cells between two positions, at least one."""
    first = start_px // cell_px
    return slice(first, max(first + 1, round(end_px / cell_px)))


def _decide_place(part: BlurMaps) -> tuple[PlaceKind, float, float | None]:
    """Return kind, length in pixels of the picture and direction of a place; `part` has one dimension of cells."""
    textured = part.textured > 0
    if not bool(textured.any()):
        return "unclear", 0.0, None
    mean = part.places[:, textured].mean(dim=1)
    which = int(mean.argmax())
    if float(mean[which]) < CLEAR:
        return "unclear", 0.0, None
    if which == SHARP:
        return "sharp", 0.0, None
    if which == DEFOCUS:
        return "out of focus", float(part.diameter_px[textured].median()), None
    return "motion", float(part.length_px[textured].median()), _average_direction(part.doubled[:, textured])


def _average_direction(doubled: Tensor) -> float:
    """Return the mean direction of (2, N) vectors of doubled angles: 0 to 180 degrees, counter-clockwise."""
    x, y = doubled.sum(dim=1).tolist()
    return math.degrees(math.atan2(y, x) / 2) % 180


def _find_texture(image: Tensor) -> Tensor:
    """Return 1 for places with texture and 0 for others. (3, H, W) sRGB in [0, 1] -> (H / 32, W / 32), rounded up."""
    grey = luma(image)[None]
    # Means over 5 x 5 pixels suppress noise, which is no texture.
    near, around = (F.avg_pool2d(grey, side, 1, side // 2, count_include_pad=False) for side in (5, 25))
    detail = F.avg_pool2d((near - around).abs(), CELL_PX, ceil_mode=True)
    return (F.max_pool2d(detail, 3, 1, 1)[0] >= LEAST_TEXTURE).float()


def _cut_best_part(pixels: NDArray[Any]) -> Tensor:
    """Return the part of the photograph with most texture at full size, (3, FINE_PX, FINE_PX) sRGB in [0, 1]."""
    stride = math.ceil(max(pixels.shape[:2]) / WORKING_PX)
    overview = to_tensor(to_float(pixels[::stride, ::stride]), CPU)[0]
    left, top, *_ = find_best_textured_region(overview, FINE_PX // stride)
    part = pixels[top * stride :, left * stride :][:FINE_PX, :FINE_PX]
    return to_tensor(to_float(part), CPU)[0]


def _choose_reduction(height: int, width: int) -> int:
    """Return the whole factor by which a photograph is reduced, so that its shorter side stays large enough."""
    return max(1, min(round(max(height, width) / WORKING_PX), min(height, width) // SMALLEST_PX))


def reduce_pixels(pixels: NDArray[Any], factor: int) -> Tensor:
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
