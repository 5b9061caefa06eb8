"""The figure of a severity study: what every run gains in each fifth."""

from pathlib import Path

from unblur.atomic import write_atomically
from unblur.evaluation.score_plots import COLOURS, DOTS_PER_INCH, SIDE_INCHES, check_plottable, png
from unblur.studies.severity import FIFTHS, SeverityStudy


def plot_severity(study: SeverityStudy, path: Path) -> None:
    """Writes a PNG; equal studies give equal bytes. Raises UnblurError without matplotlib, OSError from the disk."""
    check_plottable()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(SIDE_INCHES, SIDE_INCHES), dpi=DOTS_PER_INCH, layout="constrained")
    panel = figure.subplots()
    for place, run in enumerate(study.runs):
        points = [(number, fifth.gains_db[place]) for number, fifth in enumerate(study.fifths) if fifth is not None]
        # A dollar in a name must not begin a formula.
        label = f"{run}: {study.whole.gains_db[place]:+.2f} over all".replace("$", r"\$")
        panel.plot(*zip(*points, strict=True), "o-", color=COLOURS[place % len(COLOURS)], label=label, markersize=4)
    panel.axhline(0, color="#444444", linewidth=0.8)
    panel.set_xticks(range(len(FIFTHS)), FIFTHS)
    panel.set_xlabel(f"fifths of the images by {study.measure}")
    panel.set_ylabel("mean gain, dB")
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(fontsize=8)
    write_atomically(path, png(figure))
