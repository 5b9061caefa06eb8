"""Measure what GLOWDeblur costs: parameters, multiply-accumulates, time, memory, and growth with the pixel count.

Multiply-accumulates (MACs) are counted from the shapes of matrix products and convolutions alone, on networks without
weights; time and memory are measured.
"""

import multiprocessing
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Annotated, Any, Literal

import psutil
import torch
import torch.nn.functional as F
import tyro
from torch import Tensor, nn

from experiments.harness import run
from unblur.app.output_file import make_write_error, write_output
from unblur.atomic import write_atomically
from unblur.errors import UnblurError
from unblur.evaluation.score_plots import COLOURS, DOTS_PER_INCH, SIDE_INCHES, check_plottable, encode_figure
from unblur.evaluation.tables import Table
from unblur.models import LatentDecoder, LatentDecoderConfig
from unblur.models.dc_autoencoder import build_sana_autoencoder
from unblur.models.glow import GlowDeblur, GlowRestorer
from unblur.models.glow_sizes import denoiser, glow
from unblur.models.linear_dit import LinearAttention, LinearDiT, LinearDiTConfig
from unblur.models.motion_guidance import STRIDE_PX
from unblur.models.operations import count_macs, count_parameters
from unblur.models.samplers import Sampling
from unblur.models.tokens import Tokens
from unblur.names import GlowSize

SAMPLED_EVERY_S = 0.01
"""Seconds between two samples of the memory of a process."""

TOKENS = 64
"""Number of tokens of a photograph, for the denoiser alone: as many as semantic guidance has regions."""


@dataclass(frozen=True, kw_only=True)
class PartCost:
    """The cost of one part for one photograph."""

    part: str
    parameters: int
    macs: int


@dataclass(frozen=True, kw_only=True)
class RunCost:
    """The cost of one restoration."""

    height: int
    width: int
    steps: int
    seconds: float
    """Seconds on the clock of a second restoration, the first being for warming up."""
    processor_s: float
    """Processor seconds of the same; other work on the machine does not count, and neither does an accelerator's."""
    peak_mib: float
    """Peak memory of the whole process, libraries and weights included; on an accelerator, of what PyTorch has taken.
    """


@dataclass(frozen=True, kw_only=True)
class GrowthCost:
    """The cost of one step of the denoiser on a square photograph."""

    side_px: int
    linear_macs: int
    softmax_macs: int
    """Multiply-accumulates of its twin with softmax in place of linear attention."""
    linear_s: float | None
    """Processor seconds; None where they were not asked for."""
    softmax_s: float | None


def measure_part_costs(size: GlowSize, height: int, width: int) -> list[PartCost]:
    """Return the costs in the order of the parts for `height` x `width` pixels; the denoiser's is for one step.

    Raises UnblurError when diffusers is not installed.
    """
    height, width = (side + -side % STRIDE_PX for side in (height, width))
    with torch.device("meta"):
        network, decoder = GlowDeblur(glow(size)), build_decoder(size)
        blurry, sigma = torch.zeros(1, 3, height, width), torch.zeros(1)
    first = network.pre_reconstruction
    assert first is not None
    conditions = network(blurry)
    noisy = conditions.aligned
    calls: list[tuple[str, nn.Module, Callable[[], object]]] = [
        ("pre-reconstruction", first, lambda: first(blurry)),
        ("motion guidance", network.motion_guidance, lambda: network.motion_guidance(blurry)),
        ("semantic guidance", network.semantic_guidance, lambda: network.semantic_guidance(blurry, blurry)),
        ("denoiser, a step", network.denoiser, lambda: network.predict_velocity(noisy, sigma, conditions)),
        ("decoder", decoder, lambda: decoder(noisy)),
    ]
    return [PartCost(part=name, parameters=count_parameters(part), macs=count_macs(ask)) for name, part, ask in calls]


def build_decoder(size: GlowSize) -> nn.Module:
    """Build the decoder without weights: ours for the small network, for the others that of SANA's autoencoder.

    Raises UnblurError when that is wanted and diffusers is not installed.
    """
    if size == "small":
        return LatentDecoder(LatentDecoderConfig())
    return build_sana_autoencoder()[1]


def count_run_macs(parts: Sequence[PartCost], steps: int) -> int:
    """Return the multiply-accumulates of a restoration in `steps` steps."""
    return sum(part.macs * (steps if part.part.startswith("denoiser") else 1) for part in parts)


def measure_run_cost(
    size: GlowSize, height: int, width: int, steps: int, dtype: torch.dtype = torch.float32, device: str = "cpu"
) -> RunCost:
    """Restore a photograph of noise in a process of its own, with weights of zero: time does not depend on them.

    Raises UnblurError when that process ends without a result, for want of memory for example.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    arguments = (there, size, height, width, steps, dtype, device, torch.get_num_threads())
    process = context.Process(target=_restore, args=arguments)
    process.start()
    there.close()
    peak = _measure_peak_memory(process)
    try:
        seconds, processor_s, taken = here.recv()
    except EOFError as error:
        raise UnblurError(
            f"Restoring {width} x {height} pixels with {size} on {device} ended early, with code {process.exitcode}, "
            "perhaps for want of memory; give a smaller network or photograph."
        ) from error
    return RunCost(
        height=height,
        width=width,
        steps=steps,
        seconds=seconds,
        processor_s=processor_s,
        peak_mib=(peak if taken is None else taken) / 2**20,
    )


def measure_growth(size: GlowSize, sides_px: Sequence[int], timed_up_to_px: int = 0) -> list[GrowthCost]:
    """Measure the denoiser and its twin at every side, in pixels; times only up to `timed_up_to_px`."""
    config = denoiser(size)
    with torch.device("meta"):
        counted = [LinearDiT(config), make_softmax_twin(config)]
    timed = [LinearDiT(config), make_softmax_twin(config)] if timed_up_to_px >= min(sides_px) else []
    rows = []
    for side_px in sides_px:
        linear, softmax = (count_macs(_make_step(model, side_px, torch.device("meta"))) for model in counted)
        seconds: list[float | None] = [None, None]
        if side_px <= timed_up_to_px:
            seconds = [_measure_seconds(_make_step(model, side_px, torch.device("cpu")))[1] for model in timed]
        rows.append(
            GrowthCost(
                side_px=side_px,
                linear_macs=linear,
                softmax_macs=softmax,
                linear_s=seconds[0],
                softmax_s=seconds[1],
            )
        )
    return rows


class SoftmaxAttention(LinearAttention):
    """The same layers with the usual attention between them. Shape: (B, N, D) -> same."""

    def forward(self, x: Tensor) -> Tensor:
        """Attend with softmax. Shape: (B, N, D) -> same."""
        query, key, value = (
            layer(x).unflatten(2, (self.heads, -1)).transpose(1, 2) for layer in (self.query, self.key, self.value)
        )
        mixed = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        answer: Tensor = self.project(mixed)
        return answer


def make_softmax_twin(config: LinearDiTConfig) -> LinearDiT:
    """Return a denoiser with as many parameters with softmax attention."""
    twin = LinearDiT(config)
    for block in twin.blocks:
        block.attention = SoftmaxAttention(config.width, config.self_heads)
    return twin


def _make_step(model: LinearDiT, side_px: int, device: torch.device) -> Callable[[], object]:
    side = side_px // STRIDE_PX
    channels = model.config.latent_channels + model.config.condition_channels
    latents, sigma = torch.zeros(1, channels, side, side, device=device), torch.zeros(1, device=device)
    values = torch.zeros(1, TOKENS, model.config.token_channels, device=device)
    tokens = Tokens(values, torch.ones(1, TOKENS, dtype=torch.bool, device=device))
    return lambda: model(latents, sigma, tokens)


def _measure_seconds(ask: Callable[[], object]) -> tuple[float, float]:
    """Measure the second call: seconds on the clock and of the processor."""
    with torch.no_grad():
        ask()
        began = time.perf_counter(), time.process_time()
        ask()
    return time.perf_counter() - began[0], time.process_time() - began[1]


def _restore(
    answer: Connection,
    size: GlowSize,
    height: int,
    width: int,
    steps: int,
    dtype: torch.dtype,
    device: str,
    threads: int,
) -> None:
    """Send the seconds of a restoration, twice, and the bytes that it took on an accelerator or None."""
    torch.set_num_threads(threads)
    with torch.device("meta"):
        network, decoder = GlowDeblur(glow(size)), build_decoder(size)
        restorer = GlowRestorer(network, decoder, Sampling(steps=steps)).to(dtype).eval()
    restorer.to_empty(device=device)
    for value in restorer.state_dict().values():
        value.zero_()
    blurry = torch.rand(1, 3, height, width, device=device)

    def restore() -> None:
        with torch.autocast(torch.device(device).type, dtype, enabled=dtype is not torch.float32):
            restorer(blurry).sum().item()

    seconds, processor_s = _measure_seconds(restore)
    taken = torch.cuda.max_memory_allocated() if torch.device(device).type == "cuda" else None
    answer.send((seconds, processor_s, taken))


def _measure_peak_memory(process: Any) -> int:
    """Return the peak memory of a process in bytes, sampled until it ends."""
    peak = 0
    watched = psutil.Process(process.pid)
    while process.is_alive():
        try:
            peak = max(peak, watched.memory_info().rss)
        except psutil.Error:
            break
        process.join(SAMPLED_EVERY_S)
    process.join()
    return peak


def plot_growth(rows: Sequence[GrowthCost], path: Path) -> None:
    """Write a PNG; equal rows give equal bytes. Raises UnblurError without matplotlib, OSError from the disk."""
    check_plottable()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(SIDE_INCHES, SIDE_INCHES), dpi=DOTS_PER_INCH, layout="constrained")
    panel = figure.subplots()
    megapixels = [row.side_px**2 / 1e6 for row in rows]
    curves = {
        "softmax attention": [row.softmax_macs / 1e9 for row in rows],
        "linear attention": [row.linear_macs / 1e9 for row in rows],
        "in proportion to pixels": [rows[0].linear_macs / 1e9 * size / megapixels[0] for size in megapixels],
    }
    styles = ((COLOURS[1], "o-"), (COLOURS[0], "o-"), ("#888888", ":"))
    for (label, values), (colour, style) in zip(curves.items(), styles, strict=True):
        panel.plot(megapixels, values, style, color=colour, label=label, markersize=4)
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_xlabel("megapixels of the photograph")
    panel.set_ylabel("GMACs of a step of the denoiser")
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(fontsize=8)
    write_atomically(path, encode_figure(figure))


def generation_cost(
    network: tyro.conf.Positional[GlowSize] = "small",
    *,
    sizes: tuple[str, ...] = ("512x512", "1280x720"),
    steps: tuple[int, ...] = (1, 4, 20),
    sides: tuple[int, ...] = (256, 512, 1024, 2048, 4096),
    timed_up_to: int = 0,
    dtype: Literal["float32", "bfloat16"] = "float32",
    device: str = "cpu",
    csv: Annotated[Path | None, tyro.conf.arg(name="csv")] = None,
    plot: Path | None = None,
) -> int:
    """Measure GLOWDeblur without trained weights: parameters, multiplications, seconds, memory, growth with pixels.

    Args:
        network: Its size. 0.6b takes several gigabytes of memory, 1.6b twice as much and more.
        sizes: Photographs to restore, as WIDTHxHEIGHT.
        steps: Numbers of steps to restore them in, or none (--steps alone) to count without restoring.
        sides: Sides in pixels of square photographs at which the denoiser is compared with a softmax twin, or none.
        timed_up_to: The largest of these sides at which processor time is measured as well, by default none.
        dtype: Type of the weights and of the computation.
        device: What restores: cpu, cuda, ...
        csv: File for the numbers of the restorations.
        plot: PNG file for a figure of the growth with pixels; needs `pip install 'unblur[plots]'`.
    """
    shapes = [_parse_size(size) for size in sizes]
    if any(number < 1 for number in steps) or any(side < 32 or side % 32 for side in sides):
        raise UnblurError("Steps must be positive and sides multiples of 32; give others.")
    if plot is not None:
        check_plottable()
        if not sides:
            raise UnblurError("Nothing grows without --sides; give some, or leave out --plot.")
    for width, height in shapes:
        parts = _make_parts_table(measure_part_costs(network, height, width), width, height, steps)
        sys.stdout.write(parts.markdown() + "\n")
    runs = [
        measure_run_cost(network, height, width, number, getattr(torch, dtype), device)
        for width, height in shapes
        for number in steps
    ]
    if runs:
        sys.stdout.write(_make_runs_table(runs).markdown() + "\n")
    if sides:
        growth = measure_growth(network, sides, timed_up_to)
        sys.stdout.write(_make_growth_table(growth).markdown())
        if plot is not None:
            _plot(growth, plot)
    if csv is not None:
        write_output(csv, _make_full_table(runs).csv().encode())
    return 0


def _plot(growth: list[GrowthCost], path: Path) -> None:
    try:
        plot_growth(growth, path)
    except OSError as error:
        raise make_write_error(path, error) from error


def _parse_size(size: str) -> tuple[int, int]:
    """Return the width and height of "1280x720"."""
    width, _, height = size.partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise UnblurError(f"{size} is not a size of a photograph; give it as 1280x720.")
    return int(width), int(height)


def _make_parts_table(parts: list[PartCost], width: int, height: int, steps: tuple[int, ...]) -> Table:
    whole = sum(part.parameters for part in parts)
    counted = [(part.part, part.parameters, part.macs) for part in parts]
    counted += [(f"all, steps: {number}", whole, count_run_macs(parts, number)) for number in steps]
    return Table(
        header=(f"{width} x {height}", "parameters", "GMACs"),
        lines=tuple((name, f"{parameters / 1e6:.2f} M", f"{macs / 1e9:.1f}") for name, parameters, macs in counted),
    )


def _make_runs_table(runs: list[RunCost]) -> Table:
    return Table(
        header=("photograph", "steps", "seconds", "processor seconds", "peak memory, MiB"),
        lines=tuple(
            (
                f"{run.width} x {run.height}",
                str(run.steps),
                f"{run.seconds:.2f}",
                f"{run.processor_s:.2f}",
                f"{run.peak_mib:.0f}",
            )
            for run in runs
        ),
    )


def _make_growth_table(rows: list[GrowthCost]) -> Table:
    """Make the table of one step of the denoiser and of its twin with softmax."""
    return Table(
        header=("denoiser at", "GMACs", "with softmax", "processor seconds", "with softmax"),
        lines=tuple(
            (
                f"{row.side_px} x {row.side_px}",
                f"{row.linear_macs / 1e9:.2f}",
                f"{row.softmax_macs / 1e9:.2f}",
                *("" if seconds is None else f"{seconds:.3f}" for seconds in (row.linear_s, row.softmax_s)),
            )
            for row in rows
        ),
    )


def _make_full_table(runs: list[RunCost]) -> Table:
    names = tuple(field.name for field in fields(RunCost))
    return Table(header=names, lines=tuple(tuple(str(getattr(run, name)) for name in names) for run in runs))


if __name__ == "__main__":
    sys.exit(run(generation_cost))
