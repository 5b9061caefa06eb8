"""Frames encoded as H.264, segment by segment, so that segments which were encoded at different times can be joined.

Each segment starts with a frame that needs no other, and has an encoder of its own with the same settings. Frames do
not refer to later ones (no B frames), so that they are decoded in the order of display and times need no change. One
thread encodes: with more of them the result would depend on the number of processors.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from unblur.errors import UnblurError
from unblur.videos.frame_colors import Plane, enlarge_plane
from unblur.videos.video_file import VideoFormat, load_av

if TYPE_CHECKING:
    from av import VideoFrame

ENCODER = "libx264"

BEST_CRF, WORST_CRF = 0, 51
"""The scale of x264's constant rate factor."""


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """Settings of the encoder."""

    crf: int = 18
    """x264's constant rate factor: 0 is lossless, 18 looks like the source, larger numbers make smaller files."""
    preset: str = "medium"


@dataclass(frozen=True, kw_only=True)
class EncodedFrame:
    """One compressed frame."""

    pts: int
    is_key: bool
    data: bytes


def check_crf(crf: int) -> None:
    """Raise UnblurError unless `crf` is on x264's scale."""
    if not BEST_CRF <= crf <= WORST_CRF:
        raise UnblurError(f"A CRF of {crf} is out of range; use {BEST_CRF} (lossless) to {WORST_CRF} (smallest files).")


def encode_segment(
    frames: Iterable[tuple[int, Sequence[Plane]]], video_format: VideoFormat, encoding: Encoding
) -> list[EncodedFrame]:
    """Encode the frames of one segment, each a time and its planes.

    Raises UnblurError where this PyAV has no encoder for H.264.
    """
    av = load_av()
    try:
        encoder = av.CodecContext.create(ENCODER, "w")
    except av.codec.codec.UnknownCodecError as error:
        raise UnblurError(
            "This PyAV was built without x264, which encodes the results; install PyAV's own wheel with: "
            "pip install 'unblur[video]'."
        ) from error
    configure_encoder(encoder, video_format, encoding)
    packets = []
    for pts, planes in frames:
        frame = _make_frame(av, planes, video_format)
        frame.pts, frame.time_base = pts, video_format.time_base
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    return [EncodedFrame(pts=packet.pts, is_key=packet.is_keyframe, data=bytes(packet)) for packet in packets]


def configure_encoder(encoder: Any, video_format: VideoFormat, encoding: Encoding) -> None:
    """Set all that the frames of a video have in common."""
    encoder.width, encoder.height = video_format.width, video_format.height
    encoder.pix_fmt = choose_pixel_format(video_format)
    encoder.time_base = video_format.time_base
    encoder.framerate = video_format.rate
    encoder.sample_aspect_ratio = video_format.pixel_aspect
    encoder.color_primaries = video_format.primaries
    encoder.color_trc = video_format.transfer
    encoder.colorspace = video_format.matrix
    encoder.color_range = video_format.color_range
    encoder.max_b_frames = 0
    encoder.thread_count = 1
    encoder.flags |= int(load_av().codec.context.Flags.global_header)
    encoder.options = {"crf": str(encoding.crf), "preset": encoding.preset}


def choose_pixel_format(video_format: VideoFormat) -> str:
    """Return the layout of encoded frames: that of the video, or with whole planes of colour where sides are odd.

    H.264 can only cut as many rows and columns from its blocks as share one value of colour.
    """
    layout = video_format.pixel_format
    fits = video_format.width % 2 == 0 and (video_format.height % 2 == 0 or not layout.endswith("420p"))
    return layout if fits or layout.endswith("444p") else f"{layout.removesuffix('p')[:-3]}444p"


def _make_frame(av: Any, planes: Sequence[Plane], video_format: VideoFormat) -> "VideoFrame":
    layout = choose_pixel_format(video_format)
    if layout != video_format.pixel_format:
        planes = [planes[0], *(enlarge_plane(plane, planes[0].shape) for plane in planes[1:])]
    frame: VideoFrame = av.VideoFrame(video_format.width, video_format.height, layout)
    for target, plane in zip(frame.planes, planes, strict=True):
        rows = np.zeros((target.buffer_size // target.line_size, target.line_size), np.uint8)
        rows[: plane.shape[0], : plane.shape[1]] = plane
        target.update(rows.tobytes())
    return frame
