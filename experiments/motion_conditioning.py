"""Measure what motion guidance can gain in the faithful network: with true paths, estimated ones, and without any.

`python -m experiments.motion_conditioning --photos PHOTOS --held-out PHOTOS -o FOLDER` trains the bundled network
further, conditioned on motion (`experiments.conditioned_nafnet`), on simulated pairs whose paths are known. All
networks see the same pairs; they differ in the paths that they get in training. `true paths` bound from above the gain
of any estimator; `true ends` are straight lines, the most that the bundled estimator could give; `estimated` are its
own lines; `curriculum` begins with true ends and changes to estimated ones; `none` gets zeros. Networks that are
trained with straight lines are also measured with others: `solved` are those of the kernels that the shake solver
finds, where it would solve the shake, and estimated ones elsewhere. Sampling and modulation are two ways to use paths.

An interrupted command continues: pairs are simulated once and networks trained once. Several processes share the work:
first `--pairs-only`, then `--start 0 --every 2` and `--start 1 --every 2`; then the command without them prints the
tables.
"""

import json
import math
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from torch import nn

from experiments.conditioned_nafnet import PATH_STRIDE_PX, ConditionedNAFNet, Mechanism
from experiments.harness import ProgressBars, Report, format_mean, lock_settings, run, write_table
from experiments.motion_pairs import (
    Given,
    MotionPairs,
    PairStudySettings,
    compute_line_errors_px,
    compute_psnr_db,
    get_nafnet,
    get_paths,
    list_fifths,
    measure_blurry,
    measure_length_px,
    simulate_motion_pairs,
    to_images,
)
from experiments.severity import QUINTILES
from unblur.atomic import write_atomically
from unblur.checkpoints.folder import BUNDLED_FAITHFUL, load_checkpoint
from unblur.datasets.photo_folder import compute_photos_fingerprint
from unblur.errors import UnblurError
from unblur.evaluation.score_plots import COLOURS, DOTS_PER_INCH, SIDE_INCHES, check_plottable, encode_figure
from unblur.evaluation.tables import Table
from unblur.restoration.device import has_fast_bfloat16
from unblur.restoration.shake import CPU, SMALLEST_PX
from unblur.seeds import make_generator, seed_for
from unblur.training.allocator import keep_freed_memory
from unblur.training.losses import psnr_loss

Paths = Literal["none", "estimated", "curriculum", "true ends", "true paths"]
"""Paths that a network gets in training."""

MEASURED_WITH: Mapping[Paths, tuple[Given, ...]] = {
    "none": ("none",),
    "estimated": ("estimated", "solved"),
    "curriculum": ("estimated", "solved"),
    "true ends": ("estimated", "solved", "true ends"),
    "true paths": ("true paths",),
}

EMA_DECAY, LOSS_FLOOR, WARMUP_STEPS = 0.99, 1e-4, 100
TUNING_RATE, NEW_RATE = 1e-4, 1e-3
"""Peak learning rates of the pretrained layers and of the new ones."""

CURRICULUM_END = 0.5
"""Share of the steps after which a curriculum has estimated motion alone."""

CSV_HEADER = ("trained_with", "given", "mechanism", "seed", "pair", "length_px", "psnr_before_db", "psnr_after_db")


@dataclass(frozen=True, kw_only=True)
class MotionRow:
    """Measurements of one network with the paths that it got."""

    paths: Paths
    given: Given
    mechanism: Mechanism
    seed: int
    psnr_db: NDArray[np.float64]
    """PSNR of each measured pair."""

    @property
    def kind(self) -> tuple[Paths, Given, Mechanism]:
        """All but the seed."""
        return self.paths, self.given, self.mechanism


def choose_paths(paths: Paths, true_share: float, draw: float) -> Given:
    """Return which paths a network gets of a training pair.

    A curriculum gives true ends where `draw`, uniform in [0, 1), is below `true_share`, and estimated ones elsewhere.
    """
    if paths == "curriculum":
        return "true ends" if draw < true_share else "estimated"
    return paths


def train_network(
    pairs: MotionPairs,
    checkpoint: Path,
    paths: Paths,
    mechanism: Mechanism,
    settings: PairStudySettings,
    seed: int,
    report: Report,
) -> nn.Module:
    """Train the network further on pairs, each of which it sees once, in an order by the seed."""
    torch.manual_seed(seed_for(seed, "weights"))
    network = ConditionedNAFNet(get_nafnet(load_checkpoint(checkpoint)), mechanism).to(
        memory_format=torch.channels_last
    )  # type: ignore[call-overload]
    new = [parameter for name, parameter in network.named_parameters() if not name.startswith("nafnet.")]
    groups = [{"params": list(network.nafnet.parameters())}, {"params": new}]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.95), weight_decay=1e-3)
    averaged = torch.optim.swa_utils.AveragedModel(
        network,
        multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(EMA_DECAY),  # type: ignore[no-untyped-call]
    )
    native = has_fast_bfloat16(CPU)
    order = torch.randperm(len(pairs.finished), generator=make_generator(seed, "order")).tolist()
    network.train()
    for step in range(settings.steps):
        share = min(1.0, step / WARMUP_STEPS) * (0.5 + 0.5 * math.cos(math.pi * step / settings.steps))
        which = order[step * settings.batch : (step + 1) * settings.batch]
        true_share = max(0.0, 1 - step / (CURRICULUM_END * settings.steps))
        draws = torch.rand(len(which), generator=make_generator(seed, "curriculum", step)).tolist()
        chosen = [choose_paths(paths, true_share, draw) for draw in draws]
        given = [get_paths(pairs, one, name) for one, name in zip(which, chosen, strict=True)]
        blurry, sharp = (to_images(images[which]) for images in (pairs.blurry, pairs.sharp))
        with torch.autocast("cpu", torch.bfloat16, enabled=native):
            restored = network(blurry, torch.from_numpy(np.stack(given)).float())
        loss = psnr_loss(restored, sharp, LOSS_FLOOR)
        for group, peak in zip(optimizer.param_groups, (TUNING_RATE, NEW_RATE), strict=True):
            group["lr"] = peak * share
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        averaged.update_parameters(network)
        report(f"training {paths}, {mechanism}, seed {seed}", step + 1, settings.steps)
    return averaged.module.eval()


@torch.inference_mode()
def measure_network(network: nn.Module, pairs: MotionPairs, given: Given) -> list[float]:
    """Return the PSNR of each pair in dB, restored with the given paths."""
    values = []
    for index in range(len(pairs.finished)):
        paths = torch.from_numpy(get_paths(pairs, index, given)[None].astype(np.float32))
        restored = network(to_images(pairs.blurry[index][None]), paths)[0]
        values.append(compute_psnr_db(restored, pairs.sharp[index]))
    return values


def list_networks(seeds: int) -> list[tuple[Paths, Mechanism, int]]:
    """Return all networks as (paths, mechanism, seed); both mechanisms are trained with true and estimated paths."""
    kinds: list[tuple[Paths, Mechanism]] = [
        (paths, mechanism)
        for paths in ("true paths", "none", "estimated", "true ends", "curriculum")
        for mechanism in get_args(Mechanism)
        if paths not in ("none", "true ends", "curriculum") or mechanism == "sampling"
    ]
    return [(*kind, seed) for seed in range(1, seeds + 1) for kind in kinds]


def make_table(rows: Sequence[MotionRow], before: NDArray[np.float64], lengths: Sequence[float]) -> Table:
    """Make the table of gains over the blurry pictures by fifth of blur length: mean and deviation over the seeds."""
    fifths = list_fifths(lengths)
    lines = []
    for kind in dict.fromkeys(row.kind for row in rows):
        found = [row.psnr_db - before for row in rows if row.kind == kind]
        cells = [format_mean([float(gain[members].mean()) for gain in found], 2, sign="+") for members in fifths]
        lines.append((*kind, *cells, format_mean([float(gain.mean()) for gain in found], 2, sign="+")))
    header = [
        f"{title}, {min(lengths[i] for i in of):.0f}-{max(lengths[i] for i in of):.0f} px"
        for title, of in zip(QUINTILES, fifths, strict=True)
    ]
    return Table(header=("trained with", "given", "mechanism", *header, "all"), lines=tuple(lines))


def make_error_table(pairs: MotionPairs, lengths: Sequence[float]) -> Table:
    """Make the table of the mean errors of estimated and solved lines by fifth of blur length."""
    fifths = list_fifths(lengths)
    lines = []
    for given in ("estimated", "solved"):
        errors = compute_line_errors_px(pairs, given)
        lines.append((given, *(f"{np.mean([errors[i] for i in members]):.1f}" for members in fifths)))
    return Table(header=("lines", *(f"{title}, px" for title in QUINTILES)), lines=tuple(lines))


def make_csv(rows: Sequence[MotionRow], before: NDArray[np.float64], lengths: Sequence[float]) -> str:
    """Make a CSV with one line for each network and pair."""
    lines = [
        (*row.kind, str(row.seed), str(i), f"{lengths[i]:.3f}", f"{before[i]:.4f}", f"{value:.4f}")
        for row in rows
        for i, value in enumerate(row.psnr_db)
    ]
    return Table(header=CSV_HEADER, lines=tuple(lines)).csv()


def plot_gains(rows: Sequence[MotionRow], lengths: Sequence[float], path: Path) -> None:
    """Write a figure of the gain of sampling over the network without paths, by fifth of blur length, as PNG."""
    from matplotlib.figure import Figure

    fifths = list_fifths(lengths)
    figure = Figure(figsize=(SIDE_INCHES * 1.3, SIDE_INCHES), dpi=DOTS_PER_INCH, layout="constrained")
    panel = figure.subplots()
    without = {row.seed: row.psnr_db for row in rows if row.paths == "none"}
    kinds = dict.fromkeys(row.kind for row in rows if row.paths != "none" and row.mechanism == "sampling")
    middles = [float(np.mean([lengths[i] for i in members])) for members in fifths]
    for colour, kind in zip(COLOURS, kinds, strict=True):
        gains = np.array(
            [
                [float((row.psnr_db - without[row.seed])[members].mean()) for members in fifths]
                for row in rows
                if row.kind == kind
            ]
        )
        spread = gains.std(axis=0, ddof=1) if len(gains) > 1 else None
        label = f"trained with {kind[0]}, given {kind[1]}"
        panel.errorbar(
            middles, gains.mean(axis=0), spread, marker="o", markersize=4, color=colour, capsize=3, label=label
        )
    panel.axhline(0, color="#444444", linewidth=0.8)
    panel.set_xlabel("length of the blur, px")
    panel.set_ylabel("gain over the network without paths, dB")
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(fontsize=8)
    write_atomically(path, encode_figure(figure))


def motion_conditioning(
    *,
    photos: Path,
    held_out: Path,
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    checkpoint: Path = BUNDLED_FAITHFUL,
    steps: int = 1500,
    batch: int = 4,
    patch: int = 128,
    pairs: int = 150,
    size: int = 256,
    seeds: int = 3,
    plot: Path | None = None,
    pairs_only: bool = False,
    start: int | None = None,
    every: int = 1,
) -> int:
    """Compare motion guidance by true, estimated and no paths in the faithful network.

    Args:
        photos: Folder of sharp photographs for training.
        held_out: Folder of other sharp photographs, for the pairs that are measured.
        output: Folder of the pairs, networks' measurements and tables.
        checkpoint: The network that is trained further, a NAFNet.
        steps: Updates of each network.
        batch: Patches of each update.
        patch: Side of the training patches in pixels, a multiple of 8.
        pairs: Number of measured pairs.
        size: Side of the measured pairs in pixels, a multiple of 8.
        seeds: Number of random seeds.
        plot: PNG file for a figure of the gains; needs `pip install 'unblur[plots]'`.
        pairs_only: Simulate the pairs and train nothing.
        start: The first network that this process trains, without tables; all networks with tables without it.
        every: Step from one of these networks to the next.
    """
    if plot is not None:
        check_plottable()
    if min(steps, batch, pairs - len(QUINTILES) + 1, seeds, every) < 1 or patch < 32 or size < SMALLEST_PX:
        raise UnblurError(
            "Give at least one step, patch and seed, five measured pairs, patches of 32 px and pairs of 64 px or more."
        )
    if patch % PATH_STRIDE_PX or size % PATH_STRIDE_PX:
        raise UnblurError(f"Sizes of {patch} and {size} px must be multiples of {PATH_STRIDE_PX}.")
    loaded = load_checkpoint(checkpoint)
    get_nafnet(loaded)
    settings = PairStudySettings(
        steps=steps,
        batch=batch,
        patch_px=patch,
        measured_px=size,
        measured_pairs=pairs,
        photos=compute_photos_fingerprint(photos),
        held_out=compute_photos_fingerprint(held_out),
        checkpoint=loaded.sha256,
    )
    lock_settings(output, settings)
    keep_freed_memory()
    with closing(ProgressBars()) as bars:
        measured = simulate_motion_pairs(output / "measured", held_out, pairs, size, 2, bars, solves=True)
        training = simulate_motion_pairs(output / "training", photos, steps * batch, patch, 1, bars)
        if pairs_only:
            return 0
        rows = []
        for paths, mechanism, seed in list_networks(seeds)[start or 0 :: every]:
            stored = output / f"{paths.replace(' ', '-')}-{mechanism}-seed{seed}.json"
            if not stored.exists():
                network = train_network(training, checkpoint, paths, mechanism, settings, seed, bars)
                scores = {given: measure_network(network, measured, given) for given in MEASURED_WITH[paths]}
                write_atomically(stored, json.dumps(scores).encode())
            for given, values in json.loads(stored.read_text()).items():
                rows.append(
                    MotionRow(paths=paths, given=given, mechanism=mechanism, seed=seed, psnr_db=np.array(values))
                )
    if start is not None:
        return 0
    before = measure_blurry(measured)
    lengths = [measure_length_px(path) for path in measured.true_paths]
    title = (
        f"Gain over the blurry pictures in dB of PSNR ({pairs} pairs of {size} px, {before.mean():.2f} dB) by fifth of "
        f"blur length, mean and standard deviation of {seeds} seeds; {steps} steps of {batch} patches of {patch} px "
        f"from {loaded.sha256[:12]}."
    )
    gains, errors = make_table(rows, before, lengths), make_error_table(measured, lengths)
    markdown = f"{gains.markdown()}\nMean distance of the lines' ends from the true ones:\n\n{errors.markdown()}"
    write_table(output, "motion-conditioning", title, markdown, make_csv(rows, before, lengths))
    if plot is not None:
        plot_gains(rows, lengths, plot)
    return 0


if __name__ == "__main__":
    sys.exit(run(motion_conditioning))
