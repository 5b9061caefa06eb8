"""The figure of blur patterns: one row a data set, as in the paper (arXiv 2601.06525), and one panel more.

From left to right: globally and locally blurred images, orientation, magnitude over the data set's largest, and
magnitude in pixels, which alone can be compared between data sets.
"""

import importlib
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from unblur.atomic import write_atomically
from unblur.errors import UnblurError
from unblur.metrics.blur_patterns import ORIENTATION_BINS, RELATIVE_BINS, BlurPatterns, compute_magnitude_edges_px

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORMATS = {".png": "png", ".svg": "svg"}
ROW_INCHES, WIDTH_INCHES, DOTS_PER_INCH = 2.7, 13, 120
LONGEST_NAME = 60

KIND_COLOURS = {"global": "#3b6ea5", "local": "#e0863a", "still": "#b9b9b9"}
BAR_COLOUR, LINE_COLOUR = "#3b6ea5", "#444444"


def check_plottable(path: Path) -> None:
    """Raise UnblurError unless a figure can be drawn here and `path` names a PNG or an SVG file."""
    if path.suffix.lower() not in FORMATS:
        raise UnblurError(f"A figure is written as .png or .svg, not as {path.name}; give such a name.")
    try:
        importlib.import_module("matplotlib.figure")
    except ImportError as error:
        raise UnblurError(
            f"{path.name} cannot be drawn because matplotlib is not installed; run: pip install 'unblur[plots]'"
        ) from error


def plot_patterns(patterns: Mapping[str, BlurPatterns], path: Path) -> None:
    """Draw the named data sets, one a row, into `path`, PNG or SVG; equal numbers give equal PNG bytes.

    Raises UnblurError when there is nothing to draw, the suffix is another or matplotlib is missing, and OSError
    when the folder or the disk refuses.
    """
    check_plottable(path)
    if not patterns:
        raise UnblurError(f"{path.name} would show no data set; give at least one.")
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    kind = FORMATS[path.suffix.lower()]
    # Without a salt the names inside an SVG are random; the setting is put back at once.
    with rc_context({"svg.hashsalt": "unblur"}):
        figure = Figure(figsize=(WIDTH_INCHES, ROW_INCHES * len(patterns)), dpi=DOTS_PER_INCH, layout="constrained")
        rows = figure.subfigures(len(patterns), 1, squeeze=False)[:, 0]
        grid = []
        for row, (name, data) in zip(rows, patterns.items(), strict=True):
            short = name if len(name) <= LONGEST_NAME else f"...{name[3 - LONGEST_NAME :]}"
            title = f"{short}: {data.images} images, diversity {data.diversity:.2f}"
            row.suptitle(title, parse_math=False, fontsize=11, fontweight="bold")
            panels = row.subplots(1, 4, width_ratios=(0.8, 1.2, 1.2, 1.2))
            _draw_kinds(panels[0], data)
            _draw_orientation(panels[1], data)
            _draw_relative_magnitude(panels[2], data)
            _draw_magnitude(panels[3], data)
            grid.append(panels)
        for column in list(zip(*grid, strict=True))[1:]:
            # One scale for a column: rows are there to be compared.
            highest = max(panel.get_ylim()[1] for panel in column)
            for panel in column:
                panel.set_ylim(0, highest)
        file = io.BytesIO()
        figure.savefig(file, format=kind, metadata={"Software": None} if kind == "png" else {"Date": None})
    write_atomically(path, file.getvalue())


def _draw_kinds(panel: "Axes", data: BlurPatterns) -> None:
    counts = {"global": data.global_images, "local": data.local_images, "still": data.still_images}
    there = {kind: count for kind, count in counts.items() if count}
    panel.pie(
        list(there.values()),
        labels=[f"{kind}\n{count / data.images:.0%}" for kind, count in there.items()],
        colors=[KIND_COLOURS[kind] for kind in there],
        labeldistance=1.2,
        startangle=90,
        counterclock=False,
        wedgeprops={"edgecolor": "white", "linewidth": 1},
        textprops={"fontsize": 9},
    )


def _draw_orientation(panel: "Axes", data: BlurPatterns) -> None:
    width = 360 / ORIENTATION_BINS
    _draw_bars(panel, [width * place for place in range(ORIENTATION_BINS)], data.orientation, width)
    panel.axhline(100 / ORIENTATION_BINS, color=LINE_COLOUR, linewidth=0.8, linestyle="--")
    panel.set_xlim(0, 360)
    panel.set_xticks([0, 90, 180, 270, 360], ["0\nright", "90\ndown", "180\nleft", "270\nup", "360\nright"])
    _label(panel, f"orientation, degrees (entropy {data.orientation_entropy:.2f}; dashed: flat)", "% of motion")


def _draw_relative_magnitude(panel: "Axes", data: BlurPatterns) -> None:
    width = 1 / RELATIVE_BINS
    _draw_bars(panel, [width * place for place in range(RELATIVE_BINS)], data.relative_magnitude, width)
    panel.set_xlim(0, 1)
    _label(panel, f"magnitude / largest ({data.largest_px:.1f} px)", "% of points")


def _draw_magnitude(panel: "Axes", data: BlurPatterns) -> None:
    edges = [math.log2(edge) for edge in compute_magnitude_edges_px()]
    _draw_bars(panel, edges[:-1], data.magnitude, edges[1] - edges[0])
    panel.set_xlim(edges[0], edges[-1])
    octaves = range(math.ceil(edges[0]), math.floor(edges[-1]) + 1)
    panel.set_xticks(list(octaves), [f"{2.0**octave:g}" for octave in octaves])
    for percentile_px in (data.median_px, data.percentile_90_px):
        if percentile_px >= 2 ** edges[0]:
            panel.axvline(math.log2(percentile_px), color=LINE_COLOUR, linewidth=0.8, linestyle=":")
    _label(
        panel,
        f"magnitude, px (entropy {data.magnitude_entropy:.2f})\ndotted: median and 90th percentile of all",
        "% of moving points",
    )


def _draw_bars(panel: "Axes", left: Sequence[float], shares: Sequence[float], width: float) -> None:
    percents = [100 * share for share in shares]
    panel.bar(left, percents, width, align="edge", color=BAR_COLOUR, edgecolor="white", linewidth=0.4)


def _label(panel: "Axes", axis: str, heights: str) -> None:
    panel.set_xlabel(axis, fontsize=9)
    panel.set_ylabel(heights, fontsize=9)
    panel.tick_params(labelsize=8)
    panel.spines[["top", "right"]].set_visible(False)
