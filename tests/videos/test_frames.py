"""Frames as numbers: colours against FFmpeg's own conversion, changes, and which frames are blurred."""

from dataclasses import replace
from pathlib import Path

import av  # noqa: TID253 - the reference
import numpy as np
import pytest

from tests.videos.made_videos import frames_of, make_video
from unblur.videos.blurred_frames import (
    FrameMeasure,
    divide_into_segments,
    find_sharpest_nearby,
    is_cut,
    measure_sharpness,
)
from unblur.videos.encoded_frames import choose_pixel_format
from unblur.videos.frame_colors import add_change, convert_to_rgb, enlarge_plane
from unblur.videos.video_file import VideoFormat, read_format, read_frames, read_planes


@pytest.fixture(scope="module")
def video_format(tmp_path_factory: pytest.TempPathFactory) -> VideoFormat:
    return read_format(make_video(tmp_path_factory.mktemp("video") / "a.mp4"))


def planes(height: int = 64, width: int = 48) -> list[np.ndarray]:
    smooth = np.add.outer(np.arange(height), np.arange(width)).astype(np.uint8)
    half = ((height + 1) // 2, (width + 1) // 2)
    return [60 + smooth, np.full(half, 110, np.uint8), np.full(half, 150, np.uint8)]


@pytest.mark.parametrize("matrix", [1, 2, 6, 9])
@pytest.mark.parametrize("full", [False, True])
def test_colours_are_those_of_ffmpeg(video_format: VideoFormat, matrix: int, full: bool) -> None:
    # 64 columns, so that FFmpeg's conversion stays in its own memory.
    own = planes(width=64)
    frame = av.VideoFrame(64, 64, "yuv420p")
    for target, values in zip(frame.planes, own, strict=True):
        rows = np.zeros((target.buffer_size // target.line_size, target.line_size), np.uint8)
        rows[: target.height, : target.width] = values
        target.update(rows.tobytes())
    reference = frame.reformat(
        format="rgb24", src_colorspace={1: 1, 2: 5, 6: 5, 9: 9}[matrix], src_color_range=2 if full else 1
    ).to_ndarray()
    found = convert_to_rgb(own, replace(video_format, matrix=matrix, color_range=2 if full else 1))
    assert np.abs(found.astype(int) - reference).max() <= 2


@pytest.mark.parametrize("size", [(64, 48), (63, 49)])
def test_a_change_of_nothing_changes_nothing_and_a_change_arrives(
    video_format: VideoFormat, size: tuple[int, int]
) -> None:
    own = planes(*size)
    for before, after in zip(own, add_change(own, np.zeros((*size, 3), np.float32), video_format), strict=True):
        assert np.array_equal(before, after)
    change = np.broadcast_to(np.array([20, -10, 5], np.float32), (*size, 3))
    wanted = convert_to_rgb(own, video_format) + change
    assert np.abs(convert_to_rgb(add_change(own, change, video_format), video_format) - wanted).max() <= 2


def test_colour_planes_are_enlarged_without_moving() -> None:
    plane = np.arange(0, 200, 10, dtype=np.uint8).reshape(4, 5)
    assert enlarge_plane(plane, (7, 9)).shape == (7, 9)
    whole = enlarge_plane(plane, (8, 10)).astype(float)
    means = whole.reshape(4, 2, 5, 2).mean(axis=(1, 3))
    assert np.abs(means - plane)[1:-1, 1:-1].max() <= 1


def test_blur_lowers_sharpness_and_cuts_separate_scenes() -> None:
    sharp, blurred = frames_of(48, 64, 2)[0], frames_of(48, 64, 2, blurred=(0,))[0]
    assert measure_sharpness(blurred) < 0.5 * measure_sharpness(sharp)
    assert measure_sharpness(np.full((5, 1), 7, np.uint8)) == 0
    assert is_cut(*frames_of(48, 64, 2))
    assert not is_cut(*frames_of(48, 64, 4)[:2])


def test_segments_end_at_cuts_and_neighbours_stay_in_their_scene() -> None:
    measures = [
        FrameMeasure(pts=40 * index, sharpness=value, cuts=index == 40)
        for index, value in enumerate([1.0] * 40 + [9.0] + [2.0] * 29)
    ]
    assert [(one.start, one.stop) for one in divide_into_segments(measures, 1 / 1000)] == [
        (0, 25),
        (25, 40),
        (40, 65),
        (65, 70),
    ]
    nearby = find_sharpest_nearby(measures, 1 / 1000)
    assert nearby[39] == 1
    assert nearby[40] == nearby[52] == 9
    assert nearby[53] == 2


@pytest.mark.parametrize(
    ("layout", "width", "height", "encoded"),
    [("yuv420p", 48, 64, "yuv420p"), ("yuv420p", 49, 64, "yuv444p"), ("yuvj420p", 48, 63, "yuvj444p"),
     ("yuv422p", 48, 63, "yuv422p"), ("yuv444p", 49, 63, "yuv444p")],
)  # fmt: skip
def test_odd_sides_are_encoded_with_whole_planes(
    video_format: VideoFormat, layout: str, width: int, height: int, encoded: str
) -> None:
    assert choose_pixel_format(replace(video_format, pixel_format=layout, width=width, height=height)) == encoded


def test_frames_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4")
    frames = [read_planes(frame)[0].copy() for frame in read_frames(path, read_format(path))]
    assert np.array_equal(frames, frames_of(48, 64, 12))
