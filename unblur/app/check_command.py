"""`unblur check`: whether a data set on disk is whole and its pairs fit together."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from unblur.app.options import Flag, OptionalFile
from unblur.app.output_file import check_output_folder, write_output
from unblur.app.report import OK, SOME_FAILED, printable

if TYPE_CHECKING:
    from unblur.datasets.check import DataSetCheck, SplitCheck
    from unblur.datasets.recognition import DetectedDataset

NAMED = 5
"""Number of files listed on the terminal; --json has all."""


def check(
    folder: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FOLDER")],
    name: Annotated[str | None, tyro.conf.arg(name="as", metavar="NAME", help_behavior_hint="")] = None,
    quick: Flag = False,
    json: OptionalFile = None,
) -> int:
    """Check a data set: counts, missing, extra and damaged files, unequal and misaligned pairs.

    Args:
        folder: The data set as its authors arranged it, or a folder with blurry/ and sharp/.
        name: Name of the data set in `unblur datasets`, if its folder is not recognised.
        quick: Only count the files and compare their names; open no picture.
        json: File for all findings, with the shift of every pair.
    """
    from tqdm import tqdm

    from unblur.config import to_json
    from unblur.datasets.check import check_data_set
    from unblur.datasets.recognition import find_data_set

    if json is not None:
        # Before the check, which may take hours.
        check_output_folder(json)
    found = find_data_set(folder, name)
    count = 0 if quick else sum(len(split.pairs) for split in found.listing.splits if not split.part_of)
    with tqdm(total=count, unit="pair", disable=quick or not sys.stderr.isatty(), leave=False) as bar:
        checked = check_data_set(found, quick=quick, opened=bar.update)
    sys.stdout.write(format_report(found, checked))
    if json is not None:
        write_output(json, to_json(checked).encode())
    return OK if checked.is_sound else SOME_FAILED


def format_report(found: "DetectedDataset", checked: "DataSetCheck") -> str:
    """Return the report of a check as text, line by line."""
    lines = [f"{printable(checked.folder)}: {found.data_set.title}, layout: {checked.layout}", ""]
    for split in checked.splits:
        lines += _describe_split(split, found.data_set.ground_truth, checked.pictures_opened)
    if checked.not_there:
        lines.append(f"not there, and not needed for the rest: {', '.join(checked.not_there)}")
    lines += _list_files("extra, in no pair", checked.extra, indent="")
    verdict = "Nothing is wrong." if checked.is_sound else "Something is wrong, see above."
    closed = "" if checked.pictures_opened else " No picture was opened."
    return "\n".join([*lines, "", f"{verdict}{closed}"]) + "\n"


def _describe_split(split: "SplitCheck", ground_truth: bool, opened: bool) -> list[str]:
    from unblur.datasets.check import OFF_CENTRE_PX

    kind = "pairs" if ground_truth else "photographs"
    if split.expected is None:
        count = f"{split.pairs} {kind}, how many there should be is not known"
    else:
        count = f"{split.pairs} of {split.expected} {kind}"
    lines = [f"{split.split}: {count}{'' if split.count_is_right else '  <- wrong'}"]
    lines += _list_files("missing", split.missing)
    if opened:
        lines += _list_files("unreadable", split.unreadable)
        lines += _list_files("of unequal size", split.unequal)
    if split.shifts:
        far = split.off_centre
        at_most = f", at most {far[0].length_px:.1f} px" if far else ""
        lines.append(
            f"  shift between blurry and sharp: median {split.median_shift_px:.1f} px, more than {OFF_CENTRE_PX} px in "
            f"{len(far)} of {len(split.shifts)}{at_most}"
        )
        apart = [f"{s.pair}: {s.right_px:+.1f} px right, {s.down_px:+.1f} px down" for s in split.misaligned]
        lines += _list_files("misaligned, or not of the same scene", apart)
    return lines


def _list_files(what: str, files: Sequence[str], indent: str = "  ") -> list[str]:
    if not files:
        return []
    more = [f"{indent}  ... and {len(files) - NAMED} more"] if len(files) > NAMED else []
    return [f"{indent}{what}: {len(files)}", *(f"{indent}  {printable(file)}" for file in files[:NAMED]), *more]
