"""Trained on one data set, tested on all: how well what was learnt from each carries over to the others.

GLOWDeblur's table of cross-dataset results (arXiv 2601.06525). Every row is trained for as many steps; only what it
learns from differs.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean

from unblur.errors import UnblurError
from unblur.evaluation.tables import Table
from unblur.studies.data_sets import StudySet
from unblur.studies.rows import Bench, Cell, Cells, measured, trained

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


def cross_dataset(bench: Bench, sets: Sequence[StudySet]) -> dict[str, dict[str, Cell]]:
    """Cells by the data set that was trained on and that which was measured; sets for measuring only train nothing.

    What a stopped study has finished is not done again. Raises UnblurError.
    """
    rows = {}
    for one in sets:
        if one.source is not None:
            run = trained(bench, one.name, [one.source], bench.recipe.steps)
            rows[one.name] = measured(bench, one.name, run, sets)
    if not rows:
        raise UnblurError("None of the data sets has pairs for training; give at least one that has.")
    return rows


def cross_table(rows: Mapping[str, Cells]) -> Table:
    """PSNR/SSIM, trained on the row and measured on the column, means over the columns, and the drop.

    The drop of a row: how many dB better each other set is restored by the network that was trained on it; the mean
    over these sets.
    """
    first = next(iter(rows.values()))
    lines = [(BLURRY, *blurry_texts(first), "")]
    for name, cells in rows.items():
        drop = drop_db(rows, name)
        lines.append((name, *cell_texts(cells), "-" if drop is None else f"{drop:.2f}"))
    return Table(header=("trained on", *first, "mean", "drop elsewhere, dB"), lines=tuple(lines))


def drop_db(rows: Mapping[str, Cells], name: str) -> float | None:
    """How much the network of row `name` is behind on the sets of other rows; None when there is no other row."""
    behind = [rows[other][other].psnr_after_db - rows[name][other].psnr_after_db for other in rows if other != name]
    return fmean(behind) if behind else None


def cross_csv(rows: Mapping[str, Cells]) -> str:
    """One line a cell."""
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


def cell_texts(cells: Cells) -> tuple[str, ...]:
    """PSNR/SSIM of every data set, and their means over the data sets."""
    return (
        *(scores(cell.psnr_after_db, cell.ssim_after) for cell in cells.values()),
        scores(fmean(cell.psnr_after_db for cell in cells.values()), fmean(c.ssim_after for c in cells.values())),
    )


def blurry_texts(cells: Cells) -> tuple[str, ...]:
    """The same of the blurry input."""
    return (
        *(scores(cell.psnr_before_db, cell.ssim_before) for cell in cells.values()),
        scores(fmean(cell.psnr_before_db for cell in cells.values()), fmean(c.ssim_before for c in cells.values())),
    )


def scores(psnr_db: float, ssim: float) -> str:
    """As the paper writes them, with a digit more of SSIM."""
    return f"{psnr_db:.2f}/{ssim:.3f}"
