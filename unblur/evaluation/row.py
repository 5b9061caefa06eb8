"""One row of measurements for each image, with its conditions, and the CSV from which all tables are made."""

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from unblur.errors import UnblurError
from unblur.regular_files import describe_read_error, read_regular_text


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Everything that could make the numbers of two runs differ. Rows of unequal conditions are never mixed."""

    data_set: str = ""
    pictures: str = ""
    """First digits of the SHA-256 of the names and sizes of all files measured."""
    protocol: str
    method: str = "network"
    checkpoint: str
    """SHA-256 of the weights, of the file of a Python function, or of the names and sizes in a folder of outputs; empty
    where there is nothing."""
    device: str = ""
    precision: str = ""
    pooling_window_px: str = ""
    """Reach of the averages inside the network."""
    torch: str = ""
    unblur: str = ""
    runtime: str = ""
    """The runtime of a peer, where it is not torch alone, and its version."""
    metrics: str = ""
    """Measured beside the protocol's own; first digits of the SHA-256 of their weights behind those that have some."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """The measurements of one image. "before" is the blurry photograph, "after" the restored one."""

    image: str
    height: int
    width: int
    scores: Mapping[str, float]
    """Numbers by their column, such as psnr_before_db; NaN, an empty cell, where a metric cannot measure a picture."""
    aligned_before: str = "no"
    """Whether the pictures were aligned before measuring: no (the protocol does not), yes, or failed."""
    aligned_after: str = "no"
    tile_px: int = 0
    """Largest side of the tiles, 0 when the image was restored in one piece."""
    seconds: float
    part: str = ""
    """The part of the data set, where its authors report parts and the name of the image does not say it."""
    conditions: Conditions

    @property
    def group(self) -> str:
        """Line of a table that the image belongs to: its part of the data set, its split or its severity."""
        return self.part or re.split("/" if "/" in self.image else "_", self.image, maxsplit=1)[0]

    @property
    def gain_db(self) -> float:
        """PSNR after, less PSNR before."""
        return self.scores["psnr_after_db"] - self.scores["psnr_before_db"]


_FIRST = ("image", "height", "width")
_LAST = ("aligned_before", "aligned_after", "tile_px", "seconds", "part", *(field.name for field in fields(Conditions)))
_LATER = ("part", "runtime", "metrics")
"""Columns that tables of earlier versions lack: then they are empty."""


def to_csv(rows: Iterable[Row]) -> str:
    """Return the rows with a header line; columns are those of the first row. Numbers have four decimals."""
    rows = list(rows)
    return (make_csv_header(rows[0]) if rows else "") + "".join(map(make_csv_line, rows))


def make_csv_header(row: Row) -> str:
    """Return the names of the columns as a line."""
    return _join([*_FIRST, *row.scores, *_LAST])


def make_csv_line(row: Row) -> str:
    """Return one row as a line; `from_csv` parses it, rounded to four decimals."""
    values = vars(row) | vars(row.conditions)
    return _join(
        [_format(value) for value in (*(values[k] for k in _FIRST), *row.scores.values(), *(values[k] for k in _LAST))]
    )


def from_csv(text: str, source: str | Path = "this text") -> list[Row]:
    """Parse the rows of a CSV. Raises UnblurError for a file of another program."""
    try:
        return [_parse_row(line) for line in csv.DictReader(io.StringIO(text, newline=""), strict=True)]
    except (KeyError, ValueError, TypeError, csv.Error) as error:
        raise UnblurError(
            f"{source} is not a CSV of `unblur evaluate`, or is damaged ({error}); measure again."
        ) from error


def read_rows(path: Path) -> list[Row]:
    """Read the rows of a CSV file. Raises UnblurError when it cannot be read, is of another program or is empty."""
    try:
        text = read_regular_text(path)
    except (OSError, UnicodeDecodeError) as error:
        raise UnblurError(
            f"{path} cannot be read: {describe_read_error(error)}; give a CSV of `unblur evaluate`."
        ) from error
    rows = from_csv(text, path)
    if not rows:
        raise UnblurError(f"{path} holds no measurements; give a CSV of `unblur evaluate`.")
    return rows


def _parse_row(line: dict[str, str]) -> Row:
    if None in line or None in line.values():
        raise ValueError("a line has another number of columns")
    score_names = [name for name in line if name not in (*_FIRST, *_LAST)]
    line = dict.fromkeys(_LATER, "") | line
    return Row(
        image=line["image"],
        height=int(line["height"]),
        width=int(line["width"]),
        scores={name: float(line[name] or "nan") for name in score_names},
        aligned_before=line["aligned_before"],
        aligned_after=line["aligned_after"],
        tile_px=int(line["tile_px"]),
        seconds=float(line["seconds"]),
        part=line["part"],
        conditions=Conditions(**{field.name: line[field.name] for field in fields(Conditions)}),
    )


def _format(value: object) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.4f}"
    return str(value)


def _join(cells: list[str]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()
