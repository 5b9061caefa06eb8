"""`unblur study severity`: what is gained where blur is mild, and where it is severe."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from unblur.app.output_file import refused
from unblur.errors import UnblurError

if TYPE_CHECKING:
    from collections.abc import Mapping


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

    Severity is told by the PSNR of the blurry photograph, and with --motion by the length of its blur as well. The
    severe images are the worst fifth.

    Args:
        files: CSV files that `unblur evaluate --csv` wrote, all of the same images.
        motion: The folder that was measured: lengths are read from its motion/, or else estimated.
        checkpoint: The motion estimator for that, a checkpoint of `unblur train motion`: a folder or a hub id.
        split: Part of the data set that was measured, if not the usual one.
        name: What `unblur datasets` calls the data set in --motion, where the folder does not tell.
        plot: PNG file for a figure, by length where --motion is given; needs `pip install 'unblur[plots]'`.
        device: Where to estimate: auto, cpu, cuda, ...
    """
    from unblur.evaluation.row import read_rows
    from unblur.evaluation.score_plots import check_plottable
    from unblur.studies.severity import by_length, by_psnr, severity_table
    from unblur.studies.severity_plot import plot_severity

    if plot is not None:
        check_plottable()
    runs = {title: read_rows(file) for title, file in _titles(files).items()}
    studies = [by_psnr(runs)]
    if motion is not None:
        studies.append(by_length(runs, _lengths_px(motion, checkpoint, split, name, device)))
    sys.stdout.write("\n".join(severity_table(study).markdown() for study in studies))
    if left_out := studies[0].left_out:
        which = "1 image is" if left_out == 1 else f"{left_out} images are"
        sys.stdout.write(f"\n{which} in no fifth: PSNR is infinite where nothing differs.\n")
    if plot is not None:
        try:
            plot_severity(studies[-1], plot)
        except OSError as error:
            raise refused(plot, error) from error
    return 0


def _titles(files: list[Path]) -> dict[str, Path]:
    """Tables by their names where these tell them apart, by whole paths where not."""
    alike = len({file.stem for file in files}) < len(files)
    titles = {str(file) if alike else file.stem: file for file in files}
    if len(titles) < len(files):
        raise UnblurError("A CSV file is named twice; give each only once.")
    return titles


def _lengths_px(
    folder: Path, checkpoint: str | None, split: str | None, name: str | None, device: str
) -> "Mapping[str, float]":
    from tqdm import tqdm

    from unblur.evaluation.estimated_motion import load_estimator
    from unblur.evaluation.measured_pictures import find_pictures
    from unblur.evaluation.motion_sources import holds_known_motion, known_motion
    from unblur.restoration.device import choose_device
    from unblur.studies.blur_lengths import estimated_lengths_px, known_lengths_px

    if holds_known_motion(folder) and checkpoint is None:
        return known_lengths_px(known_motion(folder))
    estimator = load_estimator(checkpoint, choose_device(device))
    pictures = find_pictures(folder, split, name).files
    return estimated_lengths_px(tqdm(pictures, unit="image", disable=not sys.stderr.isatty()), estimator)
