"""`unblur evaluate`: a method measured on folders of pairs, or on sharp photographs it must leave alone."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from unblur.errors import UnblurError

if TYPE_CHECKING:
    from unblur.evaluation.run import Progress


def evaluate(
    folders: tyro.conf.Positional[list[Path]],
    checkpoint: str | None = None,
    protocol: str | None = None,
    method: str = "network",
    split: str | None = None,
    name: Annotated[str | None, tyro.conf.arg(name="as")] = None,
    csv: Annotated[Path | None, tyro.conf.arg(name="csv")] = None,
    restored: Path | None = None,
    workers: int = 1,
    device: str = "auto",
    pooling_window: int | None = None,
) -> int:
    """Measure a checkpoint: PSNR and SSIM before and after, a table of means, one CSV row an image.

    Numbers that others published of the same data set are printed below, marked as published, with what is known to be
    wrong with them. With --csv a run that was stopped goes on where it was when the same command is given again.

    Args:
        folders: Each with blurry/ and sharp/, a data set that `unblur datasets` lists, or sharp photographs alone
            (how well it leaves them alone).
        checkpoint: Other weights than the bundled ones: a folder or a hub id.
        protocol: How to align and measure, instead of the way usual for the data set: pairs, gopro, hide, reds,
            reds-jpeg, realblur, rsblur, bsd, levin, koehler, no-reference.
        method: What is measured: network, a peer (identity, unsharp), or a folder of pictures restored elsewhere.
        split: Part of the data sets to measure, instead of the one that results are reported on.
        name: What `unblur datasets` calls the data set, where the folder does not tell.
        csv: Folder for one CSV file a folder measured.
        restored: Folder for the restored pictures, PNG, a folder inside it for each data set.
        workers: Processes that measure at the same time, each with a network of its own.
        device: auto, cpu, cuda, ...
        pooling_window: Reach in pixels of the network's averages instead of the default; 0 averages over the tile.
    """
    from unblur.evaluation.measured_pictures import find_pictures
    from unblur.evaluation.measured_table import measured_table
    from unblur.evaluation.method import MethodChoice, open_method
    from unblur.evaluation.published.beside import published_tables
    from unblur.evaluation.published.numbers import read_published
    from unblur.evaluation.run import Progress, Run
    from unblur.evaluation.tables import summary

    choice = MethodChoice(method=method, checkpoint=checkpoint, device=device, pooling_window_px=pooling_window)
    opened = open_method(choice)
    if workers < 1:
        raise UnblurError(f"{workers} workers measure nothing; give at least 1.")
    for folder in folders:
        source = find_pictures(folder, split, name, protocol)
        run = Run(data_set=source.data_set, files=source.files, choice=choice, protocol=source.protocol)
        if restored is not None:
            run = replace(run, keep=restored / folder.absolute().name)
        if csv is None:
            progress = Progress(run, opened)
            _measure(progress, workers)
        else:
            own = [part for part in (split, protocol, None if method == "network" else Path(method).name) if part]
            table = csv / f"{'-'.join([folder.absolute().name, *own])}.csv"
            progress = measured_table(table, run, opened, lambda progress: _measure(progress, workers), _tell)
        conditions = progress.conditions
        what = "weights" if conditions.method == "network" else "files"
        weights = f", {what} {conditions.checkpoint[:12]}" if conditions.checkpoint else ""
        sys.stdout.write(
            f"{source.title}, protocol {conditions.protocol}, {conditions.method}{weights}\n\n"
            f"{summary(progress.finished).markdown()}\n"
        )
        for others in published_tables([progress.finished], read_published()):
            sys.stdout.write(f"{others.title}:\n\n{others.table.markdown()}\n{others.footnotes.markdown()}\n")
    return 0


def _measure(progress: "Progress", workers: int) -> None:
    from tqdm import tqdm

    total, there = len(progress.run.files), len(progress.finished)
    bar = tqdm(total=total, initial=there, unit="image", disable=not sys.stderr.isatty())
    with bar:
        for _ in progress.rows(workers):
            bar.update()


def _tell(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")
