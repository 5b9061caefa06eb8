"""Measure blur pattern pretraining (BPP) before fine-tuning: the ablation table of GLOWDeblur (arXiv 2601.06525).

The paper does not say how long each row was trained. Here all rows have had as many updates when they are measured:
those without pretraining are trained longer on their own data.
"""

import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from string import ascii_lowercase

import tyro

from experiments.cross_dataset import BLURRY, format_blurry_cells, format_cells
from experiments.data_sets import BenchmarkSet, find_training_source
from experiments.dataset_rows import Cell, RowContext, RowOptions, measure_row, open_context, open_sets, train_row
from experiments.harness import ProgressBars, run, write_table
from unblur.datasets import DataSource
from unblur.errors import UnblurError
from unblur.evaluation.tables import Table

MIXED, SPECIALISTS, SINGLE_PROCESS = "all mixed", "each by its own network", "nothing"

CSV_HEADER = (
    "row",
    "fine_tuned_on",
    "bpp",
    "measured_on",
    "images",
    "psnr_before_db",
    "psnr_after_db",
    "ssim_before",
    "ssim_after",
)


@dataclass(frozen=True, kw_only=True)
class BppRow:
    """One row of the table."""

    letter: str
    """The letter of the row in the paper where there are three sets; empty for rows that it lacks."""
    tuned_on: str
    pretrained: bool
    cells: dict[str, Cell]


def train_and_measure(
    context: RowContext, sets: Sequence[BenchmarkSet], pretraining: DataSource, pretraining_steps: int
) -> list[BppRow]:
    """Make all rows: pretrained and fine-tuned on each set, mixed without and with pretraining, and two references.

    These are the pretrained network as it is, and for each set a network trained on that alone. Fine-tuning takes the
    steps of the context. Finished rows are not made again. Raises UnblurError.
    """
    sources = {one.name: one.source for one in sets if one.source is not None}
    if len(sources) < len(sets) or not sets:
        lacking = ", ".join(one.name for one in sets if one.source is None) or "The experiment"
        raise UnblurError(f"{lacking} has no pairs for training; give data sets to fine-tune on.")
    steps = context.recipe.schedule.steps
    pretrained = train_row(context, "pretrained", [pretraining], pretraining_steps)

    def row(name: str, learnt_from: Sequence[DataSource], init: Path | None) -> dict[str, Cell]:
        budget = steps if init is not None else pretraining_steps + steps
        return measure_row(context, name, train_row(context, name, learnt_from, budget, init), sets)

    every = list(sources.values())
    found = [(name, True, row(f"pretrained-{name}", [source], pretrained)) for name, source in sources.items()]
    found.append((MIXED, False, row("mixed", every, None)))
    found.append((MIXED, True, row("pretrained-mixed", every, pretrained)))
    specialists = {name: row(f"only-{name}", [source], None)[name] for name, source in sources.items()}
    rows = [
        BppRow(letter=letter, tuned_on=tuned_on, pretrained=with_bpp, cells=cells)
        for letter, (tuned_on, with_bpp, cells) in zip(ascii_lowercase, found, strict=False)
    ]
    rows.append(BppRow(letter="", tuned_on=SPECIALISTS, pretrained=False, cells=specialists))
    alone = measure_row(context, "pretrained", pretrained, sets)
    return [*rows, BppRow(letter="", tuned_on=SINGLE_PROCESS, pretrained=True, cells=alone)]


def make_bpp_table(rows: Sequence[BppRow]) -> Table:
    """Make the table of PSNR/SSIM on each data set, with the mean over the sets."""
    lines = [(row.letter, row.tuned_on, "yes" if row.pretrained else "no", *format_cells(row.cells)) for row in rows]
    return Table(
        header=("", "fine-tuned on", "BPP", *rows[0].cells, "mean"),
        lines=(("", BLURRY, "", *format_blurry_cells(rows[0].cells)), *lines),
    )


def make_bpp_csv(rows: Sequence[BppRow]) -> str:
    """Make a CSV with one line per cell."""
    return Table(
        header=CSV_HEADER,
        lines=tuple(
            (
                row.letter,
                row.tuned_on,
                str(row.pretrained).lower(),
                name,
                str(cell.images),
                f"{cell.psnr_before_db:.4f}",
                f"{cell.psnr_after_db:.4f}",
                f"{cell.ssim_before:.4f}",
                f"{cell.ssim_after:.4f}",
            )
            for row in rows
            for name, cell in row.cells.items()
        ),
    ).csv()


def blur_pretraining(
    sets: tyro.conf.Positional[list[str]],
    *,
    common: tyro.conf.OmitArgPrefixes[RowOptions],
    pretrain_on: str = "full",
    bpp_steps: int = 20_000,
) -> int:
    """Pretrain on diverse blur, fine-tune on each data set and on all mixed, and compare with doing without.

    All rows have had as many updates when they are measured, --bpp-steps and --steps together. Finished rows are not
    trained again.

    Args:
        sets: Data sets to fine-tune and test on, as in `experiments.cross_dataset`.
        common: Options of every experiment that trains rows.
        pretrain_on: What the pretraining learns from: a camera of the simulator or a data set such as GS-Blur.
        bpp_steps: Number of updates of the pretraining.
    """
    source = find_training_source(pretrain_on)
    if source is None:
        raise UnblurError(f"{pretrain_on} has no pairs for training; pretrain on another data set.")
    if bpp_steps < 1:
        raise UnblurError(f"{bpp_steps} steps of pretraining have no effect; give at least 1.")
    with closing(ProgressBars()) as bars:
        context = open_context(common, bars)
        opened = open_sets(sets, common)
        rows = train_and_measure(context, opened, source, bpp_steps)
    counts = ", ".join(f"{cell.images} pairs of {name}" for name, cell in rows[0].cells.items())
    title = (
        f"PSNR/SSIM of {context.recipe.name}: {bpp_steps} steps of pretraining on {pretrain_on} and {common.steps} of "
        f"fine-tuning, or {bpp_steps + common.steps} without pretraining ('nothing': pretraining alone), "
        f"{common.batch} patches of {common.patch} px, seed {common.seed}; measured on {counts}."
    )
    write_table(common.output, "bpp", title, make_bpp_table(rows).markdown(), make_bpp_csv(rows))
    return 0


if __name__ == "__main__":
    sys.exit(run(blur_pretraining))
