"""Videos on disk: their frames, in the file's own numbers, and the facts that a result must share with them.

PyAV reads from an open file and never by name: FFmpeg takes some names for network addresses, and play lists for orders
to open other files. Only containers that hold their own content are read.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from unblur.errors import UnblurError
from unblur.regular_files import open_regular

if TYPE_CHECKING:
    from av import VideoFrame

MOST_PIXELS = 100_000_000
"""Larger frames are refused: cameras record 8K, 33 million pixels."""

_CONTAINERS = "mov,mp4,matroska,webm,avi,mpegts,mpeg,flv,asf,ogg,mjpeg,h264,hevc,nut"
_PIXEL_FORMATS = frozenset({"yuv420p", "yuv422p", "yuv444p", "yuvj420p", "yuvj422p", "yuvj444p"})
_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}
_MATRICES = frozenset({1, 2, 4, 5, 6, 7, 9})
"""Matrices of H.273, table 4, that are a matrix of red, green and blue: neither RGB itself nor those of HDR alone."""


@dataclass(frozen=True, kw_only=True)
class VideoFormat:
    """Properties of the frames of a video."""

    width: int
    height: int
    pixel_format: str
    """FFmpeg's name of the layout of a frame, such as "yuv420p"; always 8 bits a channel."""
    time_base: Fraction
    """Seconds of the unit of the frames' times."""
    rate: Fraction
    """Mean number of frames in a second."""
    pixel_aspect: Fraction
    """Width of a pixel divided by its height."""
    primaries: int
    transfer: int
    matrix: int
    """Code points of ITU-T H.273, tables 2 to 4; 2 is unspecified."""
    color_range: int
    """1 is limited (16 to 235), 2 full, 0 unspecified."""
    seconds: float
    """Length as the file states it, for the progress alone; 0 where it states none."""
    display_matrix: tuple[int, ...] | None
    """The 9 numbers of the matrix that turns and mirrors frames for display, as in MP4; None for upright frames."""


def load_av() -> ModuleType:
    """Return PyAV. Raises UnblurError where it is not installed."""
    try:
        import av
    except ImportError as error:
        raise UnblurError(
            "Videos need the package av (PyAV), which is not installed; run: pip install 'unblur[video]'."
        ) from error
    return av


@contextmanager
def open_video(path: Path) -> Iterator[Any]:
    """Open the container of a video for reading, and close it in the end.

    Raises UnblurError for what cannot be opened or holds no video.
    """
    av = load_av()
    try:
        file = open_regular(path)
    except OSError as error:
        raise UnblurError(f"{path} cannot be read: {error.strerror or error}; give a video file.") from error
    with file:
        with name_video_in_errors(path):
            container = av.open(file, options={"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"})
        with container:
            _refuse_without_video(path, container, os.fstat(file.fileno()).st_size)
            yield container


@contextmanager
def name_video_in_errors(path: Path) -> Iterator[None]:
    """Have PyAV's errors become an UnblurError about the file `path`, which is being read."""
    try:
        yield
    except load_av().error.FFmpegError as error:
        raise UnblurError(
            f"{path} is damaged, or no video in a format that can be read ({error.strerror or error}); "
            "get it again from its origin, or convert it to MP4."
        ) from error


def find_video_stream(container: Any) -> Any:
    """Return the stream of the container that holds the video itself, and not a cover picture."""
    return next(stream for stream in container.streams.video if not _is_cover(stream))


def read_format(path: Path) -> VideoFormat:
    """Return the properties of the video's frames, from its first frame.

    Raises UnblurError for a file that cannot be read, and for videos that cannot be restored: HDR, more than 8 bits a
    channel, interlaced.
    """
    with open_video(path) as container, name_video_in_errors(path):
        stream = find_video_stream(container)
        first = next(container.decode(stream), None)
        if first is None:
            raise UnblurError(f"{path} holds no frame that can be read; get it again from its origin.")
        found = _format_of(container, stream, first)
    _refuse_unsupported(path, found, interlaced=first.interlaced_frame)
    return found


def read_frames(path: Path, video_format: VideoFormat) -> Iterator["VideoFrame"]:
    """Yield the frames in the order of display, each with its time in `pts`.

    Raises UnblurError where the file is damaged, where a frame has no time, and where the format changes.
    """
    expected = (video_format.width, video_format.height, video_format.pixel_format)
    with open_video(path) as container, name_video_in_errors(path):
        stream = find_video_stream(container)
        stream.thread_type = "AUTO"
        last = None
        for frame in container.decode(stream):
            if frame.is_corrupt:
                raise UnblurError(f"{path} is damaged at {_format_seconds(frame)}; get it again from its origin.")
            if (frame.width, frame.height, frame.format.name) != expected:
                raise UnblurError(
                    f"{path} changes its size or its colours at {_format_seconds(frame)}; cut it into parts there."
                )
            if frame.pts is None or (last is not None and frame.pts <= last):
                raise UnblurError(f"{path} has frames without times in order; convert it to MP4 first.")
            last = frame.pts
            yield frame


def read_planes(frame: "VideoFrame") -> list[NDArray[np.uint8]]:
    """Return views of the planes of a frame, brightness first. Shape: (rows, columns) each."""
    planes = []
    for plane in frame.planes:
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        planes.append(rows[: plane.height, : plane.width])
    return planes


def _format_of(container: Any, stream: Any, frame: Any) -> VideoFormat:
    matrix = next((bytes(data) for data in frame.side_data if data.type.name == "DISPLAYMATRIX"), None)
    rate = stream.average_rate or stream.guessed_rate or stream.base_rate
    return VideoFormat(
        width=frame.width,
        height=frame.height,
        pixel_format=frame.format.name,
        time_base=Fraction(stream.time_base),
        rate=Fraction(rate) if rate else Fraction(25),
        pixel_aspect=Fraction(stream.sample_aspect_ratio or 1),
        primaries=int(frame.color_primaries),
        transfer=int(frame.color_trc),
        matrix=int(frame.colorspace),
        color_range=int(frame.color_range),
        seconds=(container.duration or 0) / 1e6,
        display_matrix=None if matrix is None else tuple(np.frombuffer(matrix, np.int32).tolist()),
    )


def _refuse_without_video(path: Path, container: Any, file_bytes: int) -> None:
    stream = next((stream for stream in container.streams.video if not _is_cover(stream)), None)
    if stream is None:
        raise UnblurError(f"{path} holds no video; give a file with moving pictures.")
    if stream.codec_context is None:
        raise UnblurError(f"{path} is compressed in a way that this PyAV cannot decode; convert it to H.264 first.")
    if stream.width * stream.height > MOST_PIXELS:
        raise UnblurError(
            f"{path} claims frames of {stream.width} x {stream.height} pixels, more than {MOST_PIXELS:,}; "
            "get it again from its origin."
        )
    if any(entry.pos + entry.size > file_bytes for entry in stream.index_entries):
        raise UnblurError(f"{path} is cut short: its last frames are missing; get it again from its origin.")


def _is_cover(stream: Any) -> bool:
    return "attached_pic" in str(stream.disposition)


def _refuse_unsupported(path: Path, found: VideoFormat, *, interlaced: bool) -> None:
    if found.transfer in _HDR_TRANSFERS:
        raise UnblurError(
            f"{path} is an HDR video ({_HDR_TRANSFERS[found.transfer]}), which is not supported; "
            "export it as SDR with 8 bits first."
        )
    if found.pixel_format not in _PIXEL_FORMATS or found.matrix not in _MATRICES:
        raise UnblurError(
            f"{path} stores its frames as {found.pixel_format}, and only YUV with 8 bits a channel is supported; "
            "convert it first, for example to H.264 with yuv420p."
        )
    if interlaced:
        raise UnblurError(f"{path} is interlaced; deinterlace it first.")


def _format_seconds(frame: "VideoFrame") -> str:
    return "an unknown time" if frame.time is None else f"{frame.time:.2f} s"
