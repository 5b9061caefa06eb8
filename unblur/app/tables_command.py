"""`unblur tables`: the tables and figures of measurements made before, from their CSV files alone."""

import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from unblur.app.options import Flag, OptionalFile, OptionalFolder, OptionalName
from unblur.errors import UnblurError

if TYPE_CHECKING:
    from unblur.evaluation.row import Row
    from unblur.evaluation.sheet import Extreme
    from unblur.evaluation.tables import Table

Form = Literal["markdown", "latex", "csv"]


def tables(
    files: Annotated[
        tyro.conf.Positional[list[Path]], tyro.conf.arg(metavar="CSV...", help_behavior_hint="(required)")
    ],
    form: Annotated[Form, tyro.conf.arg(name="format", metavar="markdown|latex|csv")] = "markdown",
    plots: OptionalFolder = None,
    worst: OptionalFile = None,
    best: OptionalFile = None,
    images: Annotated[list[str] | None, tyro.conf.arg(metavar="NAME|PATTERN...", help_behavior_hint="")] = None,
    pictures: OptionalFolder = None,
    restored: OptionalFolder = None,
    split: OptionalName = None,
    published: Flag = False,
) -> int:
    """Make tables and figures of the CSV files of `unblur evaluate`.

    With one file, each group of its pictures has a line; with several, each file has a line, to compare them.

    Args:
        files: CSV files that `unblur evaluate --csv` wrote.
        form: Format of the printed table; latex needs the package booktabs.
        plots: Folder for figures: gain against severity, and before against after for each picture. Needs
            `pip install 'unblur[plots]'`.
        worst: PNG or JPEG file for a sheet of the ten pictures that gained least, with crops. Needs --pictures and
            --restored.
        best: The same for the ten pictures that gained most.
        images: Use only these pictures: names or patterns such as "severe_*".
        pictures: The folder that was measured, for --worst and --best.
        restored: Folder of the restored pictures of this data set, inside that of `unblur evaluate --restored`.
        split: Part of the data set that was measured, if not the usual one.
        published: Add published results of other methods on the same data sets, marked as published, with their
            sources and known errors.
    """
    from unblur.evaluation.published.comparison import make_published_tables
    from unblur.evaluation.published.numbers import read_published
    from unblur.evaluation.row import read_rows
    from unblur.evaluation.score_plots import check_plottable, plot_scores
    from unblur.evaluation.tables import compare_runs, summarise

    if not files:
        raise UnblurError("There is nothing to tabulate; give at least one CSV of `unblur evaluate`.")
    if plots is not None:
        check_plottable()
    runs = [_select_images(images, read_rows(file), file) for file in files]
    table = summarise(runs[0]) if len(runs) == 1 else compare_runs(runs)
    sys.stdout.write(_format_table(form, table))
    if published:
        for others in make_published_tables(runs, read_published()):
            title = f"{others.title}:\n\n" if form == "markdown" else ""
            sys.stdout.write(f"\n{title}{_format_table(form, others.table)}\n{_format_table(form, others.footnotes)}")
    if plots is not None:
        try:
            plots.mkdir(parents=True, exist_ok=True)
            plot_scores(runs, plots)
        except OSError as error:
            raise UnblurError(f"{plots} cannot be written to: {error.strerror or error}; choose another.") from error
    sheets: tuple[tuple[Extreme, Path | None], ...] = (("worst", worst), ("best", best))
    for extreme, sheet in sheets:
        if sheet is None:
            continue
        if len(runs) != 1 or pictures is None or restored is None:
            raise UnblurError(f"--{extreme} shows the images of one CSV; give one, with --pictures and --restored.")
        _plot_sheet(runs[0], extreme, sheet, pictures, restored, split)
    return 0


def _select_images(patterns: list[str] | None, rows: "list[Row]", file: Path) -> "list[Row]":
    if patterns is None:
        return rows
    selected = [row for row in rows if any(fnmatchcase(row.image, pattern) for pattern in patterns)]
    if not selected:
        raise UnblurError(f"{file} has no image called {' or '.join(patterns)}; its first column has the names.")
    return selected


def _format_table(form: Form, table: "Table") -> str:
    match form:
        case "markdown":
            return table.markdown()
        case "latex":
            return table.latex()
        case "csv":
            return table.csv()


def _plot_sheet(
    rows: "list[Row]", extreme: "Extreme", path: Path, pictures: Path, restored: Path, split: str | None
) -> None:
    import torch

    from unblur.datasets.pair_files import read_picture
    from unblur.evaluation.measured_pictures import find_pictures
    from unblur.evaluation.peers.outputs import OutputFolder
    from unblur.evaluation.sheet import Shown, plot_sheet, select_extreme_rows

    files = {named.image: named.files for named in find_pictures(pictures, split).files}
    outputs = OutputFolder(restored)
    sheet = []
    for row in select_extreme_rows(rows, extreme):
        pair = files.get(row.image)
        if pair is None or pair.sharp is None:
            raise UnblurError(f"{pictures} has no pair called {row.image}; give the folder that was measured.")
        output = torch.from_numpy(outputs.picture(row.image)).permute(2, 0, 1)
        blurry, sharp = read_picture(pair.blurry), read_picture(pair.sharp)
        if not blurry.shape == sharp.shape == output.shape:
            raise UnblurError(f"{row.image} and its restored picture in {restored} differ in size; restore it again.")
        sheet.append(Shown(row=row, blurry=blurry, restored=output, sharp=sharp))
    try:
        plot_sheet(sheet, path, extreme)
    except OSError as error:
        raise UnblurError(f"{path} cannot be written: {error.strerror or error}; choose another place.") from error
