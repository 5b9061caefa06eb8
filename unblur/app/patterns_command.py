"""`unblur patterns`: which directions and lengths of blur a data set holds, and how diverse they are."""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from unblur.app.options import AnyDeviceName, CheckpointName, Flag, OptionalFile
from unblur.app.output_file import make_write_error, write_output
from unblur.app.report import printable
from unblur.errors import UnblurError

if TYPE_CHECKING:
    from torch import nn

    from unblur.evaluation.estimated_motion import MotionError
    from unblur.evaluation.motion_sources import ImageMotionPaths
    from unblur.metrics.blur_patterns import BlurPatterns


def patterns(
    sources: Annotated[
        tyro.conf.Positional[list[Path]], tyro.conf.arg(metavar="FOLDER|PHOTO...", help_behavior_hint="(required)")
    ],
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"], metavar="FILE", help_behavior_hint="")] = None,
    json: OptionalFile = None,
    estimate: Flag = False,
    checkpoint: CheckpointName = None,
    device: AnyDeviceName = "auto",
) -> int:
    """Measure the blur of data sets: global or local, orientation, magnitude, diversity.

    Known motion is measured: in folders of `unblur simulate`, and in those with motion/*.npz. The motion in other
    photographs, in a folder or in its blurry/, is estimated by a network of `unblur train motion`.

    Args:
        sources: Folders of data sets, or single photographs, which are measured together as one set.
        output: Figure of all data sets, .png or .svg; needs `pip install 'unblur[plots]'`.
        json: File for all numbers and histograms, with one entry for each data set.
        estimate: Also estimate motion that is known, and print the errors of the estimates.
        checkpoint: The motion estimator: a folder, or a repository on the Hugging Face hub.
        device: Where to compute: auto uses an accelerator if there is one.
    """
    from unblur.config import to_json
    from unblur.evaluation.estimated_motion import load_estimator
    from unblur.evaluation.motion_sources import estimate_motions, holds_known_motion, read_known_motion
    from unblur.evaluation.pattern_plots import check_plottable, plot_patterns
    from unblur.metrics.blur_patterns import BlurPatterns
    from unblur.restoration.device import choose_device

    if not sources:
        raise UnblurError("There is no data set to measure; give at least one folder.")
    if output is not None:
        # Reported before the measuring, which may take long.
        check_plottable(output)
    estimator: nn.Module | None = None
    measured: dict[str, BlurPatterns] = {}
    errors: dict[str, MotionError] = {}
    for name, source in _name_sources(sources).items():
        if isinstance(source, Path) and holds_known_motion(source) and not estimate:
            motion = read_known_motion(source)
        else:
            estimator = estimator or load_estimator(checkpoint, choose_device(device))
            motion = estimate_motions(source, estimator)
        measured[name], error = _measure(name, motion)
        if error:
            errors[name] = error
    sys.stdout.write(format_patterns(measured))
    for name, error in errors.items():
        share, fitted = error.endpoint_px / error.length_px, error.fitted_endpoint_px / error.length_px
        sys.stdout.write(
            f"- {printable(name)}: estimated ends lie {error.endpoint_px:.2f} px from the true ones, {share:.0%} of "
            f"the paths' mean length of {error.length_px:.2f} px; {fitted:.0%} against the quadratic fits.\n"
        )
    if json is not None:
        write_output(json, to_json(measured, dict[str, BlurPatterns]).encode())
    if output is not None:
        try:
            plot_patterns(measured, output)
        except OSError as error:
            raise make_write_error(output, error) from error
    return 0


def format_patterns(measured: "Mapping[str, BlurPatterns]") -> str:
    """Return a Markdown table, one line a data set, followed by sentences that compare the breadth of several."""
    from unblur.metrics.blur_patterns import compare_breadth

    lines = [
        "| data set | n | global % | local % | still % | orientation entropy | magnitude entropy "
        "| median px | 90th pct px | diversity |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, data in measured.items():
        shares = (data.global_images, data.local_images, data.still_images)
        percents = " | ".join(f"{100 * count / data.images:.1f}" for count in shares)
        cell = printable(name).replace("|", "\\|")
        lines.append(
            f"| {cell} | {data.images} | {percents} "
            f"| {data.orientation_entropy:.3f} | {data.magnitude_entropy:.3f} "
            f"| {data.median_px:.1f} | {data.percentile_90_px:.1f} | {data.diversity:.3f} |"
        )
    (first, reference), *others = measured.items()
    for position, (name, data) in enumerate(others):
        breadth = compare_breadth(reference, data)
        lines += [""] * (position == 0) + [
            f"- {printable(first)} against {printable(name)}: orientation {_describe_gain(breadth.orientation)}, "
            f"magnitude {_describe_gain(breadth.magnitude)}."
        ]
    return "\n".join(lines) + "\n"


def _describe_gain(gain: float) -> str:
    rounded = round(gain, 3)
    return "as broad" if rounded == 0 else f"{'broader' if rounded > 0 else 'narrower'} by {abs(rounded):.3f}"


def _name_sources(sources: list[Path]) -> "dict[str, Path | list[Path]]":
    """Return the data sets by their folders' names where these are distinct, else by their whole paths."""
    folders: dict[Path, Path | list[Path]] = {}
    for source in sources:
        if source.is_file():
            files = folders.setdefault(source.parent, [])
            if isinstance(files, list):
                files.append(source)
        else:
            folders[source] = source
    alike = len({folder.resolve().name for folder in folders}) < len(folders)
    return {str(folder) if alike else folder.resolve().name: what for folder, what in folders.items()}


def _measure(name: str, images: "Iterable[ImageMotionPaths]") -> "tuple[BlurPatterns, MotionError | None]":
    """Return the patterns of a data set, and the mean error of its estimates where the truth is known too."""
    from tqdm import tqdm

    from unblur.evaluation.estimated_motion import average_errors
    from unblur.metrics.blur_patterns import collect_patterns, measure_motion

    motions, errors = [], []
    for motion in tqdm(images, desc=name, unit="image", disable=not sys.stderr.isatty()):
        try:
            motions.append(measure_motion(motion.start, motion.end, both_ways=motion.estimated))
        except UnblurError as error:
            raise UnblurError(f"{name}, image {motion.image}: {error}") from error
        if motion.error:
            errors.append(motion.error)
    return collect_patterns(motions), average_errors(errors) if errors else None
