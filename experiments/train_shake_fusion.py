"""Train the fusion network on examples of `experiments.shake_examples`, deconvolved with kernels as they are estimated.

`python -m experiments.train_shake_fusion FOLDER... --output CHECKPOINT`, after `experiments.shake_kernels` for each
folder; a folder that is given twice counts twice. The examples should not be those that the kernel estimator was
trained on: its kernels would be better than they are on photographs. Some examples get the true kernel, some that of
another example, and some are sharp photographs with the kernel of an example, so that the network meets right and wrong
kernels.
"""

import math
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import tyro
from numpy.typing import NDArray
from torch import Tensor, nn

from experiments.harness import run
from experiments.shake_examples import PATCH_PX, ShakeExamples, open_examples, to_image
from experiments.shake_kernels import EstimatedKernels, open_kernels
from unblur.checkpoints.folder import load_checkpoint, save_checkpoint
from unblur.datasets.orientation import apply_dihedral
from unblur.deconvolution import CANDIDATES, deconvolve_candidates, make_single_kernel_path
from unblur.deconvolution.clipped_light import choose_clipping_level
from unblur.deconvolution.kernel import clean_kernel, measure_extent_px
from unblur.deconvolution.noise import estimate_noise
from unblur.models import PlainUNetConfig, ShakeFusion, ShakeFusionConfig
from unblur.photos.color import linear_to_srgb, luminance, srgb_to_linear
from unblur.restoration.device import has_fast_bfloat16
from unblur.seeds import make_generator, seed_for

TRUE, WRONG, SHARP = 0.35, 0.08, 0.04
"""Shares of the examples with the true kernel, with another example's, and of sharp photographs."""

LARGEST_TRUE_ERROR = 0.25
"""The expected error that is given with true kernels is drawn between 0 and this: the estimator is never certain."""

WARMUP_STEPS, EMA_DECAY, LOSS_FLOOR = 100, 0.995, 1e-4

BACKBONE = PlainUNetConfig(channels=(48, 64, 96), blocks=(1, 1, 1), stem_stride=2)

CARD = """---
license: apache-2.0
tags: [image-restoration, deblurring]
---
# unblur shake fusion

Joins the bundled network's restoration of a photograph with its deconvolutions. Trained on {examples} simulated
examples of `experiments.shake_examples` for {steps} steps of {batch} patches of {patch} px, caution {caution}, seed
{seed}. Mean PSNR of {held_out} held-out examples in dB: blurry {blurry:.2f}, network alone {restored:.2f}, best single
deconvolution {deconvolved:.2f}, fused {fused:.2f}.
"""


@dataclass(frozen=True, kw_only=True)
class Example:
    """One row of a folder of examples, with the kernel that it is deconvolved with."""

    images: ShakeExamples
    row: int
    kernel: NDArray[np.float32]
    """(65, 65)."""
    error: float
    sharp: bool
    """Whether the sharp photograph stands for the blurry one."""

    @property
    def length_px(self) -> float:
        """Length of the kernel."""
        return measure_extent_px(torch.from_numpy(self.kernel))

    def stack(self) -> Tensor:
        """Return the blurry, restored and sharp image, (3, 3, P, P) sRGB in [0, 1]."""
        sharp = to_image(self.images.sharp[self.row])
        if self.sharp:
            return torch.stack([sharp, sharp, sharp])
        return torch.stack([to_image(self.images.blurry[self.row]), to_image(self.images.restored[self.row]), sharp])


def train(
    examples: tyro.conf.Positional[tuple[Path, ...]],
    *,
    output: Path,
    start: Path | None = None,
    steps: int = 4000,
    batch: int = 8,
    patch: int = 160,
    held_out: int = 40,
    largest: int | None = None,
    peak_rate: float = 1e-3,
    caution: float = 0.0,
    seed: int = 1,
    threads: int = 2,
) -> int:
    """Train the fusion network.

    Args:
        examples: Folders of examples with estimated kernels.
        output: Folder of the checkpoint.
        start: Checkpoint to begin with, instead of the network's restoration unchanged.
        steps: Updates.
        batch: Patches of each update.
        patch: Side of the patches in pixels, a multiple of 32.
        held_out: How many of the first examples of each folder are left out and measured.
        largest: At most so many examples of each folder.
        peak_rate: Learning rate after the warm-up.
        caution: Additional weight of each dB that a fused patch lies below the network's own restoration of it. Without
            it, a large gain on one photograph pays for a loss on another.
        seed: Names everything that is random.
        threads: Processor threads.
    """
    torch.set_num_threads(threads)
    opened = [(open_examples(folder), open_kernels(folder)) for folder in examples]
    tests = [[_make_estimated_example(one, found, row) for row in range(held_out)] for one, found in opened]
    rows = [
        (one, found, row) for one, found in opened for row in range(held_out, min(found.finished, largest or 10**9))
    ]
    chosen = [_choose_kernel(rows, number, seed) for number in range(len(rows))]
    torch.manual_seed(seed_for(seed, "weights"))
    config = ShakeFusionConfig(backbone=BACKBONE)
    network = ShakeFusion(config)
    if start is not None:
        network.load_state_dict(load_checkpoint(start).model.state_dict())
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(network.parameters(), betas=(0.9, 0.95), weight_decay=1e-3)
    averaged = torch.optim.swa_utils.AveragedModel(
        network,
        multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(EMA_DECAY),  # type: ignore[no-untyped-call]
    )
    native = has_fast_bfloat16(torch.device("cpu"))
    with tempfile.TemporaryDirectory(dir=output.parent) as scratch:
        deconvolved = _deconvolve(chosen, Path(scratch) / "training.npy", threads)
        held = [example for group in tests for example in group]
        held_deconvolved = _deconvolve(held, Path(scratch) / "held_out.npy", threads)
        for step in range(steps):
            rate = peak_rate * min(1, step / WARMUP_STEPS) * (0.5 + 0.5 * math.cos(math.pi * step / steps))
            for group in optimizer.param_groups:
                group["lr"] = rate
            generator = make_generator(seed, "batch", step)
            which = torch.randint(len(chosen), (batch,), generator=generator).tolist()
            images = torch.stack([_cut_patch(chosen[one], deconvolved[one], patch, generator) for one in which])
            blurry, restored, sharp = images[:, :3].unbind(1)
            error = torch.tensor([chosen[one].error for one in which])
            length_px = torch.tensor([chosen[one].length_px for one in which])
            with torch.autocast("cpu", torch.bfloat16, enabled=native):
                fused = network(blurry, restored, images[:, 3:], error, length_px)
            losses, baseline = _compute_image_losses(fused, sharp), _compute_image_losses(restored, sharp)
            loss, shortfall = losses.mean(), F.relu(losses - baseline).mean()
            optimizer.zero_grad()
            torch.autograd.backward(loss + caution * shortfall)
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            averaged.update_parameters(network)
            if step % 50 == 49:
                gain = float(baseline.mean()) - float(loss.detach())
                sys.stderr.write(f"step {step + 1}: {gain:+.2f} dB over the network alone\n")
            if step % 500 == 499 or step == steps - 1:
                # Also on the way, so that an interrupted run leaves its latest weights.
                final = averaged.module.eval()
                scores = _measure(final, held, held_deconvolved)
                for folder, first in zip(examples, range(0, len(held), held_out), strict=True):
                    part = slice(first, first + held_out)
                    sys.stdout.write(f"step {step + 1}, {folder.name}: {_format_line(_average(scores[part]))}\n")
                sys.stdout.flush()
                numbers = {
                    "examples": len(chosen),
                    "steps": step + 1,
                    "batch": batch,
                    "patch": patch,
                    "caution": caution,
                    "seed": seed,
                }
                card = CARD.format(held_out=len(held), **numbers, **_average(scores))
                save_checkpoint(output, final, config, train_patch_px=patch, card=card, dtype=torch.int8)
                network.train()
    return 0


def _make_estimated_example(images: ShakeExamples, found: EstimatedKernels, row: int) -> Example:
    kernel = np.array(found.kernel[row])
    return Example(images=images, row=row, kernel=kernel, error=float(found.error[row]), sharp=False)


def _choose_kernel(rows: list[tuple[ShakeExamples, EstimatedKernels, int]], number: int, seed: int) -> Example:
    """Return the example, with the kernel that it is trained with."""
    generator = make_generator(seed, "kernel", number)
    draw = float(torch.rand((), generator=generator))
    images, found, row = rows[number]
    if draw < TRUE and not images.kernel[row].any():
        return _make_estimated_example(images, found, row)
    if draw < TRUE:
        kernel = clean_kernel(torch.from_numpy(np.array(images.kernel[row])), 0.01).numpy()
        error = LARGEST_TRUE_ERROR * float(torch.rand((), generator=generator))
        return Example(images=images, row=row, kernel=kernel, error=error, sharp=False)
    _, other, its_row = rows[int(torch.randint(len(rows), (), generator=generator))]
    wrong = _make_estimated_example(images, other, its_row)
    if draw < TRUE + WRONG + SHARP:
        sharp = draw >= TRUE + WRONG
        return Example(images=images, row=row, kernel=wrong.kernel, error=wrong.error, sharp=sharp)
    return _make_estimated_example(images, found, row)


def _deconvolve(examples: list[Example], path: Path, threads: int) -> NDArray[np.uint8]:
    """Return the deconvolutions of examples, written into a file. (N, CANDIDATES, 3, P, P) sRGB."""
    shape = len(examples), CANDIDATES, 3, PATCH_PX, PATCH_PX
    images: NDArray[np.uint8] = np.lib.format.open_memmap(path, "w+", np.uint8, shape)

    def fill(number: int) -> None:
        example = examples[number]
        light = srgb_to_linear(example.stack()[0])
        noise = estimate_noise(luminance(light))
        path = make_single_kernel_path(_crop(torch.from_numpy(example.kernel)))
        level = choose_clipping_level(light)
        sharp = linear_to_srgb(deconvolve_candidates(light, path, noise, clipping_level=level).clamp(0, 1))
        images[number] = (sharp * 255).round().byte().numpy()

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(fill, range(len(examples))))
    return images


def _crop(kernel: Tensor) -> Tensor:
    """Return the kernel without the zeros around it, with an odd side."""
    side = len(kernel)
    used = kernel.nonzero()
    margin = int(min(used.min(), side - 1 - used.max()))
    return kernel[margin : side - margin, margin : side - margin]


def _cut_patch(example: Example, deconvolved: NDArray[np.uint8], patch: int, generator: torch.Generator) -> Tensor:
    """Cut and turn the blurry, restored, sharp and deconvolved image alike, (3 + CANDIDATES, 3, patch, patch)."""
    room = PATCH_PX - patch
    top, left = (int(torch.randint(room // 4 + 1, (), generator=generator)) * 4 for _ in range(2))
    orientation = int(torch.randint(8, (), generator=generator))
    part = slice(top, top + patch), slice(left, left + patch)
    sharpened = torch.from_numpy(deconvolved[(..., *part)].astype(np.float32)) / 255
    return apply_dihedral(torch.cat([example.stack()[(..., *part)], sharpened]), orientation)


def _compute_image_losses(images: Tensor, sharp: Tensor) -> Tensor:
    """Return the negative PSNR of each image of a batch, in dB. (B, 3, H, W) -> (B,)."""
    errors = (images.float() - sharp).square().mean(dim=(1, 2, 3))
    return 10 * torch.log10(errors + LOSS_FLOOR)


@torch.inference_mode()
def _measure(network: nn.Module, examples: list[Example], deconvolved: NDArray[np.uint8]) -> list[dict[str, float]]:
    """Return the PSNR of each stage over whole examples, in dB."""
    scores = []
    for example, sharpened in zip(examples, deconvolved, strict=True):
        blurry, restored, sharp = (image[None] for image in example.stack())
        levels = torch.from_numpy(sharpened.astype(np.float32))[None] / 255
        context = torch.tensor([example.error]), torch.tensor([example.length_px])
        fused = network(blurry, restored, levels, *context)
        own = {"blurry": blurry, "restored": restored, "fused": fused}
        errors = {name: float((image.clamp(0, 1) - sharp).square().mean()) for name, image in own.items()}
        errors["deconvolved"] = min(float((level - sharp).square().mean()) for level in levels.unbind(1))
        scores.append({name: -10 * math.log10(max(error, 1e-10)) for name, error in errors.items()})
    return scores


def _average(scores: list[dict[str, float]]) -> dict[str, float]:
    return {name: sum(score[name] for score in scores) / len(scores) for name in scores[0]}


def _format_line(means: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in means.items())


if __name__ == "__main__":
    sys.exit(run(train))
