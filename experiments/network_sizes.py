"""Compare shapes of the bundled network: which one gains most when all are trained for the same processor time."""

import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Annotated

import numpy as np
import tyro

from experiments.harness import run, select_one
from unblur.app.output_file import write_output
from unblur.datasets import Pair, PhotoFolder
from unblur.datasets.validation import ValidationSet, simulate_validation_pairs
from unblur.errors import UnblurError
from unblur.evaluation.measure import measure
from unblur.evaluation.tables import Table
from unblur.models import NAFNetConfig, PriorConfig, RestorerConfig, UNetConfig, build
from unblur.models.operations import count_parameters
from unblur.recipes.faithful import faithful
from unblur.restoration.loading import load
from unblur.training.allocator import keep_freed_memory
from unblur.training.loop import train
from unblur.training.recipe import Recipe

_PROBE_STEPS = 5


@dataclass(frozen=True, kw_only=True)
class MeasuredSize:
    """Cost and gain of one candidate."""

    candidate: str
    parameters: int
    steps: int
    training_s: float
    """Processor seconds."""
    gain_db: float
    """Mean over the pairs, by the protocol of `unblur evaluate`."""
    restoring_s_per_mp: float
    """Processor seconds per megapixel."""


def measure_size(recipe: Recipe, photos: Path, seconds: float, pairs: Sequence[Pair]) -> MeasuredSize:
    """Train `recipe` for about `seconds` processor seconds, and measure it on `pairs`."""
    with tempfile.TemporaryDirectory() as folder:
        # The first step loads photographs and libraries; the others show how many fit into the time.
        marks: list[float] = []
        probe = replace(recipe, schedule=replace(recipe.schedule, steps=_PROBE_STEPS, warmup_steps=1))
        train(probe, photos, Path(folder) / "probe", on_step=lambda *_: marks.append(time.process_time()))
        step_s = (marks[-1] - marks[0]) / (len(marks) - 1)
        steps = max(2, round(seconds / step_s))
        recipe = replace(
            recipe,
            schedule=replace(recipe.schedule, steps=steps, warmup_steps=min(recipe.schedule.warmup_steps, steps // 10)),
            checkpoint_every=steps,
        )
        began = time.process_time()
        train(recipe, photos, Path(folder) / "run")
        training_s = time.process_time() - began
        gain_db, restoring_s = _measure_gain(Path(folder) / "run", pairs)
    return MeasuredSize(
        candidate=recipe.name,
        parameters=count_parameters(build(recipe.model)),
        steps=steps,
        training_s=training_s,
        gain_db=gain_db,
        restoring_s_per_mp=restoring_s,
    )


def make_size_table(measured: Sequence[MeasuredSize]) -> Table:
    """Make a table with one line per candidate."""
    return Table(
        header=("candidate", "parameters", "steps", "processor s of training", "gain dB", "processor s per megapixel"),
        lines=tuple(
            (
                one.candidate,
                f"{one.parameters / 1e6:.1f} M",
                str(one.steps),
                f"{one.training_s:.0f}",
                f"{one.gain_db:+.3f}",
                f"{one.restoring_s_per_mp:.2f}",
            )
            for one in measured
        ),
    )


def make_size_csv(measured: Sequence[MeasuredSize]) -> str:
    """Make a CSV of the same with more digits."""
    lines = [
        (
            one.candidate,
            str(one.parameters),
            str(one.steps),
            f"{one.training_s:.1f}",
            f"{one.gain_db:.4f}",
            f"{one.restoring_s_per_mp:.4f}",
        )
        for one in measured
    ]
    header = ("candidate", "parameters", "steps", "training_s", "gain_db", "restoring_s_per_mp")
    return Table(header=header, lines=tuple(lines)).csv()


def _measure_gain(checkpoint: Path, pairs: Sequence[Pair]) -> tuple[float, float]:
    """Return the mean gain in dB and the processor seconds per megapixel."""
    restorer = load(str(checkpoint), "cpu")
    spent_s: list[float] = []

    def timed(pixels: np.ndarray) -> np.ndarray:
        began = time.process_time()
        restored: np.ndarray = restorer.restore(pixels)
        spent_s.append(time.process_time() - began)
        return restored

    rows = list(measure(pairs, timed, restorer.checkpoint_sha256 or ""))
    pixels = sum(row.height * row.width for row in rows)
    return fmean(row.gain_db for row in rows), sum(spent_s) / pixels * 1e6


def make_candidate_recipes() -> tuple[Recipe, ...]:
    """Return the candidates, the bundled shape first; they differ in their network alone.

    Plain ones have only 3x3 convolutions in their blocks, trained as one or as two.
    """
    bundled = NAFNetConfig(
        width=32, encoder_blocks=(2, 2, 2, 2), middle_blocks=2, decoder_blocks=(2, 2, 2, 2), stem_stride=2
    )
    shapes: dict[str, RestorerConfig] = {
        "width 32, stem 2": bundled,
        "width 64, stem 4": NAFNetConfig(
            width=64, encoder_blocks=(3, 3, 3), middle_blocks=3, decoder_blocks=(3, 3, 3), stem_stride=4
        ),
        "width 32, stem 2, deep end": NAFNetConfig(
            width=32, encoder_blocks=(1, 2, 3, 4), middle_blocks=2, decoder_blocks=(4, 3, 2, 1), stem_stride=2
        ),
        "width 24, no stem": NAFNetConfig(
            width=24, encoder_blocks=(2, 2, 2, 2), middle_blocks=2, decoder_blocks=(2, 2, 2, 2)
        ),
        "width 32, stem 2, with the prior": replace(bundled, prior=PriorConfig()),
        "plain, width 32, stem 2": UNetConfig(channels=(32, 64, 128, 256), blocks=2, stem_stride=2),
        "plain, width 32, stem 2, trained as two": UNetConfig(
            channels=(32, 64, 128, 256), blocks=2, stem_stride=2, expanded=256
        ),
    }
    bundled_recipe = faithful()
    return tuple(
        replace(bundled_recipe, name=name, model=model, seed=1, data=replace(bundled_recipe.data, repeats=4))
        for name, model in shapes.items()
    )


def network_sizes(
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
            the most expensive because no simulated pair is repeated yet; the table says what it took.
        size: Side of the validation set's pictures in pixels.
        only: Number of one candidate, from 0, instead of all: processes can share the work.
        csv: File for the table.
    """
    if seconds <= 0:
        raise UnblurError(f"Candidates need some time to be trained in, not {seconds} seconds; give more.")
    candidates = select_one(make_candidate_recipes(), only, "candidate")
    keep_freed_memory()
    pairs = list(simulate_validation_pairs(PhotoFolder(held_out), replace(ValidationSet(), size_px=size)))
    measured = [measure_size(recipe, photos, seconds, pairs) for recipe in candidates]
    sys.stdout.write(make_size_table(measured).markdown())
    if csv is not None:
        write_output(csv, make_size_csv(measured).encode())
    return 0


if __name__ == "__main__":
    sys.exit(run(network_sizes))
