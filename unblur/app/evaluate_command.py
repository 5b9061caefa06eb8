"""`unblur evaluate`: a method measured on folders of pairs, or on sharp photographs it must leave alone."""

import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from unblur.app.cluster.ray_cluster import RayAddress
from unblur.app.options import (
    AnyDeviceName,
    CheckpointName,
    Number,
    OptionalFolder,
    OptionalName,
    OptionalNumber,
    OptionalShare,
)
from unblur.errors import UnblurError

if TYPE_CHECKING:
    from unblur.evaluation.row import Row
    from unblur.evaluation.run import Progress
    from unblur.restoration.generative import GenerativeSettings


def evaluate(
    folders: Annotated[
        tyro.conf.Positional[list[Path]], tyro.conf.arg(metavar="FOLDER...", help_behavior_hint="(required)")
    ],
    checkpoint: CheckpointName = None,
    protocol: OptionalName = None,
    method: Annotated[str, tyro.conf.arg(metavar="METHOD")] = "network",
    split: OptionalName = None,
    name: Annotated[str | None, tyro.conf.arg(name="as", metavar="NAME", help_behavior_hint="")] = None,
    csv: OptionalFolder = None,
    restored: OptionalFolder = None,
    metrics: Annotated[list[str] | None, tyro.conf.arg(metavar="NAME...", help_behavior_hint="")] = None,
    lpips_weights: Annotated[tuple[str, str] | None, tyro.conf.arg(metavar="FILE FILE", help_behavior_hint="")] = None,
    multiple: Number = 1,
    decoder: CheckpointName = None,
    fidelity: OptionalShare = None,
    steps: OptionalNumber = None,
    workers: OptionalNumber = None,
    ray: RayAddress = None,
    device: AnyDeviceName = "auto",
    pooling_window: OptionalNumber = None,
) -> int:
    """Measure a network or another method on test pictures: PSNR and SSIM before and after.

    Prints a table of means, and below it published results of other methods on the same data set, marked as
    published, with their known errors. With --csv, the same command continues an interrupted run.

    Args:
        folders: Folders with blurry/ and sharp/, data sets that `unblur datasets` lists, or folders of sharp
            photographs, which should not change.
        checkpoint: Weights instead of the bundled ones: a folder, or a repository on the Hugging Face hub. For the
            method generative, a checkpoint of GLOWDeblur; for a Python function, its first argument.
        protocol: Protocol of alignment and measurement instead of the data set's own: pairs, gopro, hide, reds,
            reds-jpeg, realblur, rsblur, bsd, levin, koehler or no-reference.
        method: The method to measure: network (without solving camera shake), faithful (with it), fast (at half
            size), generative (GLOWDeblur, which invents detail), identity or unsharp (baselines), an ONNX file, a
            checkpoint that spandrel reads (.pth, .pt, .ckpt, .safetensors), a folder of pictures that another program
            restored, or a Python function as module:function, from (H, W, 3) uint8 to the same; with --checkpoint, a
            function from (checkpoint, device) to such a function.
        split: Part of the data sets to measure instead of the one that results are published for.
        name: Name of the data set in `unblur datasets`, if its folder is not recognised.
        csv: Folder for the measurements, one CSV file for each data set, one row for each picture.
        restored: Folder for the restored pictures, as PNG, with one subfolder for each data set.
        metrics: Metrics in addition to the protocol's own: psnr, ssim, ssim-3d, ms-ssim, st-lpips, lpips, niqe,
            brisque, piqe.
        lpips_weights: The two files that lpips needs, local or on the hub: AlexNet and the linear heads.
        multiple: Pad pictures to a multiple of N pixels, for ONNX models that need it.
        decoder: The decoder that the network of the method generative was trained with.
        fidelity: For the method generative: balance between inventing detail (0) and staying faithful (1).
        steps: For the method generative: number of denoising steps.
        workers: Number of processes that measure at the same time, each with its own copy of the network: by default
            1, and with --ray as many as the cluster has cores for.
        ray: Distribute the pictures with Ray, on this computer or on the cluster at an address (`auto`: the cluster
            that this computer belongs to). Every computer needs unblur and access to all folders.
        device: Where to compute: auto uses an accelerator if there is one.
        pooling_window: Side in pixels of the window of the network's averages instead of the default; 0 is the tile.
    """
    from unblur.app.cluster.evaluate import locate_files
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
    if ray is not None:
        # Computers of a cluster share storage, not the folder that the command was typed in.
        choice = locate_files(choice)
        restored = None if restored is None else restored.absolute()
    also = MetricChoice(names=tuple(metrics or ()), lpips_weights=lpips_weights)
    opened = open_method(choice)
    if workers is not None and workers < 1:
        raise UnblurError(f"{workers} workers measure nothing; give at least 1.")
    if not folders:
        raise UnblurError("There is no data set to measure; give at least one folder.")
    for folder in folders:
        source = find_pictures(folder, split, name, protocol)
        if ray is not None:
            source = replace(source, files=find_pictures(folder.absolute(), split, name, protocol).files)
        run = Run(data_set=source.data_set, files=source.files, choice=choice, protocol=source.protocol, metrics=also)
        if restored is not None:
            run = replace(run, keep=restored / folder.absolute().name)
        if csv is None:
            progress = Progress(run, opened)
            _measure(progress, workers, ray)
        else:
            own = [part for part in (split, protocol, None if method == "network" else opened.name) if part]
            table = csv / f"{'-'.join([folder.absolute().name, *own])}.csv"
            progress = measure_table(table, run, opened, lambda progress: _measure(progress, workers, ray), _write_line)
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


def _measure(progress: "Progress", workers: int | None, ray: str | None) -> None:
    from tqdm import tqdm

    from unblur.app.cluster.evaluate import open_rows

    total, there = len(progress.run.files), len(progress.finished)
    with tqdm(total=total, initial=there, unit="image", disable=not sys.stderr.isatty()) as bar:
        if there == total:
            return
        with open_rows(progress, workers, ray) as rows:
            for _ in rows:
                bar.update()


def _write_line(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")
