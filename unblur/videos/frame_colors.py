"""Colours of video frames: from planes of brightness and colour difference to RGB, and changes of RGB back to planes.

A changed frame is the frame plus the planes of the change. Converting back and forth would round every pixel, and lose
colour detail where the planes of colour are smaller than the frame; a change of nothing leaves a frame as it is.

Source of the matrices: ITU-T H.273, section 8.3; of the sizes of planes in FFmpeg: libavutil/pixdesc.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unblur.videos.video_file import VideoFormat

Plane = NDArray[np.uint8]

_LUMA_WEIGHTS = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}
"""Weights of red and blue in the brightness, by the code point of the matrix."""

_FIRST_HD_ROWS = 720
"""Videos without a matrix have that of BT.709 from this height on, and that of BT.601 below, as players assume."""

_FULL_RANGE = 2


def convert_to_rgb(planes: Sequence[Plane], video_format: VideoFormat) -> NDArray[np.uint8]:
    """Return the colours of a frame. Shape: brightness and two planes of colour difference -> (H, W, 3)."""
    black, luma_range, chroma_range = _get_ranges(video_format)
    red, blue = _get_luma_weights(video_format)
    shape = planes[0].shape
    luma = (planes[0].astype(np.float32) - black) / luma_range
    blue_difference, red_difference = (
        (enlarge_plane(plane, shape).astype(np.float32) - 128) / chroma_range for plane in planes[1:]
    )
    rgb = np.empty((*shape, 3), np.float32)
    rgb[..., 0] = luma + 2 * (1 - red) * red_difference
    rgb[..., 2] = luma + 2 * (1 - blue) * blue_difference
    rgb[..., 1] = (luma - red * rgb[..., 0] - blue * rgb[..., 2]) / (1 - red - blue)
    pixels: NDArray[np.uint8] = np.clip(np.rint(rgb * 255), 0, 255).astype(np.uint8)
    return pixels


def add_change(planes: Sequence[Plane], change: NDArray[np.float32], video_format: VideoFormat) -> list[Plane]:
    """Return the planes of a frame whose colours are changed by `change`.

    Shape: planes as in `convert_to_rgb`; change (H, W, 3), RGB in units of 1 / 255.
    """
    _, luma_range, chroma_range = _get_ranges(video_format)
    red, blue = _get_luma_weights(video_format)
    luma = red * change[..., 0] + (1 - red - blue) * change[..., 1] + blue * change[..., 2]
    changes = (
        luma * luma_range,
        (change[..., 2] - luma) / (2 * (1 - blue)) * chroma_range,
        (change[..., 0] - luma) / (2 * (1 - red)) * chroma_range,
    )
    return [
        np.clip(np.rint(plane + _reduce(one / 255, plane.shape)), 0, 255).astype(np.uint8)
        for plane, one in zip(planes, changes, strict=True)
    ]


def enlarge_plane(plane: Plane, shape: tuple[int, ...]) -> Plane:
    """Return a plane of colour difference in the size of the frame, between its pixels by linear interpolation."""
    values = plane.astype(np.float32)
    for axis, length in enumerate(shape):
        if values.shape[axis] != length:
            values = _double(values, axis, length)
    return np.rint(values).astype(np.uint8)


def _double(values: NDArray[np.float32], axis: int, length: int) -> NDArray[np.float32]:
    values = np.moveaxis(values, axis, 0)
    padded = np.concatenate([values[:1], values, values[-1:]])
    result = np.empty((2 * len(values), *values.shape[1:]), np.float32)
    result[0::2] = 0.75 * values + 0.25 * padded[:-2]
    result[1::2] = 0.75 * values + 0.25 * padded[2:]
    return np.moveaxis(result[:length], 0, axis)


def _reduce(values: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return the means over the pixels that share one of a smaller plane."""
    for axis, length in enumerate(shape):
        if values.shape[axis] != length:
            first = np.moveaxis(values, axis, 0)
            if len(first) % 2:
                first = np.concatenate([first, first[-1:]])
            values = np.moveaxis((first[0::2] + first[1::2]) * np.float32(0.5), 0, axis)
    return values


def _get_ranges(video_format: VideoFormat) -> tuple[int, int, int]:
    """Return the number for black, and the numbers from black to white and between the extremes of colour."""
    is_full = video_format.color_range == _FULL_RANGE or video_format.pixel_format.startswith("yuvj")
    return (0, 255, 255) if is_full else (16, 219, 224)


def _get_luma_weights(video_format: VideoFormat) -> tuple[float, float]:
    usual = _LUMA_WEIGHTS[1 if video_format.height >= _FIRST_HD_ROWS else 6]
    return _LUMA_WEIGHTS.get(video_format.matrix, usual)
