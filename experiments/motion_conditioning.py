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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal, cast, get_args

import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from torch import Tensor, nn

from experiments.conditioned_nafnet import PATH_POINTS, PATH_STRIDE_PX, ConditionedNAFNet, Mechanism
from experiments.harness import ProgressBars, Report, format_mean, lock_settings, run, write_table
from experiments.severity import QUINTILES, split_in_quintiles
from unblur.atomic import write_atomically
from unblur.blur import MotionField
from unblur.blur.undirected import to_directed, to_undirected
from unblur.checkpoints.folder import BUNDLED_FAITHFUL, BUNDLED_KERNEL_ESTIMATOR, load_checkpoint
from unblur.datasets import PhotoFolder
from unblur.datasets.photo_folder import compute_photos_fingerprint
from unblur.datasets.simulated import PatchSampling, SimulatedPairs
from unblur.datasets.validation import CAMERA
from unblur.errors import UnblurError
from unblur.evaluation.estimated_motion import load_estimator
from unblur.evaluation.score_plots import COLOURS, DOTS_PER_INCH, SIDE_INCHES, check_plottable, encode_figure
from unblur.evaluation.tables import Table
from unblur.models import KernelEstimator
from unblur.models.nafnet import NAFNet
from unblur.restoration.device import has_fast_bfloat16
from unblur.restoration.loading import load
from unblur.restoration.shake import CPU, SMALLEST_PX, ShakeEstimator
from unblur.restoration.shake_guidance import compute_shake_lines
from unblur.restoration.shake_solver import is_worth_solving
from unblur.seeds import make_generator, seed_for
from unblur.training.allocator import keep_freed_memory
from unblur.training.losses import psnr_loss

Given = Literal["none", "estimated", "solved", "true ends", "true paths"]
"""Paths that a network gets when it restores."""

Paths = Literal["none", "estimated", "curriculum", "true ends", "true paths"]
"""Paths that a network gets in training."""

MEASURED_WITH: Mapping[Paths, tuple[Given, ...]] = {
    "none": ("none",),
    "estimated": ("estimated", "solved"),
    "curriculum": ("estimated", "solved"),
    "true ends": ("estimated", "solved", "true ends"),
    "true paths": ("true paths",),
}

EXTENT_PX = (2.0, 32.0)
"""Extents of the blur: a patch has no room for longer ones."""

EMA_DECAY, LOSS_FLOOR, WARMUP_STEPS = 0.99, 1e-4, 100
TUNING_RATE, NEW_RATE = 1e-4, 1e-3
"""Peak learning rates of the pretrained layers and of the new ones."""

CURRICULUM_END = 0.5
"""Share of the steps after which a curriculum has estimated motion alone."""

CSV_HEADER = ("trained_with", "given", "mechanism", "seed", "pair", "length_px", "psnr_before_db", "psnr_after_db")


@dataclass(frozen=True, kw_only=True)
class StudySettings:
    """Settings of all networks; stored as study.json in the output folder."""

    steps: int
    batch: int
    patch_px: int
    measured_px: int
    measured_pairs: int
    photos: str
    """Fingerprint of the photographs that are trained on."""
    held_out: str
    """Fingerprint of the photographs that are measured on."""
    checkpoint: str
    """SHA-256 of the network that is trained further."""


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Simulated pairs with their motion, in files that are mapped into memory."""

    blurry: NDArray[np.uint8]
    """(N, 3, P, P)."""
    sharp: NDArray[np.uint8]
    """(N, 3, P, P)."""
    true_paths: NDArray[np.float16]
    """(N, 16, P/8, P/8) pixels."""
    true_ends: NDArray[np.float16]
    """The straight lines of the quadratic fits, as paths: (N, 16, P/8, P/8) pixels."""
    estimated: NDArray[np.float16]
    """Lines by the bundled estimator, of the same shape."""
    solved: NDArray[np.float16]
    """Lines of the kernels of a solved shake, or those of the estimator; only of the measured pairs."""
    finished: NDArray[np.bool_]
    """(N,)."""


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


def sample_path(motion: MotionField) -> Tensor:
    """Return 8 points of each path at equal steps of time, from left to right. (16, h, w) pixels, (x, y) of each."""
    offsets = motion.offsets
    at = torch.linspace(0, len(offsets) - 1, PATH_POINTS)
    low = at.floor().long().clamp(max=max(0, len(offsets) - 2))
    high = (low + 1).clamp(max=len(offsets) - 1)
    share = (at - low).view(-1, 1, 1, 1)
    points = offsets[low] * (1 - share) + offsets[high] * share
    leftwards = points[-1, 0] < points[0, 0]
    return torch.where(leftwards, points.flip(0), points).flatten(0, 1)


def draw_line(start: Tensor, end: Tensor) -> Tensor:
    """Return 8 equally spaced points from `start` to `end`, (2, h, w) pixels each. (16, h, w)."""
    shares = torch.linspace(0, 1, PATH_POINTS).view(-1, 1, 1, 1)
    return (start + (end - start) * shares).flatten(0, 1)


def measure_length_px(path: NDArray[np.float16]) -> float:
    """Return the mean length of paths along their points. (16, h, w) -> pixels."""
    points = torch.from_numpy(path.astype(np.float32)).view(PATH_POINTS, 2, *path.shape[1:])
    return float(points.diff(dim=0).norm(dim=1).sum(dim=0).mean())


def simulate_pool(
    folder: Path, photos: Path, count: int, patch_px: int, seed: int, report: Report, *, solves: bool = False
) -> Pool:
    """Simulate pairs with their true and estimated motion, or go on with those in `folder`.

    Only with `solves` the shake is solved; without it, the solved lines are those of the estimator.
    """
    pool = _open_pool(folder, count, patch_px)
    if pool.finished.all():
        return pool
    estimator, shake_estimator = load_estimator(None, CPU), load_shake_estimator()
    sampling = PatchSampling(patch_px=patch_px, pristine_share=0.0)
    pairs = SimulatedPairs(PhotoFolder(photos), replace(CAMERA, extent_px=EXTENT_PX), sampling, seed)
    for index in np.flatnonzero(~pool.finished).tolist():
        pair = pairs[index]
        pool.blurry[index], pool.sharp[index] = (_to_bytes(image) for image in (pair.blurry, pair.sharp))
        pool.true_paths[index] = sample_path(pair.compute_motion_at(PATH_STRIDE_PX)).numpy()
        ends = to_undirected(*pair.fit_ends(PATH_STRIDE_PX).offsets)
        pool.true_ends[index] = draw_line(*to_directed(ends)).numpy()
        with torch.inference_mode():
            estimated = estimator(pair.blurry[None])[0]
        pool.estimated[index] = draw_line(*to_directed(estimated)).numpy()
        solved = solve_lines(shake_estimator, pool.blurry[index]) if solves else None
        pool.solved[index] = pool.estimated[index] if solved is None else draw_line(*to_directed(solved)).numpy()
        pool.finished[index] = True
        report(f"simulating {folder.name}", index + 1, count)
    return pool


def load_shake_estimator() -> ShakeEstimator:
    """Load the bundled estimator of camera shake."""
    estimator = load_checkpoint(BUNDLED_KERNEL_ESTIMATOR).model
    assert isinstance(estimator, KernelEstimator)
    return ShakeEstimator(load(device="cpu", shake="off").apply_network, estimator)


def solve_lines(estimator: ShakeEstimator, blurry: NDArray[np.uint8]) -> Tensor | None:
    """Return the lines of the shake of an image, (3, H, W) -> (4, H/8, W/8), or None where it would not be solved."""
    shake = estimator.estimate(blurry.transpose(1, 2, 0))
    if not is_worth_solving(shake):
        return None
    return compute_shake_lines(shake.path, 0, 0, blurry.shape[2], blurry.shape[1])[0]


def _open_pool(folder: Path, count: int, patch_px: int) -> Pool:
    folder.mkdir(parents=True, exist_ok=True)
    side = patch_px // PATH_STRIDE_PX
    images, paths = (count, 3, patch_px, patch_px), (count, 2 * PATH_POINTS, side, side)

    def open_array(name: str, dtype: type[np.generic], shape: tuple[int, ...]) -> NDArray[np.generic]:
        file = folder / f"{name}.npy"
        return np.lib.format.open_memmap(file, "r+" if file.exists() else "w+", dtype, shape)

    return Pool(
        blurry=cast(NDArray[np.uint8], open_array("blurry", np.uint8, images)),
        sharp=cast(NDArray[np.uint8], open_array("sharp", np.uint8, images)),
        true_paths=cast(NDArray[np.float16], open_array("true_paths", np.float16, paths)),
        true_ends=cast(NDArray[np.float16], open_array("true_ends", np.float16, paths)),
        estimated=cast(NDArray[np.float16], open_array("estimated", np.float16, paths)),
        solved=cast(NDArray[np.float16], open_array("solved", np.float16, paths)),
        finished=cast(NDArray[np.bool_], open_array("finished", np.bool_, (count,))),
    )


def _to_bytes(image: Tensor) -> NDArray[np.uint8]:
    array: NDArray[np.uint8] = (image.clamp(0, 1) * 255).round().byte().numpy()
    return array


def choose_paths(paths: Paths, true_share: float, draw: float) -> Given:
    """Return which paths a network gets of a training pair.

    A curriculum gives true ends where `draw`, uniform in [0, 1), is below `true_share`, and estimated ones elsewhere.
    """
    if paths == "curriculum":
        return "true ends" if draw < true_share else "estimated"
    return paths


def get_paths(pool: Pool, index: int, given: Given) -> NDArray[np.float16]:
    """Return paths of one pair, (16, P/8, P/8) pixels."""
    match given:
        case "none":
            return np.zeros_like(pool.true_paths[index])
        case "estimated":
            found = pool.estimated[index]
        case "solved":
            found = pool.solved[index]
        case "true ends":
            found = pool.true_ends[index]
        case "true paths":
            found = pool.true_paths[index]
    return np.asarray(found)


def train_network(
    pool: Pool, checkpoint: Path, paths: Paths, mechanism: Mechanism, settings: StudySettings, seed: int, report: Report
) -> nn.Module:
    """Train the network further on the pairs of the pool, each of which it sees once, in an order by the seed."""
    torch.manual_seed(seed_for(seed, "weights"))
    nafnet = load_checkpoint(checkpoint).model
    assert isinstance(nafnet, NAFNet)
    network = ConditionedNAFNet(nafnet, mechanism).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    new = [parameter for name, parameter in network.named_parameters() if not name.startswith("nafnet.")]
    groups = [(list(network.nafnet.parameters()), TUNING_RATE), (new, NEW_RATE)]
    optimizers = [
        (torch.optim.AdamW(parameters, betas=(0.9, 0.95), weight_decay=1e-3), rate) for parameters, rate in groups
    ]
    averaged = torch.optim.swa_utils.AveragedModel(
        network,
        multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(EMA_DECAY),  # type: ignore[no-untyped-call]
    )
    native = has_fast_bfloat16(torch.device("cpu"))
    order = torch.randperm(len(pool.finished), generator=make_generator(seed, "order")).tolist()
    network.train()
    for step in range(settings.steps):
        share = min(1.0, step / WARMUP_STEPS) * (0.5 + 0.5 * math.cos(math.pi * step / settings.steps))
        which = order[step * settings.batch : (step + 1) * settings.batch]
        true_share = max(0.0, 1 - step / (CURRICULUM_END * settings.steps))
        draws = torch.rand(len(which), generator=make_generator(seed, "curriculum", step)).tolist()
        chosen = [choose_paths(paths, true_share, draw) for draw in draws]
        given = [get_paths(pool, one, name) for one, name in zip(which, chosen, strict=True)]
        blurry, sharp = (_to_images(images[which]) for images in (pool.blurry, pool.sharp))
        with torch.autocast("cpu", torch.bfloat16, enabled=native):
            restored = network(blurry, torch.from_numpy(np.stack(given)).float())
        loss = psnr_loss(restored, sharp, LOSS_FLOOR)
        for optimizer, rate in optimizers:
            optimizer.param_groups[0]["lr"] = rate * share
            optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        for optimizer, _ in optimizers:
            optimizer.step()
        averaged.update_parameters(network)
        report(f"training {paths}, {mechanism}, seed {seed}", step + 1, settings.steps)
    return averaged.module.eval()


def _to_images(images: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(images.astype(np.float32)) / 255


@torch.inference_mode()
def measure_network(network: nn.Module, pool: Pool, given: Given) -> list[float]:
    """Return the PSNR of each pair in dB, restored with the given paths."""
    values = []
    for index in range(len(pool.finished)):
        paths = torch.from_numpy(get_paths(pool, index, given)[None].astype(np.float32))
        restored = network(_to_images(pool.blurry[index][None]), paths)[0]
        values.append(compute_psnr_db(restored, pool.sharp[index]))
    return values


def compute_psnr_db(image: Tensor, sharp: NDArray[np.uint8]) -> float:
    """Return the PSNR of (3, H, W) in [0, 1] against the sharp image."""
    return -10 * math.log10(max(1e-10, float((image.clamp(0, 1) - _to_images(sharp)).square().mean())))


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
    fifths = _list_fifths(lengths)
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


def _list_fifths(lengths: Sequence[float]) -> list[list[int]]:
    return [[int(one) for one in part] for part in split_in_quintiles({str(i): x for i, x in enumerate(lengths)})]


def make_csv(rows: Sequence[MotionRow], before: NDArray[np.float64], lengths: Sequence[float]) -> str:
    """Make a CSV with one line for each network and pair."""
    lines = [
        (*row.kind, str(row.seed), str(i), f"{lengths[i]:.3f}", f"{before[i]:.4f}", f"{value:.4f}")
        for row in rows
        for i, value in enumerate(row.psnr_db)
    ]
    return Table(header=CSV_HEADER, lines=tuple(lines)).csv()


def plot_gains(rows: Sequence[MotionRow], lengths: Sequence[float], path: Path) -> None:
    """Write a figure of the gain over the network without paths, by fifth of blur length, as PNG."""
    from matplotlib.figure import Figure

    fifths = _list_fifths(lengths)
    figure = Figure(figsize=(SIDE_INCHES * 1.3, SIDE_INCHES), dpi=DOTS_PER_INCH, layout="constrained")
    panel = figure.subplots()
    without = {row.seed: row.psnr_db for row in rows if row.paths == "none"}
    kinds = dict.fromkeys(row.kind for row in rows if row.paths != "none")
    middles = [float(np.mean([lengths[i] for i in members])) for members in fifths]
    for colour, kind in zip(COLOURS, kinds, strict=False):
        gains = np.array(
            [
                [float((row.psnr_db - without[row.seed])[members].mean()) for members in fifths]
                for row in rows
                if row.kind == kind
            ]
        )
        spread = gains.std(axis=0, ddof=1) if len(gains) > 1 else None
        label = f"{kind[0]} / {kind[1]}, {kind[2]}"
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
    if not isinstance(loaded.model, NAFNet) or loaded.model.config.prior is not None:
        raise UnblurError(f"{checkpoint} holds no NAFNet without a prior; give another checkpoint.")
    settings = StudySettings(
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
        measured = simulate_pool(output / "measured", held_out, pairs, size, 2, bars, solves=True)
        training = simulate_pool(output / "training", photos, steps * batch, patch, 1, bars)
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
    before = np.array(
        [
            compute_psnr_db(_to_images(blurry), sharp)
            for blurry, sharp in zip(measured.blurry, measured.sharp, strict=True)
        ]
    )
    lengths = [measure_length_px(path) for path in measured.true_paths]
    title = (
        f"Gain over the blurry pictures in dB of PSNR ({pairs} pairs of {size} px, {before.mean():.2f} dB) by fifth of "
        f"blur length, mean and standard deviation of {seeds} seeds; {steps} steps of {batch} patches of {patch} px "
        f"from {loaded.sha256[:12]}."
    )
    table, csv = make_table(rows, before, lengths), make_csv(rows, before, lengths)
    write_table(output, "motion-conditioning", title, table.markdown(), csv)
    if plot is not None:
        plot_gains(rows, lengths, plot)
    return 0


if __name__ == "__main__":
    sys.exit(run(motion_conditioning))
