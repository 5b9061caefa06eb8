"""Which shape of the network gains most in a given time."""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

import numpy as np

from unblur.datasets import Pair
from unblur.evaluation.cost import parameters_of
from unblur.evaluation.measure import measure
from unblur.evaluation.tables import Table
from unblur.models import build
from unblur.restoration.restorer import load
from unblur.training.loop import train
from unblur.training.recipe import Recipe

_PROBE_STEPS = 5


@dataclass(frozen=True, kw_only=True)
class MeasuredSize:
    """What one candidate needed and gained."""

    candidate: str
    parameters: int
    steps: int
    training_s: float
    """Processor seconds."""
    gain_db: float
    """Mean over the pairs, by the protocol of `unblur evaluate`."""
    restoring_s_per_mp: float
    """Processor seconds per megapixel."""


def measured_size(recipe: Recipe, photos: Path, seconds: float, pairs: Sequence[Pair]) -> MeasuredSize:
    """Train `recipe` for about `seconds` processor seconds, and measure it on `pairs`."""
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
    return MeasuredSize(
        candidate=recipe.name,
        parameters=parameters_of(build(recipe.model)),
        steps=steps,
        training_s=training_s,
        gain_db=gain_db,
        restoring_s_per_mp=restoring_s,
    )


def size_table(measured: Sequence[MeasuredSize]) -> Table:
    """For people, one line a candidate."""
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


def size_csv(measured: Sequence[MeasuredSize]) -> str:
    """For programs, the same with more digits."""
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


def _gain(checkpoint: Path, pairs: Sequence[Pair]) -> tuple[float, float]:
    """Mean PSNR gained in dB, and processor seconds per megapixel."""
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
