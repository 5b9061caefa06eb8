"""Tiny videos for tests: a pan over noise, with a scene that is brighter in the second half."""

from fractions import Fraction
from pathlib import Path

import av  # noqa: TID253 - writes the input files
import numpy as np
from numpy.typing import NDArray

TIME_BASE = Fraction(1, 12800)
STEPS = (512, 640, 384)
"""Times from frame to frame, in turn: the rate varies."""


def frames_of(width: int, height: int, count: int, blurred: tuple[int, ...] = ()) -> list[NDArray[np.uint8]]:
    """Grey pictures (H, W) of two scenes; those in `blurred` are means over eight columns."""
    noise = np.random.default_rng(0).integers(0, 100, (height, width + count + 8)).astype(np.float64)
    smooth = (noise[:, :-1] + noise[:, 1:]) / 2
    frames = []
    for index in range(count):
        parts = [smooth[:, index + i : index + i + width] for i in range(7 if index in blurred else 1)]
        scene = 20 if index < count // 2 else 130
        frames.append((np.mean(parts, axis=0) + scene).astype(np.uint8))
    return frames


def make_video(
    path: Path,
    *,
    width: int = 48,
    height: int = 64,
    count: int = 12,
    blurred: tuple[int, ...] = (),
    codec: str = "libx264",
    layout: str = "yuv420p",
    degrees: int | None = None,
    sound: bool = False,
    transfer: int = 1,
    crf: int = 0,
) -> Path:
    """Write a video with colour tags of BT.709, and with a tone and a rotation where asked for."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, layout
        context = stream.codec_context
        context.time_base = TIME_BASE
        context.color_primaries = context.colorspace = context.color_range = 1
        context.color_trc = transfer
        if codec == "libx264":
            stream.options = {"crf": str(crf)}
        if degrees is not None:
            stream.set_display_rotation(degrees)
        tone = container.add_stream("aac", rate=48000, layout="mono") if sound else None
        container.metadata["title"] = "A pan"
        time = 0
        for index, luma in enumerate(frames_of(width, height, count, blurred)):
            frame = av.VideoFrame(width, height, layout)
            for plane, values in zip(frame.planes, (luma, 100, 150), strict=True):
                rows = np.zeros((plane.buffer_size // plane.line_size, plane.line_size), np.uint8)
                rows[: plane.height, : plane.width] = values
                plane.update(rows.tobytes())
            frame.pts, frame.time_base = time, TIME_BASE
            time += STEPS[index % len(STEPS)]
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if tone is not None:
            wave = np.sin(np.arange(24000) / 20).astype(np.float32)[None]
            samples = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
            samples.sample_rate, samples.pts = 48000, 0
            container.mux(tone.encode(samples))
            container.mux(tone.encode(None))
    return path


def packets_of(path: Path, kind: str) -> list[tuple[int | None, int | None, bytes]]:
    """Time, duration and content of the packets of the sound or the video."""
    with av.open(str(path)) as container:
        return [
            (packet.pts, packet.duration, bytes(packet))
            for packet in container.demux(**{kind: 0})
            if packet.dts is not None
        ]
