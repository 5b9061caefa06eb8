"""Figures of measured rows, and of nothing else: what is gained at which severity, and image by image."""

import importlib
import io
import math
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from unblur.atomic import write_atomically
from unblur.errors import UnblurError
from unblur.evaluation.row import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BIN_DB = 2.0
"""Width of the bins of severity, which is the PSNR of the blurry photograph: less is more severe."""
SIDE_INCHES, DOTS_PER_INCH = 6, 120
COLOURS = ("#3b6ea5", "#e0863a", "#4f8f4f", "#a5473b", "#7a5ba5", "#777777", "#b9962d", "#3ba5a0")


def check_plottable() -> None:
    """Raise UnblurError unless figures can be drawn here."""
    try:
        importlib.import_module("matplotlib.figure")
    except ImportError as error:
        raise UnblurError("Figures need matplotlib, which is missing; run: pip install 'unblur[plots]'") from error


def bin_by_severity(rows: Sequence[Row]) -> list[tuple[float, float, int]]:
    """Return the middle in dB, the mean gain in dB and the number of images of every bin that has images.

    Images that equal their sharp twins, whose PSNR is infinite, are in none.
    """
    bins: dict[int, list[float]] = {}
    for row in select_finite_rows(rows):
        bins.setdefault(math.floor(row.scores["psnr_before_db"] / BIN_DB), []).append(row.gain_db)
    return [((place + 0.5) * BIN_DB, fmean(gains), len(gains)) for place, gains in sorted(bins.items())]


def select_finite_rows(rows: Sequence[Row]) -> list[Row]:
    """Return the rows whose PSNR is a number, before and after."""
    return [row for row in rows if "psnr_after_db" in row.scores and math.isfinite(row.gain_db)]


def plot_scores(runs: Sequence[Sequence[Row]], folder: Path) -> None:
    """Write gain.png and images.png into `folder`; equal rows give equal bytes.

    Raises UnblurError when matplotlib is missing or nothing can be drawn, and OSError when the disk refuses.
    """
    check_plottable()
    if not any(select_finite_rows(rows) for rows in runs):
        raise UnblurError("No image has a finite PSNR before and after, so there is nothing to draw.")
    from matplotlib.figure import Figure

    for name, draw in (("gain.png", _draw_gain), ("images.png", _draw_images)):
        figure = Figure(figsize=(SIDE_INCHES, SIDE_INCHES), dpi=DOTS_PER_INCH, layout="constrained")
        panel = figure.subplots()
        for place, rows in enumerate(runs):
            if select_finite_rows(rows):
                draw(panel, rows, COLOURS[place % len(COLOURS)])
        panel.spines[["top", "right"]].set_visible(False)
        panel.legend(fontsize=8)
        write_atomically(folder / name, encode_figure(figure))


def _draw_gain(panel: "Axes", rows: Sequence[Row], colour: str) -> None:
    bins = bin_by_severity(rows)
    panel.plot([b[0] for b in bins], [b[1] for b in bins], "o-", color=colour, label=_label(rows), markersize=4)
    for middle, gain, count in bins:
        panel.annotate(str(count), (middle, gain), textcoords="offset points", xytext=(0, 5), fontsize=7, ha="center")
    panel.axhline(0, color="#444444", linewidth=0.8)
    panel.set_xlabel(f"PSNR of the blurry photograph, dB, in bins of {BIN_DB:g} dB (left: more severe)")
    panel.set_ylabel("mean gain, dB; numbers: images")


def _draw_images(panel: "Axes", rows: Sequence[Row], colour: str) -> None:
    finite = select_finite_rows(rows)
    before = [row.scores["psnr_before_db"] for row in finite]
    after = [row.scores["psnr_after_db"] for row in finite]
    panel.plot(before, after, ".", color=colour, label=_label(rows), alpha=0.6)
    ends = min(before + after), max(before + after)
    panel.plot(ends, ends, color="#444444", linewidth=0.8)
    panel.set_xlabel("PSNR before, dB")
    panel.set_ylabel("PSNR after, dB; below the line: worse")


def _label(rows: Sequence[Row]) -> str:
    conditions = rows[0].conditions
    text = " ".join(filter(None, (conditions.data_set, conditions.method, conditions.checkpoint[:8])))
    # A dollar in a name must not begin a formula.
    return text.replace("$", r"\$")


def encode_figure(figure: "Figure") -> bytes:
    """Encode the figure as a PNG file, the same bytes every time."""
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()
