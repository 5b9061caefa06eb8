"""Measure the speed of one core: arithmetic, networks, simulation, and the parts of a training step, as ratios.

The bound of arithmetic is the fastest convolution and the fastest matrix product among several shapes. A step of
training costs three times the multiply-accumulates (MACs) of the forward pass: the pass itself, the gradient of its
input and that of its weights. The bound of simulation is the time that bilinear sampling alone takes, with each layer
sampled once for each pose; faster methods avoid sampling, as convolution does where blur is uniform. Everything is
measured in one run, in processor seconds of one thread, so that other work on the machine does not count.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unblur.blur import Camera, Exposure, render, sample_exposure
from unblur.datasets import PhotoFolder, SimulatedPairs
from unblur.datasets.simulated import PatchSampling
from unblur.models import RestorerConfig, build
from unblur.models.operations import count_macs
from unblur.names import ShakeChoice
from unblur.restoration.loading import load
from unblur.seeds import seed_for
from unblur.training.losses import psnr_loss
from unblur.training.objectives.build import build_objective
from unblur.training.recipe import Recipe
from unblur.training.step import take_step

PRODUCT_SIDES = (512, 1024, 2048)
"""Rows and columns of the matrices that are multiplied."""

CONVOLUTION_SHAPES = ((64, 256), (128, 128), (256, 64), (512, 32))
"""(channels, side in pixels) of the 3x3 convolutions."""

_PASSES_OF_A_STEP = 3


@dataclass(frozen=True, kw_only=True)
class Bound:
    """The most that one core of this machine computes, in 1e9 MACs a second."""

    dtype: torch.dtype
    convolution_gmac_s: float
    product_gmac_s: float

    @property
    def gmac_s(self) -> float:
        """The larger of the two."""
        return max(self.convolution_gmac_s, self.product_gmac_s)


@dataclass(frozen=True, kw_only=True)
class NetworkSpeed:
    """The speed of one network in bfloat16, in processor seconds of one core."""

    gmac_per_mp: float
    """1e9 MACs to restore a megapixel."""
    training_s_per_mp: float
    """Forward pass, loss, backward pass and update, without simulation and loading."""
    training_share: float
    """Share of the bound, 0 to 1."""
    restoring_s_per_mp: float
    restoring_share: float
    """Share of the bound, 0 to 1."""


def measure_bound(dtype: torch.dtype, seconds: float = 0.3) -> Bound:
    """Measure what one thread reaches in `dtype`, about `seconds` for each shape."""
    products, convolutions = [], []
    with torch.inference_mode():
        for side in PRODUCT_SIDES:
            first, second = torch.rand(2, side, side).to(dtype).unbind(0)
            products.append(side**3 / _measure_processor_s(lambda a=first, b=second: a @ b, seconds))  # type: ignore[misc]
        for channels, side in CONVOLUTION_SHAPES:
            picture = _to_channels_last(torch.rand(1, channels, side, side).to(dtype))
            weight = _to_channels_last(torch.rand(channels, channels, 3, 3).to(dtype))
            spent_s = _measure_processor_s(lambda x=picture, w=weight: F.conv2d(x, w, padding=1), seconds)  # type: ignore[misc]
            convolutions.append(9 * channels**2 * side**2 / spent_s)
    return Bound(dtype=dtype, convolution_gmac_s=max(convolutions) / 1e9, product_gmac_s=max(products) / 1e9)


def measure_network_speed(
    config: RestorerConfig, batch: int, patch_px: int, within: Bound, side_px: int = 768, seconds: float = 2.0
) -> NetworkSpeed:
    """Train on `batch` patches and restore one photograph of `side_px`, about `seconds` each, in bfloat16."""
    model: nn.Module = build(config).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    gmac_per_mp = count_macs(lambda: model(torch.zeros(1, 3, 256, 256))) / 256**2 / 1e3
    photograph = _to_channels_last(torch.rand(1, 3, side_px, side_px))
    patches = _to_channels_last(torch.rand(batch, 3, patch_px, patch_px))
    sharp = torch.rand_like(patches)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16):
            restored = model(patches)
        psnr_loss(restored, sharp, 1e-4).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    def restore() -> None:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            model(photograph)

    training_s = _measure_processor_s(step, seconds) / (batch * patch_px**2 / 1e6)
    model.eval()
    restoring_s = _measure_processor_s(restore, seconds) / (side_px**2 / 1e6)
    return NetworkSpeed(
        gmac_per_mp=gmac_per_mp,
        training_s_per_mp=training_s,
        training_share=_PASSES_OF_A_STEP * gmac_per_mp / training_s / within.gmac_s,
        restoring_s_per_mp=restoring_s,
        restoring_share=gmac_per_mp / restoring_s / within.gmac_s,
    )


def _to_channels_last(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.contiguous(memory_format=torch.channels_last)


def _measure_processor_s(work: Callable[[], object], seconds: float) -> float:
    """Return the mean processor seconds of `work` after two calls for warming up, repeated for about `seconds`."""
    work()
    work()
    times, began = 0, time.process_time()
    while (spent := time.process_time() - began) < seconds or times == 0:
        work()
        times += 1
    return max(spent, 1e-9) / times


@dataclass(frozen=True, kw_only=True)
class SimulationSpeed:
    """The speed of simulating pairs of one size."""

    height: int
    width: int
    pairs_per_core_second: float
    share_of_bound: float
    """Time of the sampling alone over the whole time; 1 is the bound."""


@dataclass(frozen=True, kw_only=True)
class StepShares:
    """Shares of the processor time of a training step, 0 to 1; the network takes the rest."""

    simulation: float
    loading: float
    """Turning simulated pairs, stacking them to a batch and laying it out in memory as the network needs it."""


@dataclass(frozen=True, kw_only=True)
class ShakeSpeed:
    """Processor seconds of restoring one photograph."""

    alone_s: float
    """Seconds of the network alone."""
    solved_s: float
    """Seconds with its camera shake solved."""


def measure_shake_speed(photo: Tensor) -> ShakeSpeed:
    """Restore a sharp photograph, (3, H, W) sRGB uint8, that is blurred along 15 px, without and with solving."""
    line = torch.full((3, 1, 1, 15), 1 / 15)
    blurry = F.conv2d(photo[None] / 255, line, padding=(0, 7), groups=3)[0].clamp(0, 1)

    def seconds(shake: ShakeChoice) -> float:
        restorer = load(device="cpu", shake=shake, runtime="torch")
        return _read_processor_s(lambda: restorer.restore(blurry))

    return ShakeSpeed(alone_s=seconds("off"), solved_s=seconds("always"))


def measure_pair_speed(photos: PhotoFolder, camera: Camera, side_px: int, pairs: int, seed: int) -> SimulationSpeed:
    """Measure the simulation of square pairs, cut and scaled as for training."""
    simulated = SimulatedPairs(photos, camera, PatchSampling(patch_px=side_px), seed)
    exposures = [simulated.draw(index).exposure for index in range(pairs)]
    whole_s = _read_processor_s(lambda: [simulated[index] for index in range(pairs)])
    bound_s = _measure_sampling_s(exposures, side_px, side_px)
    return SimulationSpeed(
        height=side_px, width=side_px, pairs_per_core_second=pairs / whole_s, share_of_bound=bound_s / whole_s
    )


def measure_frame_speed(camera: Camera, height: int, width: int, pairs: int, seed: int) -> SimulationSpeed:
    """Measure the simulation of whole frames of video size, without reading or scaling photographs."""
    generator = torch.Generator().manual_seed(seed)
    sharp = F.interpolate(
        torch.rand(1, 3, height // 8, width // 8, generator=generator), (height, width), mode="bicubic"
    )[0].clamp(0, 1)
    exposures = [sample_exposure(camera, height, width, seed_for(seed, "frame", index)) for index in range(pairs)]
    whole_s = _read_processor_s(lambda: [render(sharp, exposure, tolerance_px=0.1) for exposure in exposures])
    bound_s = _measure_sampling_s(exposures, height, width)
    return SimulationSpeed(
        height=height, width=width, pairs_per_core_second=pairs / whole_s, share_of_bound=bound_s / whole_s
    )


def measure_step_shares(photos: PhotoFolder, recipe: Recipe, steps: int) -> StepShares:
    """Return the shares of the processor time of a training step of `recipe` on the CPU."""
    model = build(recipe.model).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    task = build_objective(recipe, photos)
    batch_size = recipe.schedule.batch

    def load() -> tuple[Tensor, ...]:
        return tuple(map(torch.stack, zip(*(task.example(index) for index in range(batch_size)), strict=True)))

    batch = load()

    def step() -> None:
        take_step(model, optimizer, task, [batch], recipe.optimization.clip_norm, precision=recipe.precision)

    step()
    step_s = _read_processor_s(step, steps) / steps
    # Its pairs are in memory now where a recipe uses them several times.
    loading_s = _read_processor_s(load, steps) / steps if recipe.data.repeats > 1 else 0.0
    once = build_objective(replace(recipe, data=replace(recipe.data, repeats=1)), photos)
    simulation_s = _read_processor_s(lambda: [once.example(index) for index in range(steps * batch_size)])
    simulation_s /= steps * recipe.data.repeats
    whole_s = step_s + loading_s + simulation_s
    return StepShares(simulation=simulation_s / whole_s, loading=loading_s / whole_s)


def _measure_sampling_s(exposures: list[Exposure], height: int, width: int) -> float:
    """Return the processor seconds of the bilinear sampling alone that `exposures` need."""
    picture = torch.rand(1, 3, height, width)
    y, x = torch.meshgrid(torch.linspace(-0.99, 0.99, height), torch.linspace(-0.99, 0.99, width), indexing="ij")
    grid = torch.stack([x, y], dim=-1)[None]
    samplings = sum(len(exposure.poses) * max(1, len(exposure.layers)) for exposure in exposures)

    def sample() -> None:
        for _ in range(samplings):
            F.grid_sample(picture, grid, padding_mode="reflection", align_corners=False)

    return _read_processor_s(sample)


def _read_processor_s(work: Callable[[], object], times: int = 1) -> float:
    began = time.process_time()
    for _ in range(times):
        work()
    return time.process_time() - began
