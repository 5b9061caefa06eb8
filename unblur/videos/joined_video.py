"""Joins encoded frames with everything else of the original video: sound, subtitles, chapters, rotation, descriptions.

Sound and subtitles are copied packet by packet and never decoded.
"""

import heapq
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

from unblur.errors import UnblurError
from unblur.videos.encoded_frames import ENCODER, EncodedFrame, Encoding, configure_encoder
from unblur.videos.video_file import VideoFormat, find_video_stream, load_av, name_video_in_errors, open_video

FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
"""Formats of results, by the suffix of the file."""

_MATROSKA_TIME_BASE = Fraction(1, 1000)
_CONTAINERS_OWN = frozenset({"major_brand", "minor_version", "compatible_brands", "encoder"})
"""Descriptions of the file itself, which are those of the new file."""
_APPLE = "com."
"""Begins the names of descriptions, such as the place, that need a table of their own in MP4."""


def check_output(path: Path, video_format: VideoFormat) -> None:
    """Raise UnblurError where the suffix of `path` names no format that can hold the frames with their times."""
    if path.suffix.lower() not in FORMATS:
        raise UnblurError(f"{path} has no suffix of a video that can be written; use {', '.join(FORMATS)}.")
    # Whole milliseconds in the unit of the video.
    is_exact = (video_format.time_base / _MATROSKA_TIME_BASE).denominator == 1
    if path.suffix.lower() == ".mkv" and not is_exact:
        raise UnblurError(
            f"{path}: Matroska holds times in milliseconds, and the frames of this video have finer ones; "
            "write .mp4 or .mov instead."
        )


def join_video(
    original: Path,
    frames: Iterable[EncodedFrame],
    last_duration: int,
    output: Path,
    format_name: str,
    video_format: VideoFormat,
    encoding: Encoding,
) -> tuple[str, ...]:
    """Write the file `output`, and return names of the parts of the original that it does not hold.

    `last_duration` is that of the last frame, in units of the time base; each other frame lasts until the next.
    Raises UnblurError where the format cannot hold the sound or the subtitles, and OSError.
    """
    av = load_av()
    options = {"movflags": "faststart"} if format_name in ("mp4", "mov") else {}
    with open_video(original) as source:
        if format_name in ("mp4", "mov") and any(key.startswith(_APPLE) for key in source.metadata):
            options["movflags"] = "faststart+use_metadata_tags"
        if video_format.time_base.numerator == 1 and format_name in ("mp4", "mov"):
            options["video_track_timescale"] = str(video_format.time_base.denominator)
        # An absolute path, because FFmpeg takes what stands before a colon for the name of a protocol.
        with (
            _name_output_in_errors(output),
            av.open(str(output.absolute()), "w", format=format_name, options=options) as container,
        ):
            container.metadata.update(_select_descriptions(source.metadata))
            main = find_video_stream(source)
            video = container.add_stream(ENCODER)
            configure_encoder(video.codec_context, video_format, encoding)
            video.time_base = video_format.time_base
            video.metadata.update(_select_descriptions(main.metadata))
            if video_format.display_matrix is not None:
                video.set_display_matrix(video_format.display_matrix)
            copies = {}
            left_behind = []
            for stream in source.streams:
                if stream.type in ("audio", "subtitle"):
                    copies[stream.index] = _copy_stream(container, stream, output)
                elif stream.index != main.index:
                    left_behind.append(_name_stream(stream))
            container.set_chapters(source.chapters())
            container.start_encoding()
            pictures = _make_packets(av, frames, last_duration, video, video_format)
            sounds = _copy_packets(original, source, copies)
            for packet in heapq.merge(pictures, sounds, key=_compute_seconds):
                container.mux(packet)
    return tuple(dict.fromkeys(left_behind))


@contextmanager
def _name_output_in_errors(output: Path) -> Iterator[None]:
    """Have PyAV's errors become an UnblurError about the file `output`, which is being written."""
    try:
        yield
    except load_av().error.FFmpegError as error:
        raise UnblurError(
            f"{output} cannot be written ({error.strerror or error}); choose another place or another format."
        ) from error


def _copy_stream(container: Any, stream: Any, output: Path) -> Any:
    try:
        copy = container.add_stream_from_template(stream)
    except (ValueError, OSError) as error:
        codec = stream.codec_context.name if stream.codec_context is not None else "unknown"
        raise UnblurError(
            f"{output.suffix} files cannot hold the {stream.type} of this video ({codec}); "
            "write .mov or .mkv instead, or convert it first."
        ) from error
    copy.metadata.update(_select_descriptions(stream.metadata))
    return copy


def _select_descriptions(metadata: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in metadata.items() if key not in _CONTAINERS_OWN}


def _make_packets(
    av: Any, frames: Iterable[EncodedFrame], last_duration: int, stream: Any, video_format: VideoFormat
) -> Iterator[Any]:
    before: Any = None
    for frame in frames:
        packet = av.Packet(frame.data)
        packet.stream, packet.time_base = stream, video_format.time_base
        packet.pts = packet.dts = frame.pts
        packet.is_keyframe = frame.is_key
        if before is not None:
            before.duration = frame.pts - before.pts
            yield before
        before = packet
    if before is not None:
        before.duration = last_duration
        yield before


def _copy_packets(original: Path, source: Any, copies: dict[int, Any]) -> Iterator[Any]:
    if not copies:
        return
    with name_video_in_errors(original):
        for packet in source.demux([source.streams[index] for index in copies]):
            # An empty packet marks the end.
            if packet.dts is not None:
                packet.stream = copies[packet.stream_index]
                yield packet


def _compute_seconds(packet: Any) -> Fraction:
    return Fraction(packet.dts) * Fraction(packet.time_base)


def _name_stream(stream: Any) -> str:
    if stream.type == "video":
        return "a second video or a cover picture"
    return "data such as time codes and positions" if stream.type == "data" else "an attachment"
