"""Plan the training of GLOWDeblur on many accelerators: arithmetic, memory, traffic, hours and cost, from counts.

Multiply-accumulates (MACs) and activations are counted on networks without weights. Peak speed, bandwidth and price
of an accelerator are assumptions, given as options; nothing here was run on one. A step of training costs the MACs of
the forward pass three times for trained parts, four times where activations are computed again, and once for frozen
parts. All-reduce in a ring sends and receives twice the gradients (Patarasuk and Yuan 2009).
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import tyro
from torch import Tensor, nn

from experiments.harness import run
from unblur.datasets.shard_files import find_shards
from unblur.errors import UnblurError
from unblur.evaluation.benchmark import read_benchmark
from unblur.evaluation.tables import Table
from unblur.models.dc_autoencoder import build_sana_autoencoder
from unblur.models.glow import GlowDeblur
from unblur.models.glow_sizes import glow
from unblur.models.operations import count_macs, count_parameters
from unblur.names import GlowSize

STATE_BYTES = {"weights": 4, "gradients": 4, "all-reduce": 8, "AdamW": 8, "moving average": 4}
"""Bytes for each trained parameter in float32. All-reduce joins the gradients in one tensor, and divides it once."""

SIZES: tuple[GlowSize, ...] = ("small", "0.6b", "1.6b")

_SIMULATED = ("256 x 256", "1280 x 720")
"""Sizes of pairs in `unblur bench`."""

_TRAINED, _RECOMPUTED, _FROZEN = 3, 4, 1


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """Assumptions about the accelerators."""

    devices: int
    peak_tflops: float
    utilisation: float
    """Share of the peak that training reaches."""
    network_gb_s: float
    """Bandwidth of each device to the others, in 1e9 bytes a second."""
    dollars_per_hour: float
    """Price of one device."""


@dataclass(frozen=True, kw_only=True)
class StepCost:
    """The cost of one pair of one size in training, and the size of the trained parts."""

    trained_parameters: int
    macs: int
    """MACs of a step for one pair, backward pass included."""
    activation_bytes: int
    """Bytes in bfloat16 that the backward pass needs of one pair, the denoiser's blocks computed again."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A run of training."""

    state_gb: float
    """Memory of each device for weights, gradients and the optimizer, in 1e9 bytes."""
    activations_gb: float
    compute_s: float
    """Seconds of arithmetic in a step."""
    all_reduce_s: float
    hours: float
    dollars: float
    pairs_per_s: float


def count_step_cost(size: GlowSize, side_px: int, *, train_restoration: bool) -> StepCost:
    """Count the cost of one pair of `side_px` x `side_px` pixels, a multiple of 32.

    `train_restoration` trains the pre-reconstruction beside the denoiser; otherwise it is frozen. Raises UnblurError
    when diffusers is not installed, whose autoencoder encodes the sharp photographs.
    """
    with torch.device("meta"):
        network, encoder = GlowDeblur(glow(size)), build_sana_autoencoder()[0]
        blurry, sigma = torch.zeros(1, 3, side_px, side_px), torch.zeros(1)
    first = network.pre_reconstruction
    assert first is not None
    conditions = network(blurry)
    noisy = conditions.aligned.detach()
    restoration = count_macs(lambda: first(blurry))
    frozen = sum(
        count_macs(part)
        for part in (
            lambda: network.motion_guidance(blurry),
            lambda: network.semantic_guidance(blurry, blurry),
            lambda: encoder(blurry),
        )
    )
    denoising = count_macs(lambda: network.predict_velocity(noisy, sigma, conditions))
    macs = _RECOMPUTED * denoising + _FROZEN * frozen + (_TRAINED if train_restoration else _FROZEN) * restoration
    tokens = noisy.shape[2] * noisy.shape[3]
    inputs = len(network.denoiser.blocks) * tokens * network.denoiser.config.width * 2
    whole = count_saved_bytes(network.denoiser, lambda: network.predict_velocity(noisy, sigma, conditions))
    activations = inputs + whole // len(network.denoiser.blocks) // 2
    trained = count_parameters(network.denoiser)
    if train_restoration:
        trained += count_parameters(first)
        activations += count_saved_bytes(first, lambda: first(blurry)) // 2
    return StepCost(trained_parameters=trained, macs=macs, activation_bytes=activations)


def count_saved_bytes(module: nn.Module, forward: Callable[[], object]) -> int:
    """Return the bytes of the tensors that `forward` saves for the backward pass, without the parameters."""
    known = {parameter.untyped_storage()._cdata for parameter in module.parameters()}
    saved: dict[int, int] = {}

    def save(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in known:
            saved[storage._cdata] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
        # The result is in memory until all are counted, so that no storage takes the place of another.
        result = forward()
    total = sum(saved.values())
    del result
    return total


def plan_run(cost: StepCost, hardware: Hardware, batch: int, steps: int) -> Plan:
    """Plan `steps` steps with `batch` pairs on each device, with all weights on every device."""
    flops = 2 * cost.macs * batch
    compute_s = flops / (hardware.peak_tflops * 1e12 * hardware.utilisation)
    traffic = 2 * (hardware.devices - 1) / hardware.devices * STATE_BYTES["gradients"] * cost.trained_parameters
    all_reduce_s = traffic / (hardware.network_gb_s * 1e9)
    hours = steps * (compute_s + all_reduce_s) / 3600
    return Plan(
        state_gb=sum(STATE_BYTES.values()) * cost.trained_parameters / 1e9,
        activations_gb=cost.activation_bytes * batch / 1e9,
        compute_s=compute_s,
        all_reduce_s=all_reduce_s,
        hours=hours,
        dollars=hours * hardware.devices * hardware.dollars_per_hour,
        pairs_per_s=batch * hardware.devices / (compute_s + all_reduce_s),
    )


def scaling_plan(
    devices: int = 64,
    peak_tflops: float = 989.0,
    utilisation: float = 0.4,
    network_gb_s: float = 50.0,
    dollars_per_hour: float = 2.5,
    batch: int = 16,
    steps: int = 100_000,
    sides: tuple[int, ...] = (512, 1024),
    benchmark: Annotated[Path | None, tyro.conf.arg(help_behavior_hint="")] = None,
    shards: Annotated[Path | None, tyro.conf.arg(help_behavior_hint="")] = None,
    photographs: float = 1e9,
) -> int:
    """Print the plan for each size of GLOWDeblur.

    Args:
        devices: Number of accelerators.
        peak_tflops: Peak of each in bfloat16, 1e12 operations a second; 989 is an H100's.
        utilisation: Share of the peak that training reaches.
        network_gb_s: Bandwidth of each to the others, 1e9 bytes a second; 50 is 400 Gbit/s.
        dollars_per_hour: Price of each.
        batch: Pairs on each device in a step.
        steps: Number of steps.
        sides: Sides of the pairs in pixels, multiples of 32.
        benchmark: File of `unblur bench --json`, for the cores that simulation and restoring need.
        shards: Folder of `unblur simulate`, for the bytes of a pair.
        photographs: Number of photographs to simulate from and to restore.
    """
    if min(devices, batch, steps, *sides) < 1 or any(side % 32 for side in sides):
        raise UnblurError("A plan needs devices, pairs and steps, and sides that are multiples of 32 pixels.")
    hardware = Hardware(
        devices=devices,
        peak_tflops=peak_tflops,
        utilisation=utilisation,
        network_gb_s=network_gb_s,
        dollars_per_hour=dollars_per_hour,
    )
    lines, fastest = [], 0.0
    for size in SIZES:
        for side in sides:
            for trains in (False, True):
                cost = count_step_cost(size, side, train_restoration=trains)
                plan = plan_run(cost, hardware, batch, steps)
                fastest = max(fastest, plan.pairs_per_s)
                lines.append(
                    (
                        f"{size}, {side} px, restoration {'trained' if trains else 'frozen'}",
                        f"{2 * cost.macs / 1e12:.2f}",
                        f"{plan.state_gb:.1f}",
                        f"{plan.activations_gb:.1f}",
                        f"{plan.compute_s:.2f}",
                        f"{plan.all_reduce_s:.2f}",
                        f"{plan.pairs_per_s:.0f}",
                        f"{plan.hours:.0f}",
                        f"{plan.dollars:,.0f}",
                    )
                )
    header = (
        "run",
        "TFLOP a pair",
        "states GB",
        "activations GB",
        "compute s",
        "all-reduce s",
        "pairs/s",
        "hours",
        "$",
    )
    sys.stdout.write(Table(header=header, lines=tuple(lines)).markdown())
    for line in describe_supply(benchmark, shards, fastest, photographs):
        sys.stdout.write(f"{line}\n")
    return 0


def describe_supply(benchmark: Path | None, shards: Path | None, pairs_per_s: float, photographs: float) -> list[str]:
    """Describe what simulating and storing pairs takes, from measurements of this machine. Raises UnblurError."""
    lines = []
    if benchmark is not None:
        measured = {one.name: one.value for one in read_benchmark(benchmark).measurements}
        simulating = {size: measured[f"{size}, simulation"] for size in _SIMULATED if f"{size}, simulation" in measured}
        if not simulating:
            raise UnblurError(f"{benchmark} has no speed of simulation; give a file of `unblur bench --json`.")
        for size, per_core in simulating.items():
            lines.append(
                f"Simulating {pairs_per_s:,.0f} pairs of {size} px a second needs {pairs_per_s / per_core:,.0f} cores; "
                f"{photographs:.0e} pairs need {photographs / per_core / 3600:,.0f} core-hours."
            )
        restoring = [
            seconds for name, seconds in measured.items() if name.startswith("faithful, ") and name.endswith(", 12 MP")
        ]
        if restoring:
            lines.append(
                f"Restoring {photographs:.0e} photographs of 12 MP in the fastest runtime needs "
                f"{photographs * min(restoring) / 3600:,.0f} core-hours."
            )
    if shards is not None:
        files = find_shards(shards)
        stored = sum(path.stat().st_size for path in shards.glob("pairs-*.tar")) / files.pairs
        lines.append(
            f"A pair takes {stored / 1e6:.2f} MB in shards; {pairs_per_s:,.0f} a second are "
            f"{pairs_per_s * stored / 1e9:.2f} GB/s, and {photographs:.0e} pairs {photographs * stored / 1e12:,.0f} TB."
        )
    return lines


if __name__ == "__main__":
    sys.exit(run(scaling_plan))
