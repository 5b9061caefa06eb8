"""A picture of the blur over a photograph: warm colours and arrows for motion, blue and rings for lack of focus."""

import math
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from unblur.photos.photo import Photo
from unblur.restoration.blur_report import BlurReport, Place
from unblur.restoration.inspect import reduce_pixels

LARGEST_PX = 1600
"""About the longest side of the picture: larger photographs are reduced by a whole factor."""

OPACITY = 0.45
"""Share of the colour of places that are blurred."""

DEFOCUS_COLOUR = (0.1, 0.35, 1.0)
LIGHT_COLOUR, DARK_COLOUR = (1.0, 0.85, 0.1), (0.9, 0.0, 0.1)
"""Colours of the shortest and the longest motion of the photograph."""

LINE_COLOUR, LINE_SHARE = (1.0, 1.0, 1.0), 0.06
"""Colour of arrows and rings, and their width as a share of a place's side."""

SHORTEST_SHARE, LONGEST_SHARE = 0.25, 0.85
"""Lengths of the shortest and the longest arrow as shares of a place's side."""

HEAD_SHARE, HEAD_RAD = 0.3, 0.5
"""Length of an arrow's head as a share of the arrow, and the angle between the two."""

Segment = tuple[float, float, float, float]
"""A line from (x, y) to (x, y)."""


def draw_overlay(photo: Photo, report: BlurReport) -> Photo:
    """Return an 8-bit RGB picture of `photo` with the blur of `report`, which must be that of this photograph.

    Arrows have two heads, because a photograph does not show in which of the two directions something moved.
    """
    factor = max(1, math.ceil(max(photo.height, photo.width) / LARGEST_PX))
    values = reduce_pixels(photo.pixels, factor).permute(1, 2, 0).contiguous().numpy()
    longest = max((place.length_px for place in report.places), default=0.0)
    side = min(max(place.width_px, place.height_px) for place in report.places) / factor
    for place in report.places:
        if place.kind in ("motion", "out of focus"):
            _tint(values, place, factor, longest)
    for place in report.places:
        for segment in _make_segments(place, factor, longest, side):
            _draw_line(values, segment, max(1.0, LINE_SHARE * side))
    return Photo(pixels=np.rint(values.clip(0, 1) * 255).astype(np.uint8))


def _tint(values: NDArray[np.float32], place: Place, factor: int, longest: float) -> None:
    top, left = place.top_px // factor, place.left_px // factor
    bottom, right = (place.top_px + place.height_px) // factor, (place.left_px + place.width_px) // factor
    share = place.length_px / longest if longest else 0.0
    light, dark = np.array(LIGHT_COLOUR, np.float32), np.array(DARK_COLOUR, np.float32)
    colour = np.array(DEFOCUS_COLOUR, np.float32) if place.kind == "out of focus" else light + share * (dark - light)
    part = values[top:bottom, left:right]
    part += OPACITY * (colour - part)


def _make_segments(place: Place, factor: int, longest: float, side: float) -> list[Segment]:
    """Lines of an arrow for motion and of a ring for places out of focus; none for others."""
    x, y = (place.left_px + place.width_px / 2) / factor, (place.top_px + place.height_px / 2) / factor
    share = place.length_px / longest if longest else 0.0
    length = side * (SHORTEST_SHARE + (LONGEST_SHARE - SHORTEST_SHARE) * share)
    if place.kind == "out of focus":
        corners = [
            (x + length / 2 * math.cos(angle), y + length / 2 * math.sin(angle))
            for angle in np.linspace(0, 2 * math.pi, 25)
        ]
        return [(*start, *end) for start, end in pairwise(corners)]
    if place.kind != "motion" or place.direction_deg is None:
        return []
    angle = math.radians(place.direction_deg)
    # Rows grow downwards.
    half_x, half_y = length / 2 * math.cos(angle), -length / 2 * math.sin(angle)
    lines = [(x - half_x, y - half_y, x + half_x, y + half_y)]
    for sign in (-1, 1):
        tip_x, tip_y = x + sign * half_x, y + sign * half_y
        for turn in (-HEAD_RAD, HEAD_RAD):
            back = math.atan2(-sign * half_y, -sign * half_x) + turn
            reach = HEAD_SHARE * length
            lines.append((tip_x, tip_y, tip_x + reach * math.cos(back), tip_y + reach * math.sin(back)))
    return lines


def _draw_line(values: NDArray[np.float32], segment: Segment, width: float) -> None:
    """Draw a line with soft edges into (H, W, 3)."""
    x0, y0, x1, y1 = segment
    left, right = max(0, int(min(x0, x1) - width)), min(values.shape[1], int(max(x0, x1) + width) + 2)
    top, bottom = max(0, int(min(y0, y1) - width)), min(values.shape[0], int(max(y0, y1) + width) + 2)
    if left >= right or top >= bottom:
        return
    x, y = np.arange(left, right, dtype=np.float32), np.arange(top, bottom, dtype=np.float32)[:, None]
    along_x, along_y = x1 - x0, y1 - y0
    squared = max(along_x**2 + along_y**2, 1e-6)
    along = (((x - x0) * along_x + (y - y0) * along_y) / squared).clip(0, 1)
    distance = np.hypot(x - x0 - along * along_x, y - y0 - along * along_y)
    cover = (0.5 + width / 2 - distance).clip(0, 1)[..., None]
    part = values[top:bottom, left:right]
    part += cover * (np.array(LINE_COLOUR, np.float32) - part)
