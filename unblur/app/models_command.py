"""`unblur models`: checkpoints that come with the program, on this computer and on the Hugging Face hub."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from unblur.app.options import Flag, OptionalFolder
from unblur.errors import UnblurError

if TYPE_CHECKING:
    from unblur.checkpoints.model_card import CardResult
    from unblur.evaluation.row import Row

Action = Literal["list", "pull", "push", "verify"]

SOME_FAILED = 1

METRICS = {"psnr": "PSNR in dB", "ssim": "SSIM"}
"""Metrics that a card states, where they were measured, with their titles."""


def models(
    action: Annotated[tyro.conf.Positional[Action], tyro.conf.arg(metavar="list|pull|push|verify")],
    names: Annotated[
        tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="FOLDER|OWNER/NAME...", help_behavior_hint="")
    ] = (),
    *,
    output: Annotated[OptionalFolder, tyro.conf.arg(aliases=["-o"])] = None,
    metrics: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="FILE.csv...", help_behavior_hint="")] = (),
    private: Flag = False,
) -> int:
    """List, pull, push and verify checkpoints. A pulled checkpoint is used by --checkpoint OWNER/NAME.

    The environment names the folder of the cache by HF_HOME, a mirror of the hub by HF_ENDPOINT, and your right to push
    by HF_TOKEN; HF_HUB_OFFLINE=1 allows no connection.

    Args:
        action: list: the bundled and the pulled checkpoints, and those of an OWNER on the hub. pull: fetch OWNER/NAME
            or OWNER/NAME@REVISION. push: publish a FOLDER as OWNER/NAME. verify: compare files with the stated hashes.
        names: What to act on. Without names, verify checks the bundled and the pulled checkpoints.
        output: For pull: also copy the checkpoint into this folder.
        metrics: For push: tables of `unblur evaluate --csv`, of these very weights, whose means the card states.
        private: For push: create the repository for its owner alone.
    """
    if output is not None and action != "pull":
        raise UnblurError(f"--output has no meaning with {action}; leave it out.")
    if (metrics or private) and action != "push":
        raise UnblurError(f"--metrics and --private have no meaning with {action}; leave them out.")
    match action:
        case "list":
            return _list(names)
        case "pull":
            return _pull(names, output)
        case "push":
            return _push(names, metrics, private=private)
        case "verify":
            return _verify(names)


def _list(owners: Sequence[str]) -> int:
    from unblur.checkpoints.hub_repository import list_owned, list_pulled

    if len(owners) > 1:
        raise UnblurError("list shows the checkpoints of one owner; name one.")
    # A missing connection is reported before anything is printed.
    owned = [name for owner in owners for name in list_owned(owner)]
    for folder in _list_bundled():
        _write_row(folder.name, folder, "bundled")
    for one in list_pulled():
        _write_row(str(one.name), one.folder, "pulled")
    for name in owned:
        sys.stdout.write(f"{name}  on the hub\n")
    return 0


def _pull(names: Sequence[str], output: Path | None) -> int:
    from unblur.app.output_file import make_write_error, write_output
    from unblur.checkpoints.checksums import read_checkpoint_files
    from unblur.checkpoints.folder import check_no_checkpoint, load_checkpoint
    from unblur.checkpoints.hub_repository import fetch_checkpoint

    if len(names) != 1:
        raise UnblurError("pull fetches one repository; try: unblur models pull OWNER/NAME")
    if output is not None:
        check_no_checkpoint(output)
    folder = fetch_checkpoint(names[0])
    # Files with the right hashes may still describe no network.
    found = load_checkpoint(folder)
    if output is not None:
        try:
            output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise make_write_error(output, error) from error
        for name, data in read_checkpoint_files(folder).items():
            write_output(output / name, data)
    sys.stdout.write(
        f"{names[0]} is in {output or folder}, weights {found.sha256[:12]}, verified.\n"
        f"Use it with: --checkpoint {output or names[0]}\n"
    )
    return 0


def _push(names: Sequence[str], tables: Sequence[Path], *, private: bool) -> int:
    from unblur.checkpoints.checksums import CARD, compute_checksums, read_checkpoint_files
    from unblur.checkpoints.folder import load_checkpoint
    from unblur.checkpoints.hub_repository import parse_hub_name, push_checkpoint
    from unblur.checkpoints.model_card import make_hub_card

    if len(names) != 2:
        raise UnblurError("push publishes one folder; try: unblur models push FOLDER OWNER/NAME")
    folder, name = Path(names[0]), parse_hub_name(names[1])
    # Nobody needs a damaged checkpoint.
    checkpoint = load_checkpoint(_require_folder(folder))
    contents = read_checkpoint_files(folder)
    if CARD not in contents:
        raise UnblurError(f"{folder} has no {CARD}, which states the licence and the training data; write one.")
    measurements = [one for table in tables for one in _measure(table, checkpoint.sha256)]
    card = make_hub_card(contents[CARD], folder / CARD, name.name, compute_checksums(contents), measurements)
    commit = push_checkpoint(name, contents | {CARD: card.encode()}, private=private)
    sys.stdout.write(f"{name} has the checkpoint in commit {commit[:12]}, weights {checkpoint.sha256[:12]}.\n")
    return 0


def _verify(names: Sequence[str]) -> int:
    from unblur.checkpoints.checksums import verify_folder
    from unblur.checkpoints.hub_repository import fetch_checkpoint, list_pulled

    if names:
        places = [(name, Path(name) if Path(name).is_dir() else None) for name in names]
    else:
        places = [(folder.name, folder) for folder in _list_bundled()]
        places += [(str(one.name), one.folder) for one in list_pulled()]
    failed = False
    for name, place in places:
        try:
            found = verify_folder(fetch_checkpoint(name) if place is None else place)
        except UnblurError as error:
            failed = True
            sys.stderr.write(f"failed: {name}: {error}\n")
            continue
        what = f"as stated: {', '.join(found.stated)}" if found.stated else "no hash is stated"
        sys.stdout.write(f"{name}: weights {found.sha256[:12]}, {what}\n")
    return SOME_FAILED if failed else 0


def _list_bundled() -> list[Path]:
    from unblur.checkpoints.folder import BUNDLED_RESTORER

    return sorted(folder for folder in BUNDLED_RESTORER.parent.iterdir() if (folder / "config.json").is_file())


def _write_row(name: str, folder: Path, where: str) -> None:
    from unblur.checkpoints.checksums import CARD, WEIGHTS
    from unblur.checkpoints.model_card import read_card
    from unblur.regular_files import read_regular

    try:
        megabytes = (folder / WEIGHTS).stat().st_size / 1e6
        licence = read_card(read_regular(folder / CARD), folder / CARD).licence
    except (OSError, UnblurError):
        sys.stdout.write(f"{name}  {where}  damaged, or without a card\n")
        return
    sys.stdout.write(f"{name}  {where}  {megabytes:.1f} MB  {licence or 'no licence stated'}\n")


def _require_folder(folder: Path) -> Path:
    if not folder.is_dir():
        raise UnblurError(f"{folder} is not a folder on this computer; push a checkpoint folder.")
    return folder


def _measure(table: Path, sha256: str) -> "Iterator[CardResult]":
    """Yield the means of a table. Raises UnblurError if it was measured with other weights."""
    from unblur.checkpoints.model_card import CardResult
    from unblur.evaluation.row import read_rows

    rows = read_rows(table)
    if not rows:
        raise UnblurError(f"{table} has no measurements; measure again.")
    for row in rows:
        if row.conditions.checkpoint != sha256:
            raise UnblurError(
                f"{table} was measured with the weights {row.conditions.checkpoint[:12] or 'none'} and not with "
                f"{sha256[:12]}; measure these by: unblur evaluate DATA --checkpoint FOLDER --csv TABLES"
            )
    conditions = rows[0].conditions
    where = f"{conditions.data_set or table.stem}, protocol {conditions.protocol}, {len(rows)} pictures"
    for metric, title in METRICS.items():
        for column, when in _find_columns(rows, metric):
            yield CardResult(
                data_set=where,
                data_set_id=(conditions.data_set or table.stem).lower(),
                metric=metric,
                metric_title=f"{title}, {when}",
                value=round(fmean(row.scores[column] for row in rows), 4),
            )


def _find_columns(rows: "Sequence[Row]", metric: str) -> list[tuple[str, str]]:
    """Return the columns of a metric of the restored and of the blurry pictures, and their names in words."""
    columns = [(name, "restored") for name in rows[0].scores if name.startswith(f"{metric}_after")]
    return columns + [(name, "blurry") for name in rows[0].scores if name.startswith(f"{metric}_before")]
