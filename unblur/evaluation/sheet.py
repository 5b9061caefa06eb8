"""The images that lost or gained most: a sheet with crops of each at 100 %, to see what went wrong, or well."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import Tensor
from torch.nn import functional as F

from unblur.atomic import write_atomically
from unblur.errors import UnblurError
from unblur.evaluation.row import Row
from unblur.evaluation.score_plots import DOTS_PER_INCH, check_plottable, select_finite_rows

COUNT = 10
CROP_PX = 240
_STEP_PX = 8
_QUALITY = 88

Extreme = Literal["worst", "best"]


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One image of the sheet: its row, and three pictures (3, H, W) uint8 of equal size."""

    row: Row
    blurry: Tensor
    restored: Tensor
    sharp: Tensor


def select_extreme_rows(rows: Sequence[Row], extreme: Extreme) -> list[Row]:
    """Return the rows with the least gain, the worst first, or with the most, the best first; at most ten."""
    sign = 1 if extreme == "worst" else -1
    return sorted(select_finite_rows(rows), key=lambda row: (sign * row.gain_db, row.image))[:COUNT]


def find_extreme_place(shown: Shown, side_px: int, extreme: Extreme) -> tuple[int, int]:
    """Return top and left of the square in which the squared error rose most, or fell most, within a few pixels."""
    blurry, restored, sharp = (picture.double() for picture in (shown.blurry, shown.restored, shown.sharp))
    rise = (restored - sharp).square().sum(0) - (blurry - sharp).square().sum(0)
    height, width = (min(side_px, length) for length in rise.shape)
    means = F.avg_pool2d(rise[None], (height, width), stride=_STEP_PX)[0]
    place = int((means if extreme == "worst" else -means).argmax())
    return place // means.shape[1] * _STEP_PX, place % means.shape[1] * _STEP_PX


def plot_sheet(sheet: Sequence[Shown], path: Path, extreme: Extreme) -> None:
    """Write the sheet, a line an image: blurry, restored, sharp at the place of the largest change.

    As PNG, pixel for pixel, or as JPEG where `path` ends so. Raises UnblurError when matplotlib is missing or there is
    nothing to show, and OSError when the disk refuses.
    """
    check_plottable()
    if not sheet:
        raise UnblurError(f"No image has a finite PSNR before and after, so there is no {extreme} one.")
    from matplotlib.figure import Figure

    inches = CROP_PX / DOTS_PER_INCH
    figure = Figure(figsize=(3 * inches, len(sheet) * (inches + 0.3)), dpi=DOTS_PER_INCH)
    for line, shown in enumerate(sheet):
        top, left = find_extreme_place(shown, CROP_PX, extreme)
        for column, picture in enumerate((shown.blurry, shown.restored, shown.sharp)):
            crop = picture[:, top : top + CROP_PX, left : left + CROP_PX].permute(1, 2, 0).numpy()
            # Placed by hand: any layout engine would resample the pixels.
            height, width = crop.shape[0] / DOTS_PER_INCH, crop.shape[1] / DOTS_PER_INCH
            below = (len(sheet) - line - 1) * (inches + 0.3) + inches - height
            whole_width, whole_height = figure.get_size_inches()
            panel = figure.add_axes(
                (column * inches / whole_width, below / whole_height, width / whole_width, height / whole_height)
            )
            panel.imshow(crop, interpolation="nearest", aspect="auto")
            panel.set_axis_off()
            if column == 0:
                text = f"{shown.row.image}: {shown.row.gain_db:+.2f} dB, at {left}, {top} px: blurry, restored, sharp"
                panel.set_title(text, loc="left", fontsize=7, parse_math=False)
    file = io.BytesIO()
    if path.suffix.lower() in (".jpg", ".jpeg"):
        figure.savefig(file, format="jpeg", pil_kwargs={"quality": _QUALITY, "optimize": True})
    else:
        figure.savefig(file, format="png", metadata={"Software": None})
    write_atomically(path, file.getvalue())
