"""`unblur evaluate`: a method measured on folders of pairs, or on sharp photographs it must leave alone."""

import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from unblur.errors import UnblurError

if TYPE_CHECKING:
    from unblur.evaluation.row import Row
    from unblur.evaluation.run import Progress
    from unblur.restoration.generative import GenerativeSettings


def evaluate(
    folders: tyro.conf.Positional[list[Path]],
    checkpoint: str | None = None,
    protocol: str | None = None,
    method: str = "network",
    split: str | None = None,
    name: Annotated[str | None, tyro.conf.arg(name="as")] = None,
    csv: Annotated[Path | None, tyro.conf.arg(name="csv")] = None,
    restored: Path | None = None,
    metrics: list[str] | None = None,
    lpips_weights: tuple[str, str] | None = None,
    multiple: int = 1,
    decoder: str | None = None,
    fidelity: float | None = None,
    steps: int | None = None,
    workers: int = 1,
    device: str = "auto",
    pooling_window: int | None = None,
) -> int:
    """Measure a checkpoint or a peer: PSNR and SSIM before and after, a table of means, one CSV row an image.

    Published results of other methods on the same data set are printed below, marked as published, with their known
    errors. With --csv a run that was stopped goes on where it was when the same command is given again.

    Args:
        folders: Each with blurry/ and sharp/, a data set that `unblur datasets` lists, or sharp photographs alone
            (how well it leaves them alone).
        checkpoint: Other weights than the bundled ones: a folder or a hub id. For the method generative one of
            GLOWDeblur; for a Python function the file or folder that it is called with.
        protocol: How to align and measure, instead of the way usual for the data set: pairs, gopro, hide, reds,
            reds-jpeg, realblur, rsblur, bsd, levin, koehler, no-reference.
        method: network (without solving shake), faithful (with it), fast (the network at half size),
            generative (GLOWDeblur: detail is invented), a baseline (identity, unsharp), an ONNX model, a checkpoint
            that spandrel knows (.pth, .pt, .ckpt, .safetensors), a Python function as module:function from (H, W, 3)
            uint8 to the same, or from (checkpoint, device) to such a function where --checkpoint is given, or a folder
            of pictures restored elsewhere.
        split: Part of the data sets to measure, instead of the one that results are reported on.
        name: What `unblur datasets` calls the data set, where the folder does not tell.
        csv: Folder for one CSV file a folder measured.
        restored: Folder for the restored pictures, PNG, a folder inside it for each data set.
        metrics: What to measure beside the protocol's own metrics: psnr, ssim, ssim-3d, ms-ssim, st-lpips, lpips,
            niqe, brisque, piqe.
        lpips_weights: The files of AlexNet and of the heads that lpips needs, here or on the hub.
        multiple: What both sides must be multiples of for an ONNX model; pictures are padded to it.
        decoder: For the method generative, the decoder that its network was trained with.
        fidelity: For the method generative, from most invented detail (0) to none (1).
        steps: For the method generative, the number of denoising steps.
        workers: Processes that measure at the same time, each with a network of its own.
        device: auto, cpu, cuda, ...
        pooling_window: Reach in pixels of the network's averages instead of the default; 0 averages over the tile.
    """
    from unblur.evaluation.chosen_metrics import MetricChoice
    from unblur.evaluation.measured_pictures import find_pictures
    from unblur.evaluation.measured_table import measure_table
    from unblur.evaluation.method import MethodSpec, open_method
    from unblur.evaluation.published.comparison import make_published_tables
    from unblur.evaluation.published.numbers import read_published
    from unblur.evaluation.run import Progress, Run
    from unblur.evaluation.tables import summarise

    choice = MethodSpec(
        method=method,
        checkpoint=checkpoint,
        decoder=decoder,
        generative=_make_settings(method, decoder, fidelity, steps),
        device=device,
        pooling_window_px=pooling_window,
        multiple_px=multiple,
    )
    also = MetricChoice(names=tuple(metrics or ()), lpips_weights=lpips_weights)
    opened = open_method(choice)
    if workers < 1:
        raise UnblurError(f"{workers} workers measure nothing; give at least 1.")
    if not folders:
        raise UnblurError("There is no data set to measure; give at least one folder.")
    for folder in folders:
        source = find_pictures(folder, split, name, protocol)
        run = Run(data_set=source.data_set, files=source.files, choice=choice, protocol=source.protocol, metrics=also)
        if restored is not None:
            run = replace(run, keep=restored / folder.absolute().name)
        if csv is None:
            progress = Progress(run, opened)
            _measure(progress, workers)
        else:
            own = [part for part in (split, protocol, None if method == "network" else opened.name) if part]
            table = csv / f"{'-'.join([folder.absolute().name, *own])}.csv"
            progress = measure_table(table, run, opened, lambda progress: _measure(progress, workers), _write_line)
        conditions = progress.conditions
        what = "weights" if method in ("network", "fast", "generative") else "files"
        weights = f", {what} {conditions.checkpoint[:12]}" if conditions.checkpoint else ""
        sys.stdout.write(
            f"{source.title}, protocol {conditions.protocol}, {conditions.method}{weights}\n\n"
            f"{summarise(progress.finished).markdown()}\n"
        )
        _report_missing(progress.finished)
        for others in make_published_tables([progress.finished], read_published()):
            sys.stdout.write(f"{others.title}:\n\n{others.table.markdown()}\n{others.footnotes.markdown()}\n")
    return 0


def _make_settings(method: str, decoder: str | None, fidelity: float | None, steps: int | None) -> "GenerativeSettings":
    from unblur.restoration.generative import GenerativeSettings

    if method != "generative" and (decoder, fidelity, steps) != (None, None, None):
        raise UnblurError("--decoder, --fidelity and --steps have a meaning only with --method generative; add that.")
    usual = GenerativeSettings()
    return GenerativeSettings(
        fidelity=usual.fidelity if fidelity is None else fidelity, steps=usual.steps if steps is None else steps
    )


def _report_missing(rows: "list[Row]") -> None:
    """Report columns with missing values on stderr."""
    for column in rows[0].scores:
        if gaps := sum(math.isnan(row.scores[column]) for row in rows):
            sys.stderr.write(
                f"{column} is missing for {gaps} of {len(rows)} images, which are too small or too flat for it.\n"
            )


def _measure(progress: "Progress", workers: int) -> None:
    from tqdm import tqdm

    total, there = len(progress.run.files), len(progress.finished)
    bar = tqdm(total=total, initial=there, unit="image", disable=not sys.stderr.isatty())
    with bar:
        for _ in progress.rows(workers):
            bar.update()


def _write_line(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")
