"""Measure what the semantic prior gains in the bundled network, against how good its features are: dose and response.

`python -m experiments.prior_dose --photos PHOTOS --held-out PHOTOS -o FOLDER` freezes the bundled network and trains
only the layers of semantic prior embedding (SPE; Wang et al. 2023, arXiv 2302.06898) in its decoder, once for each
source of features: the teacher on the blurry photograph, the student in one and in two passes, the teacher's features
half-way to those of the sharp photograph, and those of the sharp photograph themselves, an oracle that bounds the gain
of any student. The share of the gap that a source closes is measured on the same pairs.

An interrupted command continues. Several processes share the work: first `--pairs-only`, then `--start 0 --every 2` and
`--start 1 --every 2`; then the command without them prints the tables.
"""

import json
import math
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Annotated, Literal, get_args

import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from torch import Tensor, nn

from experiments.harness import ProgressBars, Report, format_mean, lock_settings, run, write_table
from experiments.motion_pairs import (
    MotionPairs,
    PairStudySettings,
    compute_psnr_db,
    get_nafnet,
    list_fifths,
    measure_blurry,
    measure_length_px,
    simulate_motion_pairs,
    to_images,
)
from experiments.severity import QUINTILES
from unblur.atomic import write_atomically
from unblur.checkpoints.folder import BUNDLED_FAITHFUL, BUNDLED_PRIOR, load_checkpoint
from unblur.checkpoints.teacher import load_teacher
from unblur.datasets.photo_folder import compute_photos_fingerprint
from unblur.errors import UnblurError
from unblur.evaluation.tables import Table
from unblur.models import PriorConfig, SemanticPrior
from unblur.models.nafnet import NAFNet
from unblur.models.semantic_prior import compute_features
from unblur.restoration.device import has_fast_bfloat16
from unblur.restoration.shake import CPU
from unblur.seeds import make_generator, seed_for
from unblur.training.allocator import keep_freed_memory
from unblur.training.losses import compute_mean_cosine, psnr_loss

Source = Literal["teacher of blurry", "student", "two-pass student", "half-way", "oracle"]
"""Source of the features, from the worst to the best."""

EMA_DECAY, LOSS_FLOOR, WARMUP_STEPS, PEAK_RATE = 0.99, 1e-4, 50, 2e-3

TRAINED = ("prior.aggregations.", "embeddings.")
"""Prefixes of the parameters that are trained."""

CSV_HEADER = ("source", "seed", "pair", "length_px", "psnr_before_db", "psnr_bundled_db", "psnr_after_db")


@dataclass(frozen=True, kw_only=True)
class DoseSettings(PairStudySettings):
    """Settings of all networks, with the student."""

    prior: str
    """SHA-256 of the student."""


@dataclass(frozen=True, kw_only=True)
class DoseRow:
    """Measurements of one network."""

    source: Source
    seed: int
    psnr_db: NDArray[np.float64]
    """PSNR of each measured pair."""


class FeatureSlot(nn.Module):
    """Module in place of a student, which returns the features that it was given last."""

    def __init__(self) -> None:
        super().__init__()
        self.features: list[Tensor] = []

    def forward(self, _blurry: Tensor) -> list[Tensor]:
        """Return the features."""
        return self.features


class FeatureSources:
    """Computes the features of each source with the frozen teacher, student and restoring network."""

    def __init__(self, student: SemanticPrior, restorer: NAFNet) -> None:
        self._student, self._restorer = student.eval(), restorer.eval()
        self._teacher = load_teacher(student.config.backbone)

    @torch.no_grad()
    def compute(self, source: Source, blurry: Tensor, sharp: Tensor) -> list[Tensor]:
        """Compute features at every level, finest first. Shape: (B, 3, H, W) sRGB in [0, 1] twice."""
        match source:
            case "teacher of blurry":
                return compute_features(self._teacher, blurry)
            case "student":
                return list(self._student(blurry))
            case "two-pass student":
                return list(self._student(blurry, self._restorer(blurry).float().clamp(0, 1)))
            case "half-way":
                near, far = (compute_features(self._teacher, image) for image in (sharp, blurry))
                return [(one + other) / 2 for one, other in zip(near, far, strict=True)]
            case "oracle":
                return compute_features(self._teacher, sharp)

    def compute_closed_share(self, source: Source, pairs: MotionPairs) -> float:
        """Return the share of the gap to the sharp photograph's features that a source closes, by mean cosine.

        0 is the teacher on the blurry photograph, 1 the teacher on the sharp one.
        """
        distances: dict[Source, list[float]] = {"teacher of blurry": [], source: []}
        for blurry, sharp in zip(pairs.blurry, pairs.sharp, strict=True):
            images = to_images(blurry[None]), to_images(sharp[None])
            target = self.compute("oracle", *images)
            for name, values in distances.items():
                found = self.compute(name, *images)
                cosines = [float(compute_mean_cosine(one, other)) for one, other in zip(found, target, strict=True)]
                values.append(1 - fmean(cosines))
        return 1 - fmean(distances[source]) / fmean(distances["teacher of blurry"])


def build_host(bundled: NAFNet, student: SemanticPrior) -> tuple[NAFNet, FeatureSlot]:
    """Return the bundled network with SPE layers, of which these alone are trained, and the slot of its features."""
    # The student itself is not part of the host here, so its passes do not matter.
    prior = PriorConfig(network=replace(student.config, two_pass=False))
    host = NAFNet(replace(bundled.config, prior=prior))
    slot = FeatureSlot()
    host.prior.student = slot  # type: ignore[assignment]
    host.load_state_dict(host.state_dict() | bundled.state_dict())
    for name, parameter in host.named_parameters():
        parameter.requires_grad_(name.startswith(TRAINED))
    return host, slot


def train_network(
    pairs: MotionPairs,
    bundled: NAFNet,
    sources: FeatureSources,
    student: SemanticPrior,
    source: Source,
    settings: DoseSettings,
    seed: int,
    report: Report,
) -> tuple[NAFNet, FeatureSlot]:
    """Train the SPE layers on pairs, each of which they see once, in an order by the seed."""
    torch.manual_seed(seed_for(seed, "weights"))
    host, slot = build_host(bundled, student)
    trained = [parameter for parameter in host.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, betas=(0.9, 0.95), weight_decay=1e-3)
    averages = [parameter.detach().clone() for parameter in trained]
    native = has_fast_bfloat16(CPU)
    order = torch.randperm(len(pairs.finished), generator=make_generator(seed, "order")).tolist()
    for step in range(settings.steps):
        share = min(1.0, step / WARMUP_STEPS) * (0.5 + 0.5 * math.cos(math.pi * step / settings.steps))
        which = order[step * settings.batch : (step + 1) * settings.batch]
        blurry, sharp = (to_images(images[which]) for images in (pairs.blurry, pairs.sharp))
        with torch.autocast("cpu", torch.bfloat16, enabled=native):
            slot.features = sources.compute(source, blurry, sharp)
            restored = host(blurry)
        loss = psnr_loss(restored, sharp, LOSS_FLOOR)
        optimizer.param_groups[0]["lr"] = PEAK_RATE * share
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        torch._foreach_lerp_(averages, [parameter.detach() for parameter in trained], 1 - EMA_DECAY)
        report(f"training {source}, seed {seed}", step + 1, settings.steps)
    with torch.no_grad():
        for parameter, average in zip(trained, averages, strict=True):
            parameter.copy_(average)
    return host.eval(), slot


@torch.inference_mode()
def measure_network(
    host: NAFNet, slot: FeatureSlot, sources: FeatureSources, source: Source, pairs: MotionPairs
) -> list[float]:
    """Return the PSNR of each restored pair in dB."""
    values = []
    for blurry, sharp in zip(pairs.blurry, pairs.sharp, strict=True):
        image = to_images(blurry[None])
        slot.features = sources.compute(source, image, to_images(sharp[None]))
        values.append(compute_psnr_db(host(image)[0], sharp))
    return values


def make_table(
    rows: Sequence[DoseRow], closed: dict[str, float], bundled: NDArray[np.float64], lengths: Sequence[float]
) -> Table:
    """Make the table of gains over the bundled network by fifth of blur length: mean and deviation over the seeds."""
    fifths = list_fifths(lengths)
    lines = []
    for source in dict.fromkeys(row.source for row in rows):
        gains = [row.psnr_db - bundled for row in rows if row.source == source]
        cells = [format_mean([float(gain[members].mean()) for gain in gains], 3, sign="+") for members in fifths]
        everywhere = format_mean([float(gain.mean()) for gain in gains], 3, sign="+")
        lines.append((source, f"{closed[source]:.0%}", *cells, everywhere))
    header = ("features", "gap closed", *QUINTILES, "all")
    return Table(header=header, lines=tuple(lines))


def make_csv(
    rows: Sequence[DoseRow], before: NDArray[np.float64], bundled: NDArray[np.float64], lengths: Sequence[float]
) -> str:
    """Make a CSV with one line for each network and pair."""
    lines = [
        (
            row.source,
            str(row.seed),
            str(i),
            f"{lengths[i]:.3f}",
            f"{before[i]:.4f}",
            f"{bundled[i]:.4f}",
            f"{value:.4f}",
        )
        for row in rows
        for i, value in enumerate(row.psnr_db)
    ]
    return Table(header=CSV_HEADER, lines=tuple(lines)).csv()


def prior_dose(
    *,
    photos: Path,
    held_out: Path,
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    checkpoint: Path = BUNDLED_FAITHFUL,
    init_prior: Path = BUNDLED_PRIOR,
    steps: int = 800,
    batch: int = 4,
    patch: int = 128,
    pairs: int = 150,
    size: int = 256,
    seeds: int = 3,
    pairs_only: bool = False,
    start: int | None = None,
    every: int = 1,
) -> int:
    """Compare sources of the semantic prior's features in the frozen bundled network.

    Args:
        photos: Folder of sharp photographs for training.
        held_out: Folder of other sharp photographs, for the pairs that are measured.
        output: Folder of the pairs, measurements and tables.
        checkpoint: The network whose SPE layers are trained, a NAFNet.
        init_prior: Checkpoint of `unblur train prior` with two passes.
        steps: Updates of each network.
        batch: Patches of each update.
        patch: Side of the training patches in pixels, a multiple of 32.
        pairs: Number of measured pairs.
        size: Side of the measured pairs in pixels, a multiple of 32.
        seeds: Number of random seeds.
        pairs_only: Simulate the pairs and train nothing.
        start: The first network that this process trains, without tables; all networks with tables without it.
        every: Step from one of these networks to the next.
    """
    if min(steps, batch, pairs - len(QUINTILES) + 1, seeds, every) < 1 or patch % 32 or size % 32 or not patch * size:
        raise UnblurError("Give at least one step, patch and seed, five measured pairs, and sizes in multiples of 32.")
    loaded, prior = load_checkpoint(checkpoint), load_checkpoint(init_prior)
    bundled, student = get_nafnet(loaded), prior.model
    if not isinstance(student, SemanticPrior) or not student.config.two_pass:
        raise UnblurError(f"{init_prior} holds no semantic prior with two passes; give another checkpoint.")
    settings = DoseSettings(
        steps=steps,
        batch=batch,
        patch_px=patch,
        measured_px=size,
        measured_pairs=pairs,
        photos=compute_photos_fingerprint(photos),
        held_out=compute_photos_fingerprint(held_out),
        checkpoint=loaded.sha256,
        prior=prior.sha256,
    )
    lock_settings(output, settings)
    keep_freed_memory()
    sources = FeatureSources(student, bundled)
    planned = [(source, seed) for seed in range(1, seeds + 1) for source in reversed(get_args(Source))]
    with closing(ProgressBars()) as bars:
        measured = simulate_motion_pairs(output / "measured", held_out, pairs, size, 2, bars)
        training = simulate_motion_pairs(output / "training", photos, steps * batch, patch, 1, bars)
        if pairs_only:
            return 0
        rows = []
        for source, seed in planned[start or 0 :: every]:
            stored = output / f"{source.replace(' ', '-')}-seed{seed}.json"
            if not stored.exists():
                host, slot = train_network(training, bundled, sources, student, source, settings, seed, bars)
                write_atomically(stored, json.dumps(measure_network(host, slot, sources, source, measured)).encode())
            rows.append(DoseRow(source=source, seed=seed, psnr_db=np.array(json.loads(stored.read_text()))))
    if start is not None:
        return 0
    with torch.inference_mode():
        restored = [bundled.eval()(to_images(blurry[None]))[0] for blurry in measured.blurry]
    after = np.array([compute_psnr_db(image, sharp) for image, sharp in zip(restored, measured.sharp, strict=True)])
    before = measure_blurry(measured)
    lengths = [measure_length_px(path) for path in measured.true_paths]
    closed = {source: sources.compute_closed_share(source, measured) for source in get_args(Source)}
    title = (
        f"Gain over the network {loaded.sha256[:12]} without a prior in dB of PSNR, by fifth of blur length ({pairs} "
        f"pairs of {size} px; blurry {before.mean():.2f} dB, restored {after.mean():.2f} dB), mean and standard "
        f"deviation of {seeds} seeds; {steps} steps of {batch} patches of {patch} px."
    )
    rows.sort(key=lambda row: get_args(Source).index(row.source))
    write_table(
        output,
        "prior-dose",
        title,
        make_table(rows, closed, after, lengths).markdown(),
        make_csv(rows, before, after, lengths),
    )
    return 0


if __name__ == "__main__":
    sys.exit(run(prior_dose))
