"""What blur pattern pretraining (BPP) is worth before fine-tuning: GLOWDeblur's table (arXiv 2601.06525).

The paper does not say how long each row was trained. Here all rows have had as many updates when they are measured:
those without pretraining are trained longer on their own data.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import ascii_lowercase

from unblur.datasets import Ingredient
from unblur.errors import UnblurError
from unblur.evaluation.tables import Table
from unblur.studies.cross_dataset import BLURRY, blurry_texts, cell_texts
from unblur.studies.data_sets import StudySet
from unblur.studies.rows import Bench, Cell, measured, trained

MIXED, SPECIALISTS, ALONE = "all mixed", "each by its own network", "nothing"

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
    """A line of the table."""

    letter: str
    """The paper's where there are three sets; empty where it has none."""
    tuned_on: str
    pretrained: bool
    cells: dict[str, Cell]


def bpp(bench: Bench, sets: Sequence[StudySet], pretraining: Ingredient, pretraining_steps: int) -> list[BppRow]:
    """All rows: pretrained and fine-tuned on each set; mixed without and with pretraining; and two to compare with.

    These are the pretrained network as it is, and for each set a network trained on that alone. Fine-tuning takes the
    steps of the bench. What a stopped study has finished is not done again. Raises UnblurError.
    """
    sources = {one.name: one.source for one in sets if one.source is not None}
    if len(sources) < len(sets) or not sets:
        lacking = ", ".join(one.name for one in sets if one.source is None) or "The study"
        raise UnblurError(f"{lacking} has no pairs for training; give data sets to fine-tune on.")
    steps = bench.recipe.steps
    pretrained = trained(bench, "pretrained", [pretraining], pretraining_steps)

    def row(name: str, learnt_from: Sequence[Ingredient], start_from: Path | None) -> dict[str, Cell]:
        budget = steps if start_from is not None else pretraining_steps + steps
        return measured(bench, name, trained(bench, name, learnt_from, budget, start_from), sets)

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
    alone = measured(bench, "pretrained", pretrained, sets)
    return [*rows, BppRow(letter="", tuned_on=ALONE, pretrained=True, cells=alone)]


def bpp_table(rows: Sequence[BppRow]) -> Table:
    """PSNR/SSIM on each data set, and the mean over the sets."""
    lines = [(row.letter, row.tuned_on, "yes" if row.pretrained else "no", *cell_texts(row.cells)) for row in rows]
    return Table(
        header=("", "fine-tuned on", "BPP", *rows[0].cells, "mean"),
        lines=(("", BLURRY, "", *blurry_texts(rows[0].cells)), *lines),
    )


def bpp_csv(rows: Sequence[BppRow]) -> str:
    """One line a cell."""
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
