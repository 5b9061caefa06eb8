"""Race between shapes of a restoring network and ways to train it, in equal processor time.

`python -m experiments.shape_race --patches PATCHES --held-out PHOTOS -o FOLDER` trains every candidate from random
weights for the same processor seconds, on patches that `experiments.pack_patches` wrote, and measures on a fixed part
of the validation set how much PSNR it gains. The clock is `time.process_time` of a process with one thread: seconds
that other processes take from the machine do not count. Rates and patches follow the same clock.

Each candidate's row is a file in FOLDER; candidates whose row exists are not trained again, so an interrupted race
continues, and several processes can share it. `shape_race.csv` and `shape_race.md` are made from the rows.
"""

import io
import json
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Annotated

import numpy as np
import torch
import tyro
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from experiments.harness import run as run_experiment
from experiments.learning import Learning, ScheduleFreeAdamW, build_optimizers, compute_rate_share, find_stage
from experiments.pack_patches import PackedPatches
from experiments.shapes import Shape, ShapedUNet
from unblur.atomic import write_atomically
from unblur.datasets import PhotoFolder
from unblur.datasets.orientation import apply_dihedral
from unblur.datasets.validation import ValidationSet, simulate_validation_pairs
from unblur.errors import UnblurError
from unblur.evaluation.tables import Table
from unblur.models import NAFNetConfig, build
from unblur.seeds import make_generator
from unblur.training.allocator import keep_freed_memory
from unblur.training.losses import psnr_loss

EVERY = 5
"""Every fifth pair of the validation set: 5 and its four severities have no common factor, so all of them appear."""

LOSS_FLOOR = 1e-4
CLIP_NORM = 1.0


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One entry of the race."""

    name: str
    network: Shape | NAFNetConfig
    learning: Learning = Learning()


BUNDLED = NAFNetConfig(
    width=32, encoder_blocks=(2, 2, 2, 2), middle_blocks=2, decoder_blocks=(2, 2, 2, 2), stem_stride=2
)
PLAIN_48 = Shape(channels=(48, 96, 192, 384), block="plain")
STEM_4 = Shape(channels=(96, 192, 384), block="residual", stem_stride=4)

SHAPES = (
    Candidate(name="nafnet-32", network=BUNDLED),
    Candidate(name="plain-32", network=Shape(channels=(32, 64, 128, 256), block="plain")),
    Candidate(name="plain-48", network=PLAIN_48),
    Candidate(name="plain-64", network=Shape(channels=(64, 128, 256, 512), block="plain")),
    Candidate(name="residual-48", network=replace(PLAIN_48, block="residual")),
    Candidate(name="gate-48", network=replace(PLAIN_48, block="gate")),
    Candidate(name="residual-stem4-96", network=STEM_4),
    Candidate(name="merged-stem4-96", network=replace(STEM_4, block="merged")),
    Candidate(name="residual-stem4-96-large", network=replace(STEM_4, large_blocks=3)),
    Candidate(name="residual-stem4-128", network=replace(STEM_4, channels=(128, 256, 512))),
    Candidate(name="residual-stem4-few-wide", network=replace(STEM_4, channels=(128, 256), convolutions=4, coarsest=8)),
)
"""Candidates that differ in their shapes and have equal training settings."""

WAYS = tuple(
    Candidate(name=name, network=STEM_4, learning=learning)
    for name, learning in {
        "adamw-2e-3": Learning(peak=2e-3),
        "adamw-5e-4": Learning(peak=5e-4),
        "constant-then-decay": Learning(decay=0.3),
        "schedule-free": Learning(optimizer="schedule-free", peak=2e-3),
        "muon": Learning(optimizer="muon", muon_peak=2e-3),
        "muon-1e-2": Learning(optimizer="muon", muon_peak=1e-2),
        "growing": Learning(stages=((0.0, 64, 16), (0.4, 96, 12), (0.7, 160, 6))),
    }.items()
)
"""Candidates with one shape and other training settings; those of SHAPES are `residual-stem4-96` above."""

CANDIDATES = SHAPES + WAYS


@dataclass(frozen=True, kw_only=True)
class Row:
    """Cost and gain of one candidate."""

    name: str
    parameters: int
    gmac_per_mp: float
    training_s: float
    """Processor seconds."""
    steps: int
    megapixels: float
    """Megapixels of training patches."""
    gain_db: float
    """Mean over the pairs of PSNR after less PSNR before, both of eight bits."""
    gain_db_severe: float
    """Mean gain on the pairs with the longest blur."""
    restoring_s_per_mp: float
    """Processor seconds of one core, in bfloat16 and channels last."""
    machine: str


def race(
    *,
    patches: Path,
    held_out: Path,
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    seconds: float = 240,
    only: tuple[str, ...] = (),
) -> int:
    """Train and measure candidates, and write the table.

    Args:
        patches: Folder of `experiments.pack_patches`.
        held_out: Folder of sharp photographs to measure on.
        output: Folder for rows, weights and tables.
        seconds: Processor seconds of training for each candidate.
        only: Names of the candidates to train; all by default.
    """
    keep_freed_memory()
    torch.set_num_threads(1)
    by_name = {candidate.name: candidate for candidate in CANDIDATES}
    if unknown := [name for name in only if name not in by_name]:
        raise UnblurError(f"There is no candidate {unknown[0]}; give one of {', '.join(by_name)}.")
    output.mkdir(parents=True, exist_ok=True)
    packed = PackedPatches(patches)
    held = load_held_out_pairs(held_out, output / "held_out.npy")
    for name in only or by_name:
        row_path = output / f"{name}.json"
        if not row_path.exists():
            row, model = run(by_name[name], packed, held, seconds)
            torch.save(model.state_dict(), output / f"{name}.pth")
            write_atomically(row_path, json.dumps(asdict(row), indent=2).encode())
            sys.stdout.write(f"{row}\n")
            sys.stdout.flush()
    rows = [Row(**json.loads(path.read_text())) for path in sorted(output.glob("*.json"))]
    write_atomically(output / "shape_race.csv", _make_csv(rows).encode())
    write_atomically(output / "shape_race.md", _make_markdown(rows).encode())
    return 0


def run(candidate: Candidate, packed: PackedPatches, held: Tensor, seconds: float) -> tuple[Row, nn.Module]:
    """Train `candidate` for `seconds` and measure it."""
    torch.manual_seed(0)
    model = build_network(candidate.network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    flops = FlopCounterMode(display=False)
    with flops, torch.no_grad():
        model(torch.rand(1, 3, 256, 256))
    steps, pixels, training_s = train(model, candidate.learning, packed, seconds)
    gains = measure_gains_db(model, held)
    row = Row(
        name=candidate.name,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        gmac_per_mp=round(flops.get_total_flops() / 2 / 256**2 / 1e3, 2),
        training_s=round(training_s, 1),
        steps=steps,
        megapixels=round(pixels / 1e6, 2),
        gain_db=round(fmean(gains), 4),
        gain_db_severe=round(fmean(gains[place] for place in range(len(gains)) if place * EVERY % 4 == 3), 4),
        restoring_s_per_mp=round(measure_restoring_s_per_mp(model), 4),
        machine=f"{platform.machine()}, one thread, PyTorch {torch.__version__}",
    )
    return row, model


def build_network(config: Shape | NAFNetConfig) -> nn.Module:
    """Return the network of a candidate, with random weights."""
    return ShapedUNet(config) if isinstance(config, Shape) else build(config)


def train(model: nn.Module, learning: Learning, packed: PackedPatches, seconds: float) -> tuple[int, int, float]:
    """Train; return steps, training pixels and processor seconds."""
    chosen = build_optimizers(learning, model)
    began = time.process_time()
    steps = pixels = 0
    losses: list[float] = []
    while (spent := time.process_time() - began) < seconds:
        share = spent / seconds
        side, batch = find_stage(learning, share)
        for optimizer, peak in chosen:
            for group in optimizer.param_groups:
                group["lr"] = peak * compute_rate_share(learning, share)
        blurry, sharp = _load_batch(packed, steps, side, batch)
        model.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16):
            restored = model(blurry)
        loss = psnr_loss(restored, sharp, LOSS_FLOOR)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
        for optimizer, _ in chosen:
            optimizer.step()
        steps, pixels = steps + 1, pixels + batch * side**2
        with torch.no_grad():
            losses.append(loss.item() - psnr_loss(blurry, sharp, LOSS_FLOOR).item())
        if steps % 100 == 0:
            sys.stderr.write(f"{spent:.0f} s, step {steps}: gain {-fmean(losses[-100:]):+.3f} dB\n")
    for optimizer, _ in chosen:
        if isinstance(optimizer, ScheduleFreeAdamW):
            optimizer.average()
    return steps, pixels, time.process_time() - began


def _load_batch(packed: PackedPatches, step: int, side: int, batch: int) -> tuple[Tensor, Tensor]:
    """Return the blurry and sharp, (B, 3, side, side) in [0, 1]; the same for every candidate with the same stages."""
    generator = make_generator(1, "batch", step)
    order = torch.randperm(len(packed), generator=make_generator(1, "epoch", 0))
    places = [int(order[(step * batch + number) % len(packed)]) for number in range(batch)]
    cut = []
    for place in places:
        pair = packed[place]
        room = pair.shape[-1] - side
        top, left, orientation = (
            int(torch.randint(bound, (), generator=generator)) for bound in (room + 1, room + 1, 8)
        )
        crop = pair[..., top : top + side, left : left + side]
        cut.append(torch.stack([apply_dihedral(picture, orientation) for picture in crop]))
    pictures = torch.stack(cut).float() / 255
    blurry, sharp = pictures.unbind(1)
    return blurry.contiguous(memory_format=torch.channels_last), sharp.contiguous(memory_format=torch.channels_last)


def load_held_out_pairs(photos: Path, stored: Path) -> Tensor:
    """Return every fifth pair of the validation set, (N, 2, 3, 384, 384) uint8; made once and stored."""
    if not stored.exists():
        pairs = islice(simulate_validation_pairs(PhotoFolder(photos), ValidationSet()), 0, None, EVERY)
        pictures = [torch.stack([pair.blurry, pair.sharp]) for pair in pairs]
        data = io.BytesIO()
        np.save(data, (torch.stack(pictures) * 255).round().byte().numpy())
        write_atomically(stored, data.getvalue())
    return torch.from_numpy(np.load(stored))


def measure_gains_db(model: nn.Module, held: Tensor) -> list[float]:
    """Return the PSNR after less PSNR before of every pair, restored in bfloat16 and rounded to eight bits."""
    model.eval()
    gains = []
    for pair in held:
        blurry, sharp = (pair.float() / 255).unbind(0)
        restored = _restore(model, blurry[None])[0].float()
        rounded = (restored.clamp(0, 1) * 255).round() / 255
        gains.append(_compute_psnr_db(rounded, sharp) - _compute_psnr_db(blurry, sharp))
    return gains


def _compute_psnr_db(picture: Tensor, sharp: Tensor) -> float:
    return float(-10 * (picture - sharp).square().mean().clamp(min=1e-10).log10())


def measure_restoring_s_per_mp(model: nn.Module) -> float:
    """Return the processor seconds a megapixel of one thread: the median of five photographs of 768 x 768 pixels."""
    model.eval()
    picture = torch.rand(1, 3, 768, 768)
    _restore(model, picture)
    spent = sorted(_read_processor_s(lambda: _restore(model, picture)) for _ in range(5))
    return spent[2] / 0.768**2


def _restore(model: nn.Module, blurry: Tensor) -> Tensor:
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        restored: Tensor = model(blurry.contiguous(memory_format=torch.channels_last))
    return restored


def _read_processor_s(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _make_csv(rows: Sequence[Row]) -> str:
    lines = tuple(tuple(str(value) for value in asdict(row).values()) for row in rows)
    return Table(header=tuple(asdict(rows[0])), lines=lines).csv()


def _make_markdown(rows: Sequence[Row]) -> str:
    ways = {way.name for way in WAYS}
    base = next(candidate.name for candidate in SHAPES if candidate.network == STEM_4)
    shapes = [row for row in rows if row.name not in ways]
    learnt = [row for row in rows if row.name in ways or row.name == base]
    machine = ", ".join(sorted({row.machine for row in rows}))
    text = [
        "`python -m experiments.shape_race` trained every candidate from random weights on the same patches and "
        f"measured it on every {EVERY}th pair of the validation set. Times are processor seconds of one "
        f"thread ({machine}).",
        _make_table(shapes),
    ]
    if len(learnt) > 1:
        text += [f"Ways to learn, all with the shape of `{base}`:", _make_table(learnt)]
    return "\n\n".join(text)


def _make_table(rows: Sequence[Row]) -> str:
    ordered = sorted(rows, key=lambda row: -row.gain_db)
    return Table(
        header=("candidate", "parameters", "GMAC/MP", "training s", "MP shown", "gain dB", "severe dB", "core-s/MP"),
        lines=tuple(
            (
                row.name,
                f"{row.parameters / 1e6:.1f} M",
                f"{row.gmac_per_mp:.1f}",
                f"{row.training_s:.0f}",
                f"{row.megapixels:.0f}",
                f"{row.gain_db:+.3f}",
                f"{row.gain_db_severe:+.3f}",
                f"{row.restoring_s_per_mp:.2f}",
            )
            for row in ordered
        ),
    ).markdown()


if __name__ == "__main__":
    sys.exit(run_experiment(race))
