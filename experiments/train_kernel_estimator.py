"""Train the kernel estimator on examples of `experiments.shake_examples`.

`python -m experiments.train_kernel_estimator FOLDER... --output CHECKPOINT`. The loss is the squared error of the
kernel, smoothed over two pixels and relative to its energy, and a little cross-entropy, which has gradients far from
thin kernels. The solver's kernel is dropped from a quarter of the examples, so that the network also works without it.
"""

import math
import sys
from pathlib import Path

import torch
import tyro
from torch import Tensor, nn

from experiments.harness import run
from experiments.shake_examples import open_examples, to_image
from unblur.checkpoints.folder import save_checkpoint
from unblur.datasets.orientation import apply_dihedral
from unblur.deconvolution.kernel import smooth_kernels
from unblur.models import KernelEstimator, KernelEstimatorConfig
from unblur.photos.color import luminance, srgb_to_linear
from unblur.restoration.device import has_fast_bfloat16
from unblur.restoration.shake import build_estimator_inputs
from unblur.seeds import make_generator, seed_for

EDGES_DROPOUT = 0.25
PEAK_RATE, WARMUP_STEPS, EMA_DECAY = 1.5e-3, 50, 0.99
CROSS_ENTROPY, ERROR_PREDICTION = 0.3, 0.1
"""Weights of the loss's further terms."""

CARD = """---
license: apache-2.0
tags: [image-restoration, deblurring, blur-kernel-estimation]
---
# unblur kernel estimator

Estimates the blur kernel of camera shake from correlations of a blurry photograph with a rough restoration of it.
Trained on {examples} simulated examples of `experiments.shake_examples` for {steps} steps of {batch}, seed {seed}.
Relative squared error of {held_out} held-out examples: {error:.4f}; without the solver's kernel {without:.4f}.
Use it through `unblur.estimate_shake`. It knows camera shake only; where objects move or lenses are out of focus its
kernels are wrong, and its predicted error should say so.
"""


def compute_relative_error(kernels: Tensor, truth: Tensor) -> Tensor:
    """Return the squared error over squared norm after smoothing. (B, S, S), twice -> (B,)."""
    return smooth_kernels(kernels - truth).square().sum(dim=(1, 2)) / smooth_kernels(truth).square().sum(dim=(1, 2))


def train(
    examples: tyro.conf.Positional[tuple[Path, ...]],
    *,
    output: Path,
    steps: int = 1500,
    batch: int = 16,
    held_out: int = 100,
    seed: int = 1,
    threads: int = 2,
) -> int:
    """Train the kernel estimator.

    Args:
        examples: Folders of examples.
        output: Folder of the checkpoint.
        steps: Updates.
        batch: Examples of each update.
        held_out: How many of the first examples are left out and measured at the end.
        seed: Random seed.
        threads: Processor threads.
    """
    torch.set_num_threads(threads)
    inputs, truth, solved = _load_inputs(examples)
    torch.manual_seed(seed_for(seed, "weights"))
    config = KernelEstimatorConfig()
    network = KernelEstimator(config).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=1e-3)
    averaged = torch.optim.swa_utils.AveragedModel(
        network,
        multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(EMA_DECAY),  # type: ignore[no-untyped-call]
    )
    native = has_fast_bfloat16(torch.device("cpu"))
    for step in range(steps):
        rate = PEAK_RATE * min(1, step / WARMUP_STEPS) * (0.5 + 0.5 * math.cos(math.pi * step / steps))
        for group in optimizer.param_groups:
            group["lr"] = rate
        generator = make_generator(seed, "batch", step)
        which = torch.randint(held_out, len(truth), (batch,), generator=generator).tolist()
        orientations = torch.randint(8, (batch,), generator=generator).tolist()
        dropped = torch.rand(batch, generator=generator) < EDGES_DROPOUT
        shown = torch.stack([apply_dihedral(inputs[i].float(), o) for i, o in zip(which, orientations, strict=True)])
        kernels = torch.stack([apply_dihedral(truth[i], o) for i, o in zip(which, orientations, strict=True)])
        shown[dropped, -1] = 0
        with torch.autocast("cpu", torch.bfloat16, enabled=native):
            logs, log_errors = network(shown.contiguous(memory_format=torch.channels_last))
        errors = compute_relative_error(logs.exp(), kernels)
        divergence = (kernels * (kernels.clamp(min=1e-8).log() - logs)).sum(dim=(1, 2))
        prediction = (log_errors - (errors.detach() + 1e-4).log()).square()
        loss = (errors + CROSS_ENTROPY * divergence + ERROR_PREDICTION * prediction).mean()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        averaged.update_parameters(network)
        if step % 100 == 99:
            sys.stderr.write(f"step {step + 1}: error {float(errors.detach().mean()):.4f}\n")
    final = averaged.module.eval()
    error, without = _measure(final, inputs, truth, solved, held_out)
    card = CARD.format(
        examples=len(truth) - held_out,
        steps=steps,
        batch=batch,
        seed=seed,
        held_out=held_out,
        error=error,
        without=without,
    )
    save_checkpoint(output, final, config, train_patch_px=256, card=card)
    sys.stdout.write(f"held-out error {error:.4f}, without the solver's kernel {without:.4f}\n")
    return 0


def _load_inputs(folders: tuple[Path, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Load inputs (N, 9, 65, 65) in float16, true kernels (N, 65, 65), and whether the solver has a kernel (N,)."""
    inputs, truth = [], []
    for folder in folders:
        examples = open_examples(folder)
        for index in range(len(examples.kernel)):
            if not examples.kernel[index].any():
                break
            images = (examples.blurry[index], examples.restored[index])
            light, rough = (luminance(srgb_to_linear(to_image(image))) for image in images)
            edges = torch.from_numpy(examples.edges[index].copy())
            found = build_estimator_inputs(light, rough, edges)
            inputs.append(found.half())
            truth.append(torch.from_numpy(examples.kernel[index].copy()))
    stacked = torch.stack(inputs)
    return stacked, torch.stack(truth), stacked[:, -1].abs().amax(dim=(1, 2)) > 0


@torch.inference_mode()
def _measure(network: nn.Module, inputs: Tensor, truth: Tensor, solved: Tensor, held_out: int) -> tuple[float, float]:
    """Return the mean error of the held-out examples, with the solver's kernel where there is one, and without any."""
    shown = inputs[:held_out].float()
    with_edges = compute_relative_error(network(shown)[0].exp(), truth[:held_out])[solved[:held_out]].mean()
    shown[:, -1] = 0
    return float(with_edges), float(compute_relative_error(network(shown)[0].exp(), truth[:held_out]).mean())


if __name__ == "__main__":
    sys.exit(run(train))
