"""The figure of the denoiser's cost: how it grows with the pixels of a photograph, and that of a softmax twin."""

from collections.abc import Sequence
from pathlib import Path

from unblur.atomic import write_atomically
from unblur.evaluation.cost import GrowthCost
from unblur.evaluation.score_plots import COLOURS, DOTS_PER_INCH, SIDE_INCHES, check_plottable, png


def plot_growth(rows: Sequence[GrowthCost], path: Path) -> None:
    """Writes a PNG; equal rows give equal bytes. Raises UnblurError without matplotlib, OSError from the disk."""
    check_plottable()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(SIDE_INCHES, SIDE_INCHES), dpi=DOTS_PER_INCH, layout="constrained")
    panel = figure.subplots()
    megapixels = [row.side_px**2 / 1e6 for row in rows]
    curves = {
        "softmax attention": [row.softmax_macs / 1e9 for row in rows],
        "linear attention": [row.linear_macs / 1e9 for row in rows],
        "in proportion to pixels": [rows[0].linear_macs / 1e9 * size / megapixels[0] for size in megapixels],
    }
    styles = ((COLOURS[1], "o-"), (COLOURS[0], "o-"), ("#888888", ":"))
    for (label, values), (colour, style) in zip(curves.items(), styles, strict=True):
        panel.plot(megapixels, values, style, color=colour, label=label, markersize=4)
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_xlabel("megapixels of the photograph")
    panel.set_ylabel("GMACs of a step of the denoiser")
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(fontsize=8)
    write_atomically(path, png(figure))
