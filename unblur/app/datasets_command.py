"""`unblur datasets`: which data sets are read as they are, where each is to be had, and on what terms."""

import sys
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unblur.datasets.catalogue import DataSet

WIDTH = 100


def datasets() -> int:
    """List the data sets that can be read: size, ground truth, licence, and where to get each."""
    from unblur.datasets.catalogue import CATALOGUE

    rows = [("name", "train", "measured", "truth", "licence")]
    rows += [_make_row(data_set) for data_set in CATALOGUE]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    sys.stdout.write("\n".join([*table, *(line for data_set in CATALOGUE for line in _describe(data_set))]) + "\n")
    return 0


def _make_row(data_set: "DataSet") -> tuple[str, str, str, str, str]:
    measured = [data_set.expected(split) for split in data_set.measured]
    train = [size.pairs for size in data_set.sizes if size.split.startswith("train")]
    return (
        data_set.name,
        f"{train[0]:,}" if train else "-",
        " + ".join("?" if pairs is None else f"{pairs:,}" for pairs in measured),
        "yes" if data_set.ground_truth else "no",
        data_set.licence.partition(" (")[0],
    )


def _describe(data_set: "DataSet") -> list[str]:
    text = f"{data_set.title} ({data_set.paper}). {data_set.about} Licence: {data_set.licence}."
    return ["", *textwrap.wrap(text, WIDTH, break_on_hyphens=False), f"From: {data_set.where}"]
