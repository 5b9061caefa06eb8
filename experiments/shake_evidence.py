"""Compare the network alone, the deconvolution of the estimated shake alone, and both joined, on every set.

`python -m experiments.shake_evidence FOLDER --photos PHOTOS --real PAIRS... --levin LEVIN` writes the simulated sets of
`experiments.release` into FOLDER, measures every method on every set, keeps the rows as CSV, so that an interrupted
run continues, and prints a Markdown table.
"""

import csv
import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
import tyro

from experiments.harness import run
from experiments.measuring import measure_rows
from experiments.release import VALIDATION, SetSettings, open_release_sets
from unblur.checkpoints.folder import BUNDLED_KERNEL_ESTIMATOR, load_checkpoint
from unblur.datasets import PhotoFolder
from unblur.datasets.photo_folder import compute_photos_fingerprint
from unblur.datasets.validation import LONG, simulate_validation_pairs
from unblur.datasets.written_pairs import write_set
from unblur.deconvolution import Deconvolution, deconvolve
from unblur.errors import UnblurError
from unblur.evaluation.chosen_metrics import MetricChoice
from unblur.evaluation.measured_pictures import MeasuredPictures, find_pictures
from unblur.evaluation.method import Method, MethodSpec, Pixels, Restored, from_function, network
from unblur.evaluation.row import Row
from unblur.models import KernelEstimator
from unblur.photos.color import linear_to_srgb, srgb_to_linear
from unblur.restoration.loading import load
from unblur.restoration.shake import ShakeEstimator

METHODS = ("network", "deconvolved", "joined")

SHARP, LONG_BLUR, LEVIN = "sharp", "long", "levin"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One set or severity: mean PSNR in dB."""

    name: str
    pictures: int
    blurry: float
    network: float
    deconvolved: float
    joined: float
    worst: float
    """The lowest gain of the joined result over the network alone."""


def measure(
    folder: tyro.conf.Positional[Path],
    *,
    photos: Path,
    fusion: Path,
    real: tuple[Path, ...] = (),
    levin: Path | None = None,
    pictures: int | None = None,
    only: tuple[str, ...] = (),
    pairs: int = 60,
    size: int = 384,
) -> int:
    """Measure the network alone, the deconvolution alone, and both joined.

    Args:
        folder: Where simulated sets, rows and tables are written.
        photos: Folder of sharp photographs that nothing was trained on.
        fusion: Folder of a fusion network, see `experiments.train_shake_fusion`.
        real: Folders with real pairs.
        levin: Folder with pictures of Levin et al., measured by their protocol. Their values are linear light, so they
            are encoded as sRGB before they are restored, and decoded afterwards.
        pictures: At most so many of each set, evenly spread.
        only: Names of the sets to measure, instead of all.
        pairs: How many pairs the sets have that imitate cameras.
        size: Side of simulated pictures in pixels; those with long blur are twice as large.
    """
    sets = {
        one.name: one.pictures for one in open_release_sets(photos, real, folder / "sets", pairs=pairs, size_px=size)
    }
    long = replace(LONG, size_px=2 * size)
    settings = SetSettings(made_by=long, photos=compute_photos_fingerprint(photos))
    if not only or LONG_BLUR in only:
        write_set(folder / "sets" / LONG_BLUR, settings, lambda: simulate_validation_pairs(PhotoFolder(photos), long))
        sets[LONG_BLUR] = find_pictures(folder / "sets" / LONG_BLUR)
    sets[SHARP] = find_pictures(photos)
    if levin is not None:
        sets[LEVIN] = find_pictures(levin, protocol="levin")
    if unknown := set(only) - set(sets):
        raise UnblurError(f"There is no set {', '.join(sorted(unknown))}; the names are {', '.join(sets)}.")
    sets = {name: found for name, found in sets.items() if not only or name in only}
    rows = {method: _measure_rows(method, sets, folder, fusion, pictures) for method in METHODS}
    lines = [line for name in sets for line in _make_lines(name, {method: rows[method][name] for method in METHODS})]
    (folder / "shake.csv").write_text(_make_csv(lines), encoding="utf-8")
    sys.stdout.write(_make_markdown(lines))
    return 0


def _measure_rows(
    method: str, sets: dict[str, MeasuredPictures], folder: Path, fusion: Path, pictures: int | None
) -> dict[str, list[Row]]:
    choice = MethodSpec()
    opened = _open_method(method, fusion)
    linear = _wrap_for_linear_light(opened)

    def report(what: str, done: int, of: int) -> None:
        sys.stderr.write(f"{what}: {done} of {of}\n")

    tables = folder / "rows"
    tables.mkdir(parents=True, exist_ok=True)
    return {
        name: measure_rows(
            name,
            found if pictures is None else found.evenly(pictures),
            choice,
            linear if name == LEVIN else opened,
            tables / f"{name}-{method}.csv",
            MetricChoice(),
            report,
        )
        for name, found in sets.items()
    }


def _open_method(name: str, fusion: Path) -> Method:
    """Return one of METHODS."""
    if name == "network":
        return network(load(shake="off"), name=name)
    if name == "joined":
        return network(load(shake_fusion=fusion), name=name)
    estimator = load_checkpoint(BUNDLED_KERNEL_ESTIMATOR)
    assert isinstance(estimator.model, KernelEstimator)
    shakes = ShakeEstimator(load(shake="off").apply_network, estimator.model)

    def deconvolved(blurry: Pixels) -> Pixels:
        shake = shakes.estimate(blurry)
        light = srgb_to_linear(torch.from_numpy(blurry.astype(np.float32) / 255).permute(2, 0, 1))
        sharp = deconvolve(light, shake.path, Deconvolution(noise=shake.noise)).clamp(0, 1)
        pixels: Pixels = (linear_to_srgb(sharp) * 255).round().byte().permute(1, 2, 0).numpy()
        return pixels

    return from_function(name, deconvolved, checkpoint=estimator.sha256)


def _wrap_for_linear_light(method: Method) -> Method:
    """Return the method for pictures whose values are linear light."""

    def apply(blurry: Pixels, image: str) -> Restored:
        encoded = linear_to_srgb(torch.from_numpy(blurry.astype(np.float32) / 255))
        restored = method.apply((encoded * 255).round().byte().numpy(), image)
        decoded = srgb_to_linear(torch.from_numpy(restored.pixels.astype(np.float32) / 255))
        return replace(restored, pixels=(decoded * 255).round().byte().numpy())

    return replace(method, name=f"{method.name}-linear", apply=apply)


def _make_lines(name: str, rows: dict[str, list[Row]]) -> list[Line]:
    """Return the set, and for the validation set each severity."""
    groups = [row.group for row in rows["network"]]
    parts = sorted(set(groups), key=groups.index) if name in (VALIDATION, LONG_BLUR) else []
    by_part = [{method: [row for row in own if row.group == part] for method, own in rows.items()} for part in parts]
    return [_make_line(name, rows), *(_make_line(part, own) for part, own in zip(parts, by_part, strict=True))]


def _make_line(name: str, rows: dict[str, list[Row]]) -> Line:
    after = {method: [row.scores["psnr_after_db"] for row in own] for method, own in rows.items()}
    gains = [joined - alone for joined, alone in zip(after["joined"], after["network"], strict=True)]
    return Line(
        name=name,
        pictures=len(gains),
        # Sharp photographs are compared with themselves, which is infinite.
        blurry=fmean(row.scores["psnr_before_db"] for row in rows["network"]),
        network=fmean(after["network"]),
        deconvolved=fmean(after["deconvolved"]),
        joined=fmean(after["joined"]),
        worst=min(gains),
    )


def _make_csv(lines: Sequence[Line]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, [*vars(lines[0])], lineterminator="\n")
    writer.writeheader()
    writer.writerows({**vars(line)} for line in lines)
    return text.getvalue()


def _make_markdown(lines: Sequence[Line]) -> str:
    head = (
        "| set | pictures | blurry | network | deconvolved | joined | joined less network | worst picture |\n"
        "|---|---|---|---|---|---|---|---|\n"
    )
    return head + "".join(
        f"| {line.name} | {line.pictures} | {line.blurry:.2f} | {line.network:.2f} | {line.deconvolved:.2f} | "
        f"{line.joined:.2f} | {line.joined - line.network:+.2f} | {line.worst:+.2f} |\n"
        for line in lines
    )


if __name__ == "__main__":
    sys.exit(run(measure))
