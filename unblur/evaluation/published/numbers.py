"""The published numbers, as the CSV files of this folder hold them: one number a line, with where it was found.

Columns: the method; what it was trained on; data set and split, named as `unblur datasets` does (other names for sets
that it does not know, no split where the source tells none); the metric, named as the columns of measurements are; the
value as printed; the source; where in it the number was found; how far it is to be trusted, see `Standing`; and the
keys of `notes.csv`, which holds known errors and cautions.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, fields
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from importlib.resources import files
from importlib.resources.abc import Traversable

from unblur.errors import UnblurError

NOTES_FILE = "notes.csv"


class Standing(StrEnum):
    """The source of a number, and its reliability."""

    OWN = "own"
    """The authors of the method state the number in the named source."""
    OTHERS = "others"
    """Other authors state the number in the named source."""
    SECONDARY = "secondary"
    """The number is a quotation, and the named source was not read."""
    APPROXIMATE = "approximate"
    """The number was read from a figure."""
    RECALLED = "recalled"
    """The number was recalled and not checked."""


@dataclass(frozen=True, kw_only=True)
class PublishedNumber:
    """One number of a published table."""

    method: str
    trained_on: str
    data_set: str
    split: str
    metric: str
    value: Decimal
    """The value with as many digits as were printed."""
    source: str
    found: str
    standing: Standing
    notes: tuple[str, ...]
    """Known errors of the number and cautions, in whole sentences."""


def read_published(folder: Traversable | None = None) -> list[PublishedNumber]:
    """Read every number of the CSV files in `folder`, those of this package for None.

    Raises UnblurError for a line that is not a number of these, or names a note that is not there.
    """
    folder = folder or files("unblur.evaluation.published")
    notes = {line["note"]: line["text"] for line in _read_lines(folder / NOTES_FILE, ("note", "text"))}
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".csv"))
    return [number for name in names if name != NOTES_FILE for number in _parse_numbers(folder / name, notes)]


def _parse_numbers(file: Traversable, notes: dict[str, str]) -> Iterator[PublishedNumber]:
    columns = tuple(field.name for field in fields(PublishedNumber))
    for place, line in enumerate(_read_lines(file, columns), start=2):
        try:
            yield PublishedNumber(
                method=line["method"],
                trained_on=line["trained_on"],
                data_set=line["data_set"],
                split=line["split"],
                metric=line["metric"],
                value=Decimal(line["value"]),
                source=line["source"],
                found=line["found"],
                standing=Standing(line["standing"]),
                notes=tuple(notes[key] for key in line["notes"].split()),
            )
        except (KeyError, ValueError, InvalidOperation) as error:
            raise UnblurError(
                f"{file}, line {place}, is not a published number ({error}); install unblur again."
            ) from error


def _read_lines(file: Traversable, columns: tuple[str, ...]) -> list[dict[str, str]]:
    try:
        text = io.StringIO(file.read_text(encoding="utf-8"), newline="")
        lines = list(csv.DictReader(text, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UnblurError(f"{file} cannot be read ({error}); install unblur again.") from error
    for place, line in enumerate(lines, start=2):
        if tuple(line) != columns or None in line.values():
            raise UnblurError(f"{file}, line {place}, does not have the columns {', '.join(columns)}.")
    return lines
