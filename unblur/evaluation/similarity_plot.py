"""The figure of a semantic prior: how like the sharp photograph's features are, and how far blur moves a photograph."""

from collections.abc import Sequence
from pathlib import Path

from unblur.atomic import write_atomically
from unblur.evaluation.feature_similarity import Severity
from unblur.evaluation.score_plots import COLOURS, DOTS_PER_INCH, SIDE_INCHES, check_plottable, png
from unblur.models.features import FeatureLevel


def plot_similarity(severities: Sequence[Severity], levels: Sequence[FeatureLevel], path: Path) -> None:
    """Writes a PNG; equal rows give equal bytes. Raises UnblurError without matplotlib, OSError from the disk."""
    check_plottable()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2 * SIDE_INCHES, SIDE_INCHES), dpi=DOTS_PER_INCH, layout="constrained")
    cosines, distances = figure.subplots(1, 2)
    places = range(len(severities))
    for index, level in enumerate(levels):
        colour = COLOURS[index % len(COLOURS)]
        seen = [(one.teacher[index], one.student[index]) for one in severities]
        moved = [(one.teacher_moved[index], one.student_moved[index]) for one in severities]
        for panel, pairs in ((cosines, seen), (distances, moved)):
            teacher, student = zip(*pairs, strict=True)
            panel.plot(places, teacher, "o--", color=colour, markersize=3)
            panel.plot(places, student, "o-", color=colour, markersize=4, label=f"stride {level.stride_px}")
    distances.plot(places, [one.pixels_moved for one in severities], color="#222222", linewidth=2, label="pixels")
    cosines.set_ylabel("cosine with the teacher's features of the sharp photograph")
    distances.set_ylabel("moved by blur, share of the spread over photographs")
    severe = severities[-1]
    closed = f"{severe.closed:.0%} at places, {severe.closed_regions:.0%} of regions"
    cosines.set_title(f"of the gap, closed in the severe fifth: {closed}", fontsize=9)
    distances.set_title("blurry against sharp", fontsize=9)
    for panel in (cosines, distances):
        panel.set_xticks(list(places), [f"{one.psnr_db:.1f}" for one in severities])
        panel.set_xlabel("fifths of the pairs, mean PSNR in dB; dashed: teacher, whole: student")
        panel.spines[["top", "right"]].set_visible(False)
        panel.legend(fontsize=8)
    write_atomically(path, png(figure))
