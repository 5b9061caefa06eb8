"""Train the fusion network on examples of `experiments.shake_examples`, deconvolved with kernels as they are estimated.

`python -m experiments.train_shake_fusion FOLDER... --estimator CHECKPOINT --output CHECKPOINT`. The examples must not
be those that the kernel estimator was trained on: its kernels would be better than they are on photographs. A tenth
of the examples are deconvolved with the kernel of another one, so that the network also meets wrong kernels.
"""

import math
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from torch import Tensor, nn

from experiments.harness import run
from experiments.shake_examples import ShakeExamples, as_image, open_examples
from unblur.checkpoints.folder import load_checkpoint, save_checkpoint
from unblur.datasets.simulated import turned
from unblur.deconvolution import Deconvolution, deconvolve, single_kernel_path
from unblur.deconvolution.kernel import extent_px
from unblur.deconvolution.noise import estimate_noise
from unblur.errors import UnblurError
from unblur.models import KernelEstimator, PlainUNetConfig, ShakeFusion, ShakeFusionConfig
from unblur.photos.color import linear_to_srgb, srgb_to_linear
from unblur.restoration.device import has_fast_bfloat16
from unblur.restoration.shake import chosen_kernel, luminance
from unblur.seeds import generator_for, seed_for
from unblur.training.losses import psnr_loss

Pixels = NDArray[np.uint8]
"""(3, P, P)."""

WRONG = 0.1
PEAK_RATE, WARMUP_STEPS, EMA_DECAY, LOSS_FLOOR = 6e-4, 50, 0.995, 1e-4

BACKBONE = PlainUNetConfig(channels=(96, 160, 256), blocks=(2, 2, 2), stem_stride=4)

CARD = """---
license: apache-2.0
tags: [image-restoration, deblurring]
---
# unblur shake fusion

Joins the bundled network's restoration of a photograph with its deconvolution. Trained on {examples} simulated
examples of `experiments.shake_examples` for {steps} steps of {batch} patches of {patch} px, seed {seed}. Mean PSNR of
{held_out} held-out examples in dB: blurry {blurry:.2f}, network alone {restored:.2f}, deconvolved {deconvolved:.2f},
fused {fused:.2f}.
"""


@dataclass(frozen=True, kw_only=True)
class Deconvolved:
    """Deconvolutions of examples, and the error and length of their kernels."""

    images: Tensor
    """(N, 3, P, P) sRGB, uint8."""
    error: Tensor
    """(N,): the expected relative error of the kernel."""
    length_px: Tensor
    """(N,)."""


def train(
    examples: tyro.conf.Positional[tuple[Path, ...]],
    *,
    estimator: Path,
    output: Path,
    start: Path | None = None,
    steps: int = 2000,
    batch: int = 6,
    patch: int = 192,
    held_out: int = 60,
    largest: int | None = None,
    seed: int = 1,
    threads: int = 2,
) -> int:
    """Train the fusion network.

    Args:
        examples: Folders of examples that the kernel estimator has not seen.
        estimator: Folder of the kernel estimator.
        output: Folder of the checkpoint.
        start: Checkpoint to begin with, instead of the network's restoration unchanged.
        steps: Updates.
        batch: Patches of each update.
        patch: Side of the patches in pixels, a multiple of 32.
        held_out: How many of the first examples are left out and measured at the end.
        largest: At most so many examples of each folder.
        seed: Names everything that is random.
        threads: Processor threads.
    """
    torch.set_num_threads(threads)
    opened = [open_examples(folder) for folder in examples]
    rows = [(one, index) for one in opened for index in range(min(one.finished, largest or one.finished))]
    found = _deconvolved(rows, estimator, seed, threads)
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
    for step in range(steps):
        rate = PEAK_RATE * min(1, step / WARMUP_STEPS) * (0.5 + 0.5 * math.cos(math.pi * step / steps))
        for group in optimizer.param_groups:
            group["lr"] = rate
        images, context = _batch(rows, found, step, batch=batch, patch=patch, held_out=held_out, seed=seed)
        blurry, sharp, restored, deconvolved = (image.contiguous(memory_format=torch.channels_last) for image in images)
        with torch.autocast("cpu", torch.bfloat16, enabled=native):
            fused = network(blurry, restored, deconvolved, *context)
        loss = psnr_loss(fused.float(), sharp, LOSS_FLOOR)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        averaged.update_parameters(network)
        if step % 50 == 49:
            gain = float(psnr_loss(restored, sharp, LOSS_FLOOR)) - float(loss.detach())
            sys.stderr.write(f"step {step + 1}: {gain:+.2f} dB over the network alone\n")
        if step % 250 == 249 or step == steps - 1:
            # Also on the way, so that an interrupted run leaves its latest weights.
            final = averaged.module.eval()
            scores = _measured(final, rows[:held_out], found)
            card = CARD.format(
                examples=len(rows) - held_out,
                steps=step + 1,
                batch=batch,
                patch=patch,
                seed=seed,
                held_out=held_out,
                **scores,
            )
            save_checkpoint(output, final, config, train_patch_px=patch, card=card)
            sys.stdout.write(
                f"step {step + 1}: " + ", ".join(f"{name} {value:.2f}" for name, value in scores.items()) + "\n"
            )
            sys.stdout.flush()
            network.train()
    return 0


def _deconvolved(rows: list[tuple[ShakeExamples, int]], estimator: Path, seed: int, processes: int) -> Deconvolved:
    jobs = [(one.blurry[index], one.restored[index], one.edges[index], estimator) for one, index in rows]
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        kernels, errors = zip(*pool.map(_estimated, jobs, chunksize=8), strict=True)
        given = []
        for number, (one, index) in enumerate(rows):
            generator = generator_for(seed, "wrong", number)
            wrong = float(torch.rand((), generator=generator)) < WRONG
            which = int(torch.randint(len(rows), (), generator=generator)) if wrong else number
            given.append((one.blurry[index], kernels[which]))
        images = [torch.from_numpy(image) for image in pool.map(_sharpened, given, chunksize=8)]
    lengths = [extent_px(torch.from_numpy(kernel)) for kernel in kernels]
    return Deconvolved(images=torch.stack(images), error=torch.tensor(errors), length_px=torch.tensor(lengths))


def _estimated(job: tuple[Pixels, Pixels, NDArray[np.float32], Path]) -> tuple[NDArray[np.float32], float]:
    """The kernel of an example and its expected error, as they are estimated on photographs."""
    blurry, restored, edges, estimator = job
    torch.set_num_threads(1)
    network = load_checkpoint(estimator).model
    if not isinstance(network, KernelEstimator):
        raise UnblurError(f"{estimator} holds no kernel estimator; give the folder of one.")
    image = as_image(blurry)
    with torch.inference_mode():
        kernel, error = chosen_kernel(
            network, image, as_image(restored), torch.from_numpy(edges.copy()), luminance(srgb_to_linear(image))
        )
    return kernel.numpy(), min(1.0, error)


def _sharpened(job: tuple[Pixels, NDArray[np.float32]]) -> Pixels:
    """The deconvolution of an example, (3, P, P) sRGB."""
    blurry, kernel = job
    light = srgb_to_linear(as_image(blurry))
    settings = Deconvolution(noise=estimate_noise(luminance(light)))
    sharp = deconvolve(light, single_kernel_path(torch.from_numpy(kernel)), settings)
    pixels: Pixels = (linear_to_srgb(sharp.clamp(0, 1)) * 255).round().byte().numpy()
    return pixels


def _batch(
    rows: list[tuple[ShakeExamples, int]],
    found: Deconvolved,
    step: int,
    *,
    batch: int,
    patch: int,
    held_out: int,
    seed: int,
) -> tuple[list[Tensor], tuple[Tensor, Tensor]]:
    """Blurry, sharp, restored and deconvolved patches, (B, 3, patch, patch), and the kernels' error and length."""
    generator = generator_for(seed, "batch", step)
    which = torch.randint(held_out, len(rows), (batch,), generator=generator).tolist()
    patches = []
    for number in which:
        one, index = rows[number]
        room = one.blurry.shape[-1] - patch
        top, left = (int(torch.randint(room // 4 + 1, (), generator=generator)) * 4 for _ in range(2))
        orientation = int(torch.randint(8, (), generator=generator))
        whole = [as_image(images[index]) for images in (one.blurry, one.sharp, one.restored)]
        whole.append(found.images[number].float() / 255)
        cut = torch.stack(whole)[..., top : top + patch, left : left + patch]
        patches.append(turned(cut, orientation))
    images = list(torch.stack(patches).unbind(1))
    return images, (found.error[which], found.length_px[which])


@torch.inference_mode()
def _measured(network: nn.Module, rows: list[tuple[ShakeExamples, int]], found: Deconvolved) -> dict[str, float]:
    """Mean PSNR of each stage over whole examples, in dB."""
    scores = {"blurry": 0.0, "restored": 0.0, "deconvolved": 0.0, "fused": 0.0}
    for number, (one, index) in enumerate(rows):
        blurry, sharp, restored = (as_image(images[index])[None] for images in (one.blurry, one.sharp, one.restored))
        deconvolved = found.images[number][None].float() / 255
        fused = network(blurry, restored, deconvolved, found.error[number][None], found.length_px[number][None])
        for name, image in zip(scores, (blurry, restored, deconvolved, fused), strict=True):
            scores[name] += -10 * math.log10(float((image.clamp(0, 1) - sharp).square().mean())) / len(rows)
    return scores


if __name__ == "__main__":
    sys.exit(run(train))
