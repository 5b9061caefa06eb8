"""Finds the frames of a video that are blurrier than their neighbours.

Sharpness is the mean squared gradient of brightness, and frames are compared with others of the same scene: the measure
that Matsushita et al. 2006 ("Full-frame video stabilization with motion inpainting", IEEE TPAMI 28(7), section 5)
use to find frames that motion has blurred. Large frames are reduced first, so that noise and compression count less.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from unblur.videos.frame_colors import Plane

SHARE_OF_SHARPEST = 0.6
"""Frames whose sharpness is below this share of the sharpest nearby are blurred. In the middle of thirteen real pairs
(ten of REDS and three others) blurry photographs had 0.09 to 0.36 times the sharpness of their sharp twins. In
simulated clips, 0.8 restores more sharp frames, 0.45 fewer blurred ones, and both flicker more."""

NEIGHBOURHOOD_S = 0.5
"""Seconds, before and after, within which frames are neighbours."""

MEASURED_SIDE_PX = 540
"""Frames are reduced by whole numbers while their shorter side stays at least this."""

MOST_SEGMENT_S, MOST_SEGMENT_FRAMES = 1.0, 30
"""The longest segment: a result loses at most this much when the program is killed."""

_LEVELS = 32
_SCENE_CHANGE = 0.5
"""Share of the pixels whose brightness moves to another of 32 levels between two frames at a cut."""


@dataclass(frozen=True, kw_only=True)
class FrameMeasure:
    """Numbers about one frame that decide whether it is blurred."""

    pts: int
    """Time of the frame, in units of the video's time base."""
    sharpness: float
    cuts: bool
    """True for the first frame of a new scene."""


@dataclass(frozen=True)
class Segment:
    """Frames from `start` to before `stop` that are encoded together; all of one scene."""

    start: int
    stop: int


def measure_sharpness(luma: Plane) -> float:
    """Return the mean squared gradient of a frame's brightness. Shape: (H, W)."""
    height, width = luma.shape
    factor = max(1, min(height, width) // MEASURED_SIDE_PX)
    cut = luma[: height // factor * factor, : width // factor * factor].astype(np.float32)
    reduced = cut.reshape(height // factor, factor, width // factor, factor).mean(axis=(1, 3))
    return float(sum(np.square(np.diff(reduced, axis=axis)).mean() for axis in (0, 1) if reduced.shape[axis] > 1))


def is_cut(before: Plane, after: Plane) -> bool:
    """Return whether two frames in a row belong to different scenes, by their histograms of brightness."""
    counts = [np.bincount(luma.ravel() // (256 // _LEVELS), minlength=_LEVELS) / luma.size for luma in (before, after)]
    return bool(np.abs(counts[0] - counts[1]).sum() / 2 > _SCENE_CHANGE)


def divide_into_segments(measures: Sequence[FrameMeasure], seconds_per_unit: float) -> list[Segment]:
    """Divide a video into segments that end at cuts, and are not longer than the longest."""
    starts: list[int] = []
    for index, measure in enumerate(measures):
        if (
            not starts
            or measure.cuts
            or index - starts[-1] >= MOST_SEGMENT_FRAMES
            or (measure.pts - measures[starts[-1]].pts) * seconds_per_unit >= MOST_SEGMENT_S
        ):
            starts.append(index)
    return [Segment(start, stop) for start, stop in zip(starts, [*starts[1:], len(measures)], strict=True)]


def find_sharpest_nearby(measures: Sequence[FrameMeasure], seconds_per_unit: float) -> list[float]:
    """Return for each frame the largest sharpness of it and its neighbours in the same scene."""
    scenes = list(accumulate(measure.cuts for measure in measures))

    def neighbours(index: int, step: int) -> Iterator[FrameMeasure]:
        place = index + step
        while (
            0 <= place < len(measures)
            and scenes[place] == scenes[index]
            and abs(measures[place].pts - measures[index].pts) * seconds_per_unit <= NEIGHBOURHOOD_S
        ):
            yield measures[place]
            place += step

    return [
        max(measure.sharpness for measure in (own, *neighbours(index, -1), *neighbours(index, 1)))
        for index, own in enumerate(measures)
    ]
