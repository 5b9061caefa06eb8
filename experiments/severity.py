"""Show what restoration gains in each fifth of the images, from mild to severe blur.

It reads the rows that `unblur evaluate --csv` wrote. Severity is measured by the PSNR of the blurry photograph, as its
protocol measures it, and with `--motion` by the length of its blur as well; lengths are exact where the motion is known
and estimated elsewhere. The hardest quintile is the last fifth.
"""

import sys
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, quantiles
from typing import Annotated

import tyro
from torch import Tensor, nn
from tqdm import tqdm

from experiments.harness import run
from unblur.app.output_file import make_write_error
from unblur.atomic import write_atomically
from unblur.blur.undirected import to_directed
from unblur.datasets.pair_files import read_picture
from unblur.errors import UnblurError
from unblur.evaluation.estimated_motion import estimate_motion, load_estimator
from unblur.evaluation.measure import NamedFiles
from unblur.evaluation.measured_pictures import find_pictures
from unblur.evaluation.motion_sources import ImageMotionPaths, holds_known_motion, read_known_motion
from unblur.evaluation.row import Row, read_rows
from unblur.evaluation.score_plots import (
    COLOURS,
    DOTS_PER_INCH,
    SIDE_INCHES,
    check_plottable,
    encode_figure,
    select_finite_rows,
)
from unblur.evaluation.tables import Table
from unblur.restoration.device import choose_device

QUINTILES = ("1, mildest", "2", "3", "4", "5, severe")


@dataclass(frozen=True, kw_only=True)
class Quintile:
    """The images between two quantiles of severity."""

    mildest: float
    """Severity of its mildest image, in dB or pixels."""
    severest: float
    images: int
    gains_db: tuple[float, ...]
    """Mean gain of every run."""


@dataclass(frozen=True, kw_only=True)
class SeverityComparison:
    """Gains of several runs over the same images, by severity."""

    runs: tuple[str, ...]
    measure: str
    """The measure of severity, with its unit."""
    quintiles: tuple[Quintile | None, ...]
    """Mildest first; None where no image is, because many are equally severe."""
    whole: Quintile
    left_out: int
    """Images that equal their sharp twins: their PSNR is infinite."""


def compare_by_psnr(runs: Mapping[str, Sequence[Row]]) -> SeverityComparison:
    """Compare by the PSNR of the blurry photograph: the lower, the more severe. Raises UnblurError, see `_compare`."""
    first = next(iter(runs.values()), ())
    severity = {row.image: -row.scores["psnr_before_db"] for row in select_finite_rows(first)}
    return _compare(runs, severity, "PSNR before, dB", sign=-1)


def compare_by_length(runs: Mapping[str, Sequence[Row]], lengths_px: Mapping[str, float]) -> SeverityComparison:
    """Compare by the mean length of the blur's paths in pixels, by the name of the image without its suffix.

    Raises UnblurError for an image whose length is not there, and see `_compare`.
    """
    severity = {}
    for row in select_finite_rows(next(iter(runs.values()), ())):
        stem = row.image.rpartition(".")[0] or row.image
        if stem not in lengths_px:
            raise UnblurError(f"The motion of {row.image} is not known; give the folder that was measured.")
        severity[row.image] = lengths_px[stem]
    return _compare(runs, severity, "length of blur, px", sign=1)


def split_in_quintiles(severity: Mapping[str, float]) -> list[list[str]]:
    """Divide images into five parts, mildest first; equal severities lie in the same part, so parts may be empty."""
    bounds = quantiles(severity.values(), n=len(QUINTILES), method="inclusive")
    parts: list[list[str]] = [[] for _ in QUINTILES]
    for image, value in severity.items():
        parts[bisect_left(bounds, value)].append(image)
    return parts


def make_severity_table(comparison: SeverityComparison) -> Table:
    """Make a table with one line per quintile and one for all; gains are means over images, in dB."""
    lines = [
        (title, *(_format_cells(quintile) if quintile else ("-", "0", *("-" for _ in comparison.runs))))
        for title, quintile in zip(QUINTILES, comparison.quintiles, strict=True)
    ]
    gains = [f"{name}, gain dB" for name in comparison.runs]
    return Table(
        header=("fifth", comparison.measure, "images", *gains),
        lines=(*lines, ("all", *_format_cells(comparison.whole))),
    )


def _compare(
    runs: Mapping[str, Sequence[Row]], severity: Mapping[str, float], measure: str, sign: int
) -> SeverityComparison:
    """Compare runs. Raises UnblurError unless they measured the same images, of which there are at least five."""
    if not runs:
        raise UnblurError("There is nothing to compare; give at least one CSV of `unblur evaluate`.")
    (first, rows), *others = runs.items()
    for name, other in others:
        if _list_compared_images(other) != _list_compared_images(rows):
            raise UnblurError(f"{first} and {name} did not measure the same images alike; compare those that did.")
    # An image that one network has restored perfectly would leave the fifth without a mean.
    finite = set.intersection(
        *({row.image for row in select_finite_rows(rows_of_run)} for rows_of_run in runs.values())
    )
    values = {image: value for image, value in severity.items() if image in finite}
    if len(values) < len(QUINTILES):
        raise UnblurError(
            f"{first} has {len(values)} images with a finite PSNR; fifths need at least {len(QUINTILES)}."
        )
    gains = [{row.image: row.gain_db for row in rows_of_run} for rows_of_run in runs.values()]
    members = split_in_quintiles(values)

    def quintile(images: Sequence[str]) -> Quintile:
        severities = [sign * values[image] for image in images]
        mildest, severest = (min(severities), max(severities)) if sign > 0 else (max(severities), min(severities))
        means = tuple(fmean(of_run[image] for image in images) for of_run in gains)
        return Quintile(mildest=mildest, severest=severest, images=len(images), gains_db=means)

    return SeverityComparison(
        runs=tuple(runs),
        measure=measure,
        quintiles=tuple(quintile(images) if images else None for images in members),
        whole=quintile(list(values)),
        left_out=len(rows) - len(values),
    )


def _list_compared_images(rows: Sequence[Row]) -> tuple[object, ...]:
    """Return what has to be equal for two runs to be compared image by image."""
    conditions = rows[0].conditions
    return conditions.data_set, conditions.pictures, conditions.protocol, {row.image for row in rows}


def _format_cells(quintile: Quintile) -> tuple[str, ...]:
    reach = f"{quintile.mildest:.2f} to {quintile.severest:.2f}"
    return reach, str(quintile.images), *(f"{gain:+.2f}" for gain in quintile.gains_db)


def read_lengths_px(motions: Iterable[ImageMotionPaths]) -> dict[str, float]:
    """Return the mean distance between start and end of the motion, by the image's name without suffix."""
    return {motion.image: _compute_length_px(motion.start, motion.end) for motion in motions}


def estimate_lengths_px(pictures: Iterable[NamedFiles], estimator: nn.Module) -> dict[str, float]:
    """Estimate the same with a motion estimator. Raises UnblurError for an image that cannot be read."""
    lengths = {}
    for named in pictures:
        blurry = read_picture(named.files.blurry).float() / 255
        lengths[named.image.rpartition(".")[0] or named.image] = _compute_length_px(
            *to_directed(estimate_motion(estimator, blurry))
        )
    return lengths


def _compute_length_px(start: Tensor, end: Tensor) -> float:
    return float((end - start).norm(dim=0).mean())


def plot_severity(comparison: SeverityComparison, path: Path) -> None:
    """Write a figure of the gains in each quintile as PNG; equal comparisons give equal bytes.

    Raises UnblurError without matplotlib, and OSError from the disk.
    """
    check_plottable()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(SIDE_INCHES, SIDE_INCHES), dpi=DOTS_PER_INCH, layout="constrained")
    panel = figure.subplots()
    for place, name in enumerate(comparison.runs):
        points = [(number, one.gains_db[place]) for number, one in enumerate(comparison.quintiles) if one is not None]
        # A dollar in a name must not begin a formula.
        label = f"{name}: {comparison.whole.gains_db[place]:+.2f} over all".replace("$", r"\$")
        panel.plot(*zip(*points, strict=True), "o-", color=COLOURS[place % len(COLOURS)], label=label, markersize=4)
    panel.axhline(0, color="#444444", linewidth=0.8)
    panel.set_xticks(range(len(QUINTILES)), QUINTILES)
    panel.set_xlabel(f"fifths of the images by {comparison.measure}")
    panel.set_ylabel("mean gain, dB")
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(fontsize=8)
    write_atomically(path, encode_figure(figure))


def severity(
    files: tyro.conf.Positional[list[Path]],
    *,
    motion: Path | None = None,
    checkpoint: str | None = None,
    split: str | None = None,
    name: Annotated[str | None, tyro.conf.arg(name="as")] = None,
    plot: Path | None = None,
    device: str = "auto",
) -> int:
    """Show gains in fifths of the images, from mild to severe blur, of one or several measurements side by side.

    Severity is measured by the PSNR of the blurry photograph, and with --motion by the length of its blur as well. The
    severe images are the hardest quintile.

    Args:
        files: CSV files that `unblur evaluate --csv` wrote, all of the same images.
        motion: The folder that was measured: lengths are read from its motion/, or else estimated.
        checkpoint: The motion estimator for that, a checkpoint of `unblur train motion`: a folder or a hub id.
        split: Part of the data set that was measured, if not the usual one.
        name: What `unblur datasets` calls the data set in --motion, where the folder is ambiguous.
        plot: PNG file for a figure, by length where --motion is given; needs `pip install 'unblur[plots]'`.
        device: Where to estimate: auto, cpu, cuda, ...
    """
    if plot is not None:
        check_plottable()
    runs = {title: read_rows(file) for title, file in _choose_titles(files).items()}
    comparisons = [compare_by_psnr(runs)]
    if motion is not None:
        comparisons.append(compare_by_length(runs, _find_lengths_px(motion, checkpoint, split, name, device)))
    sys.stdout.write("\n".join(make_severity_table(one).markdown() for one in comparisons))
    if left_out := comparisons[0].left_out:
        which = "1 image is" if left_out == 1 else f"{left_out} images are"
        sys.stdout.write(f"\n{which} in no fifth: PSNR is infinite where nothing differs.\n")
    if plot is not None:
        try:
            plot_severity(comparisons[-1], plot)
        except OSError as error:
            raise make_write_error(plot, error) from error
    return 0


def _choose_titles(files: list[Path]) -> dict[str, Path]:
    """Name tables by their file names where these differ, by whole paths where not."""
    alike = len({file.stem for file in files}) < len(files)
    titles = {str(file) if alike else file.stem: file for file in files}
    if len(titles) < len(files):
        raise UnblurError("A CSV file is named twice; give each only once.")
    return titles


def _find_lengths_px(
    folder: Path, checkpoint: str | None, split: str | None, name: str | None, device: str
) -> Mapping[str, float]:
    if holds_known_motion(folder) and checkpoint is None:
        return read_lengths_px(read_known_motion(folder))
    estimator = load_estimator(checkpoint, choose_device(device))
    pictures = find_pictures(folder, split, name).files
    return estimate_lengths_px(tqdm(pictures, unit="image", disable=not sys.stderr.isatty()), estimator)


if __name__ == "__main__":
    sys.exit(run(severity))
