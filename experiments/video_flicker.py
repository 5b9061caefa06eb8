"""Measure flicker when only the blurred frames of a video are restored, against restoring every frame.

`python -m experiments.video_flicker --photos PHOTOS -o FOLDER` cuts clips out of sharp photographs, as a camera sees
them that pans and is shaken now and then, restores them both ways, and prints a Markdown table. Videos can be measured
too; for them there is no sharp truth.

Flicker is what changes abruptly from one frame to the next: the jump of sharpness, and the jump of the change that the
restoration made.
"""

import csv
import io
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Annotated

import av  # noqa: TID253 - writes the clips
import numpy as np
import torch
import tyro
from numpy.typing import NDArray

from experiments.harness import run, sample_images, write_table
from unblur.errors import UnblurError
from unblur.names import FrameChoice
from unblur.photos.color import linear_to_srgb, srgb_to_linear
from unblur.photos.reading import read_photo
from unblur.restoration.loading import load
from unblur.restoration.restorer import Restorer
from unblur.restoration.video import VideoSettings, restore_video
from unblur.videos.blurred_frames import measure_sharpness
from unblur.videos.encoded_frames import Encoding
from unblur.videos.frame_colors import convert_to_rgb
from unblur.videos.video_file import read_format, read_frames, read_planes

SIZE_PX = (320, 240)
"""Width and height of the simulated clips."""

SHAKES = {7: 10.0, 8: 14.0, 9: 8.0, 15: 6.0, 19: 18.0}
"""Speed of the camera in px per frame in the frames where it is shaken."""
PAN = 1.0
"""Speed in all other frames."""
FRAMES, EXPOSURE, SAMPLES = 24, 0.7, 40
"""Number of frames, exposure as a share of the time from frame to frame, and positions averaged in an exposure."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Line:
    """The numbers of one clip, restored in one way."""

    clip: str
    frames: str
    restored: int
    of: int
    sharpness_jump: float
    """Mean over neighbours of the absolute logarithm, to base 2, of the quotient of their sharpness."""
    largest_jump: float
    change_jump: float
    """Mean absolute difference of the changes of neighbours, in levels of 255."""
    psnr_db: float | None
    """PSNR to the sharp truth; None where there is none."""


def video_flicker(
    videos: tyro.conf.Positional[tuple[Path, ...]] = (),
    *,
    photos: Path | None = None,
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    clips: int = 4,
    checkpoint: str | None = None,
) -> int:
    """Measure flicker when only blurred frames are restored, against restoring every frame.

    Args:
        videos: Videos to measure.
        photos: Folder of sharp photographs, of at least 500 x 300 pixels, to simulate clips from.
        output: Folder for clips, results and tables.
        clips: Number of simulated clips.
        checkpoint: Other weights than the bundled ones.
    """
    restorer = load(checkpoint, shake="off")
    lines: list[Line] = []
    for clip, truth in _iterate_clips(videos, photos, output, clips):
        lines += _measure(clip, truth, output, restorer)
    if not lines:
        raise UnblurError("There is nothing to measure; name a video, or a folder with --photos.")
    table = io.StringIO()
    writer = csv.DictWriter(table, list(asdict(lines[0])), lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(line) for line in lines)
    write_table(output, "video_flicker", _make_title(lines), _format_markdown(lines), table.getvalue())
    return 0


def _iterate_clips(
    videos: Sequence[Path], photos: Path | None, output: Path, count: int
) -> Iterator[tuple[Path, list[Pixels] | None]]:
    for video in videos:
        yield video, None
    if photos is not None:
        (output / "clips").mkdir(parents=True, exist_ok=True)
        for named in sample_images(photos, count).files:
            pixels = read_photo(named.files.blurry.path).pixels
            blurry, sharp = simulate_clip(pixels)
            clip = output / "clips" / f"{Path(named.image).stem}.mp4"
            _write(clip, blurry)
            yield clip, sharp


def simulate_clip(photo: Pixels) -> tuple[list[Pixels], list[Pixels]]:
    """Return the frames of a clip, blurred by the camera's motion, and the same at the middle of each exposure.

    Shape: (H, W, 3), at least 500 x 300 -> (240, 320, 3) each. Raises UnblurError for smaller photographs.
    """
    width, height = SIZE_PX
    speeds = [SHAKES.get(index, PAN) for index in range(FRAMES)]
    starts = np.concatenate([[0.0], np.cumsum(speeds)])
    # The way leads forth and back, so that it needs less room, and down by a quarter of it.
    reach = 100.0
    if photo.shape[0] < height + reach / 2 or photo.shape[1] < width + reach + 1 or photo.shape[2] != 3:
        raise UnblurError("Clips need colour photographs of at least 500 x 300 pixels; give larger ones.")
    light = srgb_to_linear(torch.from_numpy(photo.astype(np.float32) / 255))
    blurry, sharp = [], []
    for start, speed in zip(starts, speeds, strict=False):
        times = start + speed * EXPOSURE * (np.arange(SAMPLES) + 0.5) / SAMPLES
        lefts = np.abs((times + reach) % (2 * reach) - reach)
        parts = [_cut_part(light, left, left / 4, width, height) for left in lefts]
        blurry.append(_round_to_8_bits(torch.stack(parts).mean(dim=0)))
        sharp.append(_round_to_8_bits(parts[SAMPLES // 2]))
    return blurry, sharp


def _cut_part(light: torch.Tensor, left: float, top: float, width: int, height: int) -> torch.Tensor:
    """Return a part of the photograph whose corner lies between pixels, by linear interpolation."""
    column, row = int(left), int(top)
    across, down = left - column, top - row
    part = light[row : row + height + 1, column : column + width + 1]
    rows = part[:-1] * (1 - down) + part[1:] * down
    return rows[:, :-1] * (1 - across) + rows[:, 1:] * across


def _round_to_8_bits(light: torch.Tensor) -> Pixels:
    return (linear_to_srgb(light) * 255).round().to(torch.uint8).numpy()


def _write(path: Path, frames: Sequence[Pixels]) -> None:
    """Write a clip without loss but for the rounding of colours, which are stored for every pixel."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv444p"
        stream.codec_context.time_base = Fraction(1, 25)
        stream.options = {"crf": "0"}
        for index, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _measure(clip: Path, truth: list[Pixels] | None, output: Path, restorer: Restorer) -> Iterator[Line]:
    before = _read_frames(clip)
    yield _make_line(clip, "none", 0, before, before, truth)
    choices: tuple[FrameChoice, ...] = ("blurred", "all")
    for choice in choices:
        result = output / f"{clip.stem}_{choice}.mp4"
        settings = VideoSettings(frames=choice, encoding=Encoding(crf=0))
        restoration = restore_video(clip, result, restorer, settings, starts_again=True)
        yield _make_line(clip, choice, restoration.restored_frames, before, _read_frames(result), truth)


def _read_frames(video: Path) -> list[tuple[Pixels, Pixels]]:
    """Return brightness and colours of each frame."""
    video_format = read_format(video)
    planes = [[plane.copy() for plane in read_planes(frame)] for frame in read_frames(video, video_format)]
    return [(own[0], convert_to_rgb(own, video_format)) for own in planes]


def _make_line(
    clip: Path,
    choice: str,
    restored: int,
    before: list[tuple[Pixels, Pixels]],
    after: list[tuple[Pixels, Pixels]],
    truth: list[Pixels] | None,
) -> Line:
    levels = np.log2([max(measure_sharpness(luma), 1e-6) for luma, _ in after])
    jumps = np.abs(np.diff(levels)) if len(levels) > 1 else np.zeros(1)
    changes = [new.astype(np.float32) - old for (_, new), (_, old) in zip(after, before, strict=True)]
    change_jumps = [float(np.abs(two - one).mean()) for one, two in pairwise(changes)]
    psnr = None if truth is None else fmean(_psnr(rgb, sharp) for (_, rgb), sharp in zip(after, truth, strict=True))
    return Line(
        clip=clip.stem,
        frames=choice,
        restored=restored,
        of=len(after),
        sharpness_jump=float(jumps.mean()),
        largest_jump=float(jumps.max()),
        change_jump=fmean(change_jumps) if change_jumps else 0.0,
        psnr_db=psnr,
    )


def _psnr(one: Pixels, other: Pixels) -> float:
    error = np.square(one.astype(np.float64) - other).mean()
    return float(10 * np.log10(255**2 / max(error, 1e-12)))


def _make_title(lines: Sequence[Line]) -> str:
    return f"Means over {len({line.clip for line in lines})} clips."


def _format_markdown(lines: Sequence[Line]) -> str:
    table = [
        "| frames restored | share | jump of sharpness | largest jump | jump of the change | PSNR, dB |",
        "|---|---|---|---|---|---|",
    ]
    for choice in ("none", "blurred", "all"):
        own = [line for line in lines if line.frames == choice]
        psnr = [line.psnr_db for line in own if line.psnr_db is not None]
        table.append(
            f"| {choice} | {sum(line.restored for line in own) / sum(line.of for line in own):.0%} "
            f"| {fmean(line.sharpness_jump for line in own):.2f} | {max(line.largest_jump for line in own):.2f} "
            f"| {fmean(line.change_jump for line in own):.2f} | {f'{fmean(psnr):.2f}' if psnr else '-'} |"
        )
    return "\n".join(table) + "\n"


if __name__ == "__main__":
    sys.exit(run(video_flicker))
