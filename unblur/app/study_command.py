"""`unblur study sizes`: which shape of the network gains most in a given time."""

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from unblur.app.output_file import write_output
from unblur.errors import UnblurError

if TYPE_CHECKING:
    import numpy as np

    from unblur.datasets import Pair
    from unblur.training.recipe import Recipe

_PROBE_STEPS = 5


def sizes(
    *,
    photos: Path,
    held_out: Path,
    seconds: float = 300.0,
    size: int = 192,
    only: int | None = None,
    csv: Annotated[Path | None, tyro.conf.arg(name="csv")] = None,
) -> int:
    """Train shapes of the bundled network for equal processor time on the same data and compare what they gain.

    They are compared on the validation set, by PSNR gained and processor seconds per megapixel.

    Args:
        photos: Folder of sharp photographs to train on.
        held_out: Folder of sharp photographs for the validation set.
        seconds: Processor seconds that each candidate may be trained for, estimated from its first steps, which are
            the dearest because no simulated pair is used again yet; the table says what it took.
        size: Side of the validation set's pictures in pixels.
        only: Number of one candidate, from 0, instead of all: processes can share the work.
        csv: File for the table.
    """
    from unblur.datasets import PhotoFolder
    from unblur.datasets.validation import ValidationSet, validation_pairs
    from unblur.recipes.sizes import sizes as all_candidates
    from unblur.training.allocator import keep_freed_memory

    if seconds <= 0:
        raise UnblurError(f"Candidates need some time to be trained in, not {seconds} seconds; give more.")
    candidates = all_candidates()
    if only is not None:
        if not 0 <= only < len(candidates):
            raise UnblurError(f"There is no candidate {only}; give a number from 0 to {len(candidates) - 1}.")
        candidates = candidates[only : only + 1]
    keep_freed_memory()
    pairs = list(validation_pairs(PhotoFolder(held_out), replace(ValidationSet(), size_px=size)))
    rows = ["candidate,parameters,steps,training_s,gain_db,restoring_s_per_mp"]
    lines = [
        "| candidate | parameters | steps | processor s of training | gain dB | processor s per megapixel |",
        "|---|---|---|---|---|---|",
    ]
    for recipe in candidates:
        parameters, steps, training_s, gain_db, restoring_s = _trained_and_measured(recipe, photos, seconds, pairs)
        lines.append(
            f"| {recipe.name} | {parameters / 1e6:.1f} M | {steps} | {training_s:.0f} | {gain_db:+.3f} "
            f"| {restoring_s:.2f} |"
        )
        rows.append(f'"{recipe.name}",{parameters},{steps},{training_s:.1f},{gain_db:.4f},{restoring_s:.4f}')
    sys.stdout.write("\n".join(lines) + "\n")
    if csv is not None:
        write_output(csv, ("\n".join(rows) + "\n").encode())
    return 0


def _trained_and_measured(
    recipe: "Recipe", photos: Path, seconds: float, pairs: "list[Pair]"
) -> tuple[int, int, float, float, float]:
    """Parameters, steps, processor seconds of training, mean gain in dB, processor seconds per megapixel."""
    from unblur.models import build
    from unblur.training.loop import train

    with tempfile.TemporaryDirectory() as folder:
        # The first step loads photographs and libraries; the others tell how many fit into the time.
        marks: list[float] = []
        probe = replace(recipe, steps=_PROBE_STEPS, warmup_steps=1)
        train(probe, photos, Path(folder) / "probe", on_step=lambda *_: marks.append(time.process_time()))
        step_s = (marks[-1] - marks[0]) / (len(marks) - 1)
        steps = max(2, round(seconds / step_s))
        recipe = replace(
            recipe, steps=steps, warmup_steps=min(recipe.warmup_steps, steps // 10), checkpoint_every=steps
        )
        began = time.process_time()
        train(recipe, photos, Path(folder) / "run")
        training_s = time.process_time() - began
        gain_db, restoring_s = _gain(Path(folder) / "run", pairs)
    return sum(p.numel() for p in build(recipe.model).parameters()), steps, training_s, gain_db, restoring_s


def _gain(checkpoint: Path, pairs: "list[Pair]") -> tuple[float, float]:
    """Mean PSNR gained in dB, by the protocol of `unblur evaluate`, and processor seconds per megapixel."""
    from statistics import fmean

    from unblur.evaluation.measure import measure
    from unblur.restoration.restorer import load

    restorer = load(str(checkpoint), "cpu")
    spent_s: list[float] = []

    def timed(pixels: "np.ndarray") -> "np.ndarray":
        began = time.process_time()
        restored = restorer.restore(pixels)
        spent_s.append(time.process_time() - began)
        return restored

    rows = list(measure(pairs, timed, restorer.checkpoint_sha256 or ""))
    pixels = sum(row.height * row.width for row in rows)
    return fmean(row.gain_db for row in rows), sum(spent_s) / pixels * 1e6
