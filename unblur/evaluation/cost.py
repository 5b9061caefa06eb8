"""What GLOWDeblur costs: parameters, multiplications, time and memory, and how the denoiser's cost grows with pixels.

Multiplications (MACs: one multiplication and one addition) are counted from the shapes of matrix products and
convolutions alone, on networks without weights; time and memory are measured.
"""

import multiprocessing
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import psutil
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from unblur.errors import UnblurError
from unblur.models import LatentDecoder, LatentDecoderConfig
from unblur.models.dc_autoencoder import sana_autoencoder
from unblur.models.glow import GlowDeblur, GlowRestorer
from unblur.models.glow_sizes import denoiser, glow
from unblur.models.linear_dit import LinearAttention, LinearDiT, LinearDiTConfig
from unblur.models.motion_guidance import STRIDE_PX
from unblur.models.samplers import Sampling
from unblur.models.tokens import Tokens
from unblur.names import GlowSize

SAMPLED_EVERY_S = 0.01
"""How often the memory of a process is looked at."""

TOKENS = 64
"""Of a photograph, for the denoiser alone: as many as semantic guidance has regions."""


@dataclass(frozen=True, kw_only=True)
class PartCost:
    """Of one part, each time it is asked about one photograph."""

    part: str
    parameters: int
    macs: int


@dataclass(frozen=True, kw_only=True)
class RunCost:
    """Of one restoration."""

    height: int
    width: int
    steps: int
    seconds: float
    """On the clock, of a second restoration, the first being for warming up."""
    processor_s: float
    """Of the same; other work on the machine does not count, and neither does an accelerator's."""
    peak_mib: float
    """Of the whole process, libraries and weights included; on an accelerator, of what PyTorch has taken there."""


@dataclass(frozen=True, kw_only=True)
class GrowthCost:
    """Of one step of the denoiser on a square photograph."""

    side_px: int
    linear_macs: int
    softmax_macs: int
    """Of its twin with softmax in place of linear attention."""
    linear_s: float | None
    """Processor seconds; None where they were not asked for."""
    softmax_s: float | None


def part_costs(size: GlowSize, height: int, width: int) -> list[PartCost]:
    """In the order in which a photograph of `height` x `width` pixels passes them; the denoiser's is for one step.

    Raises UnblurError when diffusers is not installed.
    """
    height, width = (side + -side % STRIDE_PX for side in (height, width))
    with torch.device("meta"):
        network, decoder = GlowDeblur(glow(size)), decoder_of(size)
        blurry, sigma = torch.zeros(1, 3, height, width), torch.zeros(1)
    first = network.pre_reconstruction
    assert first is not None
    conditions = network(blurry)
    noisy = conditions.aligned
    asked: list[tuple[str, nn.Module, Callable[[], object]]] = [
        ("pre-reconstruction", first, lambda: first(blurry)),
        ("motion guidance", network.motion_guidance, lambda: network.motion_guidance(blurry)),
        ("semantic guidance", network.semantic_guidance, lambda: network.semantic_guidance(blurry, blurry)),
        ("denoiser, a step", network.denoiser, lambda: network.velocity(noisy, sigma, conditions)),
        ("decoder", decoder, lambda: decoder(noisy)),
    ]
    return [PartCost(part=name, parameters=parameters_of(part), macs=macs_of(ask)) for name, part, ask in asked]


def decoder_of(size: GlowSize) -> nn.Module:
    """Without weights: ours for the small network, for the others that of SANA's autoencoder.

    Raises UnblurError when that is wanted and diffusers is not installed.
    """
    if size == "small":
        return LatentDecoder(LatentDecoderConfig())
    return sana_autoencoder()[1]


def run_macs(parts: Sequence[PartCost], steps: int) -> int:
    """Of a restoration in `steps` steps."""
    return sum(part.macs * (steps if part.part.startswith("denoiser") else 1) for part in parts)


def run_cost(
    size: GlowSize, height: int, width: int, steps: int, dtype: torch.dtype = torch.float32, device: str = "cpu"
) -> RunCost:
    """A photograph of noise restored, in a process of its own, with weights of zero: time does not depend on them.

    Raises UnblurError when that process ends without an answer, for want of memory for example.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    arguments = (there, size, height, width, steps, dtype, device, torch.get_num_threads())
    process = context.Process(target=_restore, args=arguments)
    process.start()
    there.close()
    peak = _peak_memory(process)
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


def growth_costs(size: GlowSize, sides_px: Sequence[int], timed_up_to_px: int = 0) -> list[GrowthCost]:
    """The denoiser against its twin at every side, in pixels; times only up to `timed_up_to_px`."""
    config = denoiser(size)
    with torch.device("meta"):
        counted = [LinearDiT(config), softmax_twin(config)]
    timed = [LinearDiT(config), softmax_twin(config)] if timed_up_to_px >= min(sides_px) else []
    rows = []
    for side_px in sides_px:
        linear, softmax = (macs_of(_step(model, side_px, torch.device("meta"))) for model in counted)
        seconds: list[float | None] = [None, None]
        if side_px <= timed_up_to_px:
            seconds = [_seconds(_step(model, side_px, torch.device("cpu")))[1] for model in timed]
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
        query, key, value = (
            layer(x).unflatten(2, (self.heads, -1)).transpose(1, 2) for layer in (self.query, self.key, self.value)
        )
        heard = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        answer: Tensor = self.project(heard)
        return answer


def softmax_twin(config: LinearDiTConfig) -> LinearDiT:
    """A denoiser with as many parameters whose places attend to each other by softmax."""
    twin = LinearDiT(config)
    for block in twin.blocks:
        block.attention = SoftmaxAttention(config.width, config.self_heads)
    return twin


def parameters_of(module: nn.Module) -> int:
    """How many numbers a module has learnt or will learn."""
    return sum(parameter.numel() for parameter in module.parameters())


def macs_of(ask: Callable[[], object]) -> int:
    """Multiplications of matrix products, convolutions and attention in what `ask` does."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        ask()
    return int(counter.get_total_flops()) // 2


def _step(model: LinearDiT, side_px: int, device: torch.device) -> Callable[[], object]:
    side = side_px // STRIDE_PX
    channels = model.config.latent_channels + model.config.condition_channels
    latents, sigma = torch.zeros(1, channels, side, side, device=device), torch.zeros(1, device=device)
    values = torch.zeros(1, TOKENS, model.config.token_channels, device=device)
    tokens = Tokens(values, torch.ones(1, TOKENS, dtype=torch.bool, device=device))
    return lambda: model(latents, sigma, tokens)


def _seconds(ask: Callable[[], object]) -> tuple[float, float]:
    """On the clock and of the processor, the second time."""
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
    """Sends the seconds of a restoration, twice, and the bytes that it took on an accelerator or None."""
    torch.set_num_threads(threads)
    with torch.device("meta"):
        network, decoder = GlowDeblur(glow(size)), decoder_of(size)
        restorer = GlowRestorer(network, decoder, Sampling(steps=steps)).to(dtype).eval()
    restorer.to_empty(device=device)
    for value in restorer.state_dict().values():
        value.zero_()
    blurry = torch.rand(1, 3, height, width, device=device)

    def restore() -> None:
        with torch.autocast(torch.device(device).type, dtype, enabled=dtype is not torch.float32):
            restorer(blurry).sum().item()

    seconds, processor_s = _seconds(restore)
    taken = torch.cuda.max_memory_allocated() if torch.device(device).type == "cuda" else None
    answer.send((seconds, processor_s, taken))


def _peak_memory(process: Any) -> int:
    """Bytes that a process has held at most, seen by looking often until it ends."""
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
