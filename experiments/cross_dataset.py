"""Train a network on each data set and test it on all: the cross-data-set table of GLOWDeblur (arXiv 2601.06525).

Every row is trained for the same number of steps; rows differ only in their training data.
"""

import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from statistics import fmean

import tyro

from experiments.data_sets import BenchmarkSet
from experiments.dataset_rows import (
    Cell,
    Cells,
    RowContext,
    RowOptions,
    measure_row,
    open_context,
    open_sets,
    train_row,
)
from experiments.harness import ProgressBars, run, write_table
from unblur.errors import UnblurError
from unblur.evaluation.tables import Table

BLURRY = "(blurry input)"

CSV_HEADER = (
    "trained_on",
    "measured_on",
    "images",
    "psnr_before_db",
    "psnr_after_db",
    "ssim_before",
    "ssim_after",
)


def train_and_measure(context: RowContext, sets: Sequence[BenchmarkSet]) -> dict[str, dict[str, Cell]]:
    """Return the cells by training set and test set; sets without training pairs get no row.

    Finished rows and cells are not made again. Raises UnblurError.
    """
    rows = {}
    for one in sets:
        if one.source is not None:
            checkpoint = train_row(context, one.name, [one.source], context.recipe.schedule.steps)
            rows[one.name] = measure_row(context, one.name, checkpoint, sets)
    if not rows:
        raise UnblurError("None of the data sets has pairs for training; give at least one that has.")
    return rows


def make_cross_table(rows: Mapping[str, Cells]) -> Table:
    """Make the table of PSNR/SSIM, trained on the row and measured on the column, with means over columns and the drop.

    The drop of a row: how many dB better each other set is restored by the network that was trained on it; the mean
    over these sets.
    """
    first = next(iter(rows.values()))
    lines = [(BLURRY, *format_blurry_cells(first), "")]
    for name, cells in rows.items():
        drop = compute_drop_db(rows, name)
        lines.append((name, *format_cells(cells), "-" if drop is None else f"{drop:.2f}"))
    return Table(header=("trained on", *first, "mean", "drop elsewhere, dB"), lines=tuple(lines))


def compute_drop_db(rows: Mapping[str, Cells], name: str) -> float | None:
    """Return how far the network of row `name` is behind on the sets of other rows; None without other rows."""
    behind = [rows[other][other].psnr_after_db - rows[name][other].psnr_after_db for other in rows if other != name]
    return fmean(behind) if behind else None


def make_cross_csv(rows: Mapping[str, Cells]) -> str:
    """Make a CSV with one line per cell."""
    lines = tuple(
        (
            trained_on,
            measured_on,
            str(cell.images),
            f"{cell.psnr_before_db:.4f}",
            f"{cell.psnr_after_db:.4f}",
            f"{cell.ssim_before:.4f}",
            f"{cell.ssim_after:.4f}",
        )
        for trained_on, cells in rows.items()
        for measured_on, cell in cells.items()
    )
    return Table(header=CSV_HEADER, lines=lines).csv()


def format_cells(cells: Cells) -> tuple[str, ...]:
    """Format PSNR/SSIM of every data set, and their means over the data sets."""
    return (
        *(format_scores(cell.psnr_after_db, cell.ssim_after) for cell in cells.values()),
        format_scores(
            fmean(cell.psnr_after_db for cell in cells.values()), fmean(c.ssim_after for c in cells.values())
        ),
    )


def format_blurry_cells(cells: Cells) -> tuple[str, ...]:
    """Format the same for the blurry input."""
    return (
        *(format_scores(cell.psnr_before_db, cell.ssim_before) for cell in cells.values()),
        format_scores(
            fmean(cell.psnr_before_db for cell in cells.values()), fmean(c.ssim_before for c in cells.values())
        ),
    )


def format_scores(psnr_db: float, ssim: float) -> str:
    """Format PSNR and SSIM as the paper does, with one more digit of SSIM."""
    return f"{psnr_db:.2f}/{ssim:.3f}"


def cross_dataset(sets: tyro.conf.Positional[list[str]], *, common: tyro.conf.OmitArgPrefixes[RowOptions]) -> int:
    """Train a network on each data set, test it on all, and show how well it generalises to the others.

    Finished rows are not trained again: an interrupted command continues, and with more data sets it makes what is
    missing.

    Args:
        sets: Data sets: folders as `unblur check` takes them, FOLDER@NAME where the folder is ambiguous, or cameras of
            the simulator: full, gopro, realblur, rsblur. Of sets without a split for training, the last fifth of the
            pairs is held out for testing.
        common: Options of every experiment that trains rows.
    """
    with closing(ProgressBars()) as bars:
        context = open_context(common, bars)
        opened = open_sets(sets, common)
        rows = train_and_measure(context, opened)
    counts = ", ".join(f"{cell.images} pairs of {name}" for name, cell in next(iter(rows.values())).items())
    protocols = ", ".join(sorted({one.measured.protocol.title for one in opened}))
    title = (
        f"PSNR/SSIM of {context.recipe.name}, each row trained for {common.steps} steps of {common.batch} patches of "
        f"{common.patch} px, seed {common.seed}; measured on {counts}; {protocols}."
    )
    write_table(common.output, "cross-dataset", title, make_cross_table(rows).markdown(), make_cross_csv(rows))
    return 0


if __name__ == "__main__":
    sys.exit(run(cross_dataset))
