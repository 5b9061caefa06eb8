"""Videos restored frame by frame, resumably.

Each frame is restored from itself alone; its neighbours only help to decide whether it is blurred. A frame is blurred
if its sharpness is below a share of the sharpest frame's nearby. How much restoring would raise the sharpness decides
nothing: bundled weights raise that of finely textured sharp frames, too, by up to 1.76 times.

Encoded segments are collected in a folder beside the result, so that a run that was killed goes on where it stopped.
The result does not depend on that: all that decides about a segment is in the folder, or follows from the video.
"""

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import islice
from pathlib import Path

import numpy as np

from unblur.atomic import name_path_in_errors, write_atomically
from unblur.config import from_json, to_json
from unblur.errors import UnblurError
from unblur.names import FrameChoice
from unblur.regular_files import open_regular, read_regular, read_regular_text
from unblur.restoration.restorer import Restorer
from unblur.restoration.tiled import Progress, Tile, scale_progress, split_progress
from unblur.videos.blurred_frames import (
    SHARE_OF_SHARPEST,
    FrameMeasure,
    divide_into_segments,
    find_sharpest_nearby,
    is_cut,
    measure_sharpness,
)
from unblur.videos.encoded_frames import EncodedFrame, Encoding, encode_segment
from unblur.videos.frame_colors import Plane, add_change, convert_to_rgb
from unblur.videos.joined_video import FORMATS, check_output, join_video
from unblur.videos.video_file import VideoFormat, read_format, read_frames, read_planes

SHARE_OF_SCANNING = 0.05
"""Share of the progress for measuring the sharpness of all frames."""

Planes = Sequence[Plane]


@dataclass(frozen=True, kw_only=True)
class VideoSettings:
    """Settings of the restoration of a video, besides the network and the video."""

    frames: FrameChoice = "blurred"
    strength: float = 1.0
    tile: Tile = "auto"
    encoding: Encoding = field(default_factory=Encoding)


@dataclass(frozen=True, kw_only=True)
class VideoRestoration:
    """Facts about a restored video."""

    width: int
    height: int
    frames: int
    restored_frames: int
    seconds: float
    left_behind: tuple[str, ...]
    """Parts of the original that the result does not hold."""


@dataclass(frozen=True, kw_only=True)
class _Identity:
    """Everything that a result depends on; parts of another one are of no use."""

    original_sha256: str
    program: str
    checkpoint_sha256: str | None
    device: str
    settings: VideoSettings


@dataclass(frozen=True, kw_only=True)
class _Scan:
    """The measures of all frames, and the duration of the last one."""

    measures: tuple[FrameMeasure, ...]
    last_duration: int


@dataclass(frozen=True, kw_only=True)
class _FrameRecord:
    """The place of an encoded frame in the file of its segment."""

    pts: int
    is_key: bool
    size: int


@dataclass(frozen=True, kw_only=True)
class _SegmentRecord:
    """An encoded segment; written after its frames, so that they are whole where it is there."""

    frames: tuple[_FrameRecord, ...]
    restored_frames: int


@dataclass(frozen=True, kw_only=True)
class _DecodedSegment:
    """The frames of a segment in memory, and the numbers that decide which of them are blurred."""

    frames: Sequence[Planes]
    sharpness: Sequence[float]
    references: Sequence[float]
    """The largest sharpness near each frame."""
    video_format: VideoFormat


def make_parts_path(output: Path) -> Path:
    """Return the folder that holds the parts of an unfinished result."""
    return output.with_name(f"{output.name}.unblur-parts")


def restore_video(
    original: Path,
    output: Path,
    restorer: Restorer,
    settings: VideoSettings,
    progress: Progress | None = None,
    *,
    starts_again: bool = False,
) -> VideoRestoration:
    """Restore a video, and write it to `output` in one step at the end.

    Parts that an earlier run with the same settings left are used, unless `starts_again`. Raises UnblurError for videos
    that cannot be read or restored, formats that cannot hold the result, and parts of another video or other settings.
    """
    began = time.perf_counter()
    video_format = read_format(original)
    check_output(output, video_format)
    identity = _Identity(
        original_sha256=_sha256(original),
        program=version("unblur"),
        checkpoint_sha256=restorer.checkpoint_sha256,
        device=restorer.device.type,
        settings=settings,
    )
    with name_path_in_errors(output):
        parts = _Parts(make_parts_path(output), identity, starts_again=starts_again)
        scanning, restoring = split_progress(progress, (SHARE_OF_SCANNING, 1 - SHARE_OF_SCANNING))
        scan = parts.scan(lambda: _scan(original, video_format, scanning))
        seconds_per_unit = float(video_format.time_base)
        segments = divide_into_segments(scan.measures, seconds_per_unit)
        references = find_sharpest_nearby(scan.measures, seconds_per_unit)
        frames = read_frames(original, video_format)
        for index, segment in enumerate(segments):
            chunk = islice(frames, segment.stop - segment.start)
            part = scale_progress(restoring, index, len(segments))
            if parts.has(index):
                # Decoding alone takes no time to speak of, and works in every container.
                for _ in chunk:
                    _report(part, 1.0)
                continue
            # There is no frame without a time, as `read_frames` ensures.
            own = [(frame.pts or 0, [plane.copy() for plane in read_planes(frame)]) for frame in chunk]
            decoded = _DecodedSegment(
                frames=[planes for _, planes in own],
                sharpness=[measure.sharpness for measure in scan.measures[segment.start : segment.stop]],
                references=references[segment.start : segment.stop],
                video_format=video_format,
            )
            planes, count = _restore_segment(decoded, restorer, settings, part)
            times = [pts for pts, _ in own]
            parts.add(index, encode_segment(zip(times, planes, strict=True), video_format, settings.encoding), count)
        joined = parts.folder / f"joined{output.suffix}"
        left_behind = join_video(
            original,
            parts.frames(len(segments)),
            scan.last_duration,
            joined,
            FORMATS[output.suffix.lower()],
            video_format,
            settings.encoding,
        )
        count = sum(parts.record(index).restored_frames for index in range(len(segments)))
        _put_in_place(joined, output)
        parts.remove()
    return VideoRestoration(
        width=video_format.width,
        height=video_format.height,
        frames=len(scan.measures),
        restored_frames=count,
        seconds=time.perf_counter() - began,
        left_behind=left_behind,
    )


def _scan(original: Path, video_format: VideoFormat, progress: Progress | None) -> _Scan:
    measures: list[FrameMeasure] = []
    before: Plane | None = None
    duration = 0
    for frame in read_frames(original, video_format):
        luma = read_planes(frame)[0].copy()
        assert frame.pts is not None
        cuts = before is not None and is_cut(before, luma)
        measures.append(FrameMeasure(pts=frame.pts, sharpness=measure_sharpness(luma), cuts=cuts))
        before, duration = luma, frame.duration
        _report(progress, min(1.0, frame.time / video_format.seconds) if video_format.seconds > 0 else 1.0)
    if duration <= 0:
        duration = measures[-1].pts - measures[-2].pts if len(measures) > 1 else 1
    return _Scan(measures=tuple(measures), last_duration=duration)


def _restore_segment(
    segment: _DecodedSegment, restorer: Restorer, settings: VideoSettings, progress: Progress | None
) -> tuple[list[Planes], int]:
    """Return the frames of a segment, those that are blurred restored, and the number of these."""
    chosen = [
        place
        for place, own in enumerate(segment.sharpness)
        if settings.frames == "all" or own < SHARE_OF_SHARPEST * segment.references[place]
    ]
    result = list(segment.frames)
    for number, place in enumerate(chosen):
        rgb = convert_to_rgb(segment.frames[place], segment.video_format)
        part = scale_progress(progress, number, len(chosen))
        change = restorer.restore(rgb, tile=settings.tile, progress=part).astype(np.float32) - rgb
        result[place] = add_change(segment.frames[place], settings.strength * change, segment.video_format)
    _report(progress, 1.0)
    return result, len(chosen)


class _Parts:
    """The folder with the parts of an unfinished result."""

    def __init__(self, folder: Path, identity: _Identity, *, starts_again: bool) -> None:
        self.folder = folder
        if starts_again and folder.exists():
            self.remove()
        settings = folder / "settings.json"
        if settings.exists():
            if read_regular_text(settings) != to_json(identity):
                raise UnblurError(
                    f"{folder} holds parts of another video, or was begun with other options or weights; "
                    "use the same ones, add --overwrite to start again, or delete the folder."
                )
            return
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(settings, to_json(identity).encode())

    def scan(self, make: Callable[[], _Scan]) -> _Scan:
        """Return the scan that is in the folder, or the one that `make` makes."""
        file = self.folder / "frames.json"
        if not file.exists():
            write_atomically(file, to_json(make()).encode())
        return from_json(read_regular_text(file), _Scan, file)

    def has(self, index: int) -> bool:
        """Return whether a segment is there, whole."""
        return self._record_file(index).exists()

    def record(self, index: int) -> _SegmentRecord:
        """Return the facts about a segment."""
        file = self._record_file(index)
        return from_json(read_regular_text(file), _SegmentRecord, file)

    def add(self, index: int, frames: Sequence[EncodedFrame], restored_frames: int) -> None:
        """Store a segment."""
        records = tuple(_FrameRecord(pts=one.pts, is_key=one.is_key, size=len(one.data)) for one in frames)
        write_atomically(self._make_data_path(index), b"".join(one.data for one in frames))
        record = _SegmentRecord(frames=records, restored_frames=restored_frames)
        write_atomically(self._record_file(index), to_json(record).encode())

    def frames(self, segments: int) -> Iterator[EncodedFrame]:
        """Yield the encoded frames of all segments."""
        for index in range(segments):
            data, place = read_regular(self._make_data_path(index)), 0
            for one in self.record(index).frames:
                yield EncodedFrame(pts=one.pts, is_key=one.is_key, data=data[place : place + one.size])
                place += one.size

    def remove(self) -> None:
        """Remove the folder and all that is in it."""
        shutil.rmtree(self.folder)

    def _make_data_path(self, index: int) -> Path:
        return self.folder / f"{index:05}.h264"

    def _record_file(self, index: int) -> Path:
        return self.folder / f"{index:05}.json"


def _put_in_place(written: Path, output: Path) -> None:
    """Move a file that is whole to its name, once it is on disk."""
    with written.open("rb+") as file:
        os.fsync(file.fileno())
    written.replace(output)


def _sha256(path: Path) -> str:
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _report(progress: Progress | None, share: float) -> None:
    if progress is not None:
        progress(share)
