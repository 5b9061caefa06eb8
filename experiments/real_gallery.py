"""A gallery of real photographs without a known truth: crops before and after restoration, with the blur reports.

`python -m experiments.real_gallery FOLDER -o OUTPUT` restores each photograph of a folder like `unblur restore` does,
writes the results, a sheet with one crop of each photograph before and after at 100 %, and a CSV of the reports.
Nothing is selected: every photograph of the folder is on the sheet.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from experiments.harness import ProgressBars, Report, run
from unblur.app.output_file import make_write_error, write_output
from unblur.datasets.photo_folder import find_photos
from unblur.evaluation.tables import Table
from unblur.photos.photo import Photo, round_to_8_bits
from unblur.photos.pixel_files import encode_jpeg
from unblur.photos.reading import read_photo
from unblur.photos.writing import encode_photo
from unblur.restoration.blur_report import BlurReport
from unblur.restoration.inspect import BlurInspector
from unblur.restoration.inspected import restore_inspected
from unblur.restoration.loading import load
from unblur.restoration.picture_restorer import PictureRestorer
from unblur.restoration.shake import find_largest_sum

CROP_PX = 240
COLUMNS = 2
"""Photographs side by side on the sheet."""

TITLE_PX, GAP_PX = 18, 6
QUALITY = 88

MOST_GRADIENT = 25.0
"""Grey levels at which a gradient is clamped, so that a single strong edge does not decide."""


@dataclass(frozen=True, kw_only=True)
class Example:
    """One photograph before and after restoration."""

    name: str
    report: BlurReport
    change: float
    """Mean absolute difference between both, as a share of full scale."""
    before: NDArray[np.uint8]
    """(H, W, 3)."""
    after: NDArray[np.uint8]

    @cached_property
    def crop_px(self) -> tuple[int, int]:
        """Top and left of the crop that represents the photograph."""
        return find_crop(self.before, self.report, CROP_PX)


def find_crop(pixels: NDArray[np.uint8], report: BlurReport, side_px: int) -> tuple[int, int]:
    """Return top and left of the most textured square of (H, W, 3) `pixels` among the places that moved.

    The whole photograph counts where no place of the report moved. The square is smaller at photographs that are.
    """
    grey = pixels.astype(np.float64).mean(axis=2)
    texture = np.zeros_like(grey)
    gradients = np.abs(np.diff(grey, axis=0))[:, 1:] + np.abs(np.diff(grey, axis=1))[1:]
    texture[1:, 1:] = np.minimum(gradients, MOST_GRADIENT)
    moved = np.zeros_like(grey)
    for place in report.places:
        if place.kind == "motion":
            rows = slice(place.top_px, place.top_px + place.height_px)
            moved[rows, place.left_px : place.left_px + place.width_px] = 1
    if moved.any():
        texture *= moved
    height, width = (min(side_px, length) for length in grey.shape)
    return find_largest_sum(torch.from_numpy(texture), height, width)


def restore_examples(paths: Sequence[Path], restorer: PictureRestorer, report: Report) -> list[Example]:
    """Restore photographs in the default way of `unblur restore`. Raises UnblurError for unreadable ones."""
    inspector = BlurInspector()
    examples = []
    for done, path in enumerate(paths):
        report("photographs", done, len(paths))
        photo = read_photo(path)
        found = restore_inspected(restorer, inspector, photo, 1.0, "auto", lambda _: None, leave_sharp=True)
        examples.append(
            Example(
                name=path.stem,
                report=found.blur or inspector.inspect(photo),
                change=found.change,
                before=_make_bytes(photo),
                after=_make_bytes(found.photo),
            )
        )
    report("photographs", len(paths), len(paths))
    return examples


def draw_sheet(examples: Sequence[Example]) -> NDArray[np.uint8]:
    """Draw one crop of each example before and after at 100 %, with its name and report, two examples a line."""
    lines = -(-len(examples) // COLUMNS)
    cell_width, cell_height = 2 * CROP_PX + 2 * GAP_PX, CROP_PX + TITLE_PX
    sheet = Image.new("RGB", (COLUMNS * cell_width, lines * cell_height), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(10)
    for number, example in enumerate(examples):
        left, top = number % COLUMNS * cell_width, number // COLUMNS * cell_height
        draw.text((left, top + 3), f"{number + 1}  {example.name}: {example.report}", fill="black", font=font)
        first, second = example.crop_px
        for place, pixels in enumerate((example.before, example.after)):
            crop = pixels[first : first + CROP_PX, second : second + CROP_PX]
            sheet.paste(Image.fromarray(crop), (left + place * (CROP_PX + GAP_PX), top + TITLE_PX))
    return np.asarray(sheet)


def make_report_table(examples: Sequence[Example], weights: str) -> Table:
    """Make the table of the blur reports; `weights` is the SHA-256 of the network."""
    header = ("photograph", "width", "height", "report", "change", "crop_left_px", "crop_top_px", "weights")
    lines = []
    for example in examples:
        height, width = example.before.shape[:2]
        top, left = example.crop_px
        place = (str(left), str(top))
        lines.append(
            (example.name, str(width), str(height), str(example.report), f"{example.change:.5f}", *place, weights)
        )
    return Table(header=header, lines=tuple(lines))


def real_gallery(
    folder: tyro.conf.Positional[Path],
    /,
    output: Annotated[Path, tyro.conf.arg(aliases=("-o",))],
    checkpoint: Path | None = None,
) -> int:
    """Restore the photographs of a folder and draw a sheet of all of them, before and after.

    Args:
        folder: Folder of blurred photographs.
        output: Folder of the results: restored/, gallery.jpg and gallery.csv.
        checkpoint: Checkpoint that restores; the bundled weights by default.
    """
    paths = find_photos(folder)
    restored = output / "restored"
    try:
        restored.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise make_write_error(restored, error) from error
    restorer = load(checkpoint)
    progress = ProgressBars()
    examples = restore_examples(paths, restorer, progress)
    progress.close()
    for example in examples:
        path = restored / f"{example.name}.png"
        write_output(path, encode_photo(Photo(pixels=example.after), path))
    write_output(output / "gallery.jpg", encode_jpeg(draw_sheet(examples), QUALITY))
    table = make_report_table(examples, restorer.checkpoint_sha256 or "")
    write_output(output / "gallery.csv", table.csv().encode())
    sys.stdout.write(table.markdown())
    return 0


def _make_bytes(photo: Photo) -> NDArray[np.uint8]:
    """Return (H, W, 3) in 8 bits."""
    return np.broadcast_to(round_to_8_bits(photo.pixels), (photo.height, photo.width, 3)).astype(np.uint8)


if __name__ == "__main__":
    sys.exit(run(real_gallery))
