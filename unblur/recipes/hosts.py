"""The hosts of the semantic prior with the losses and schedules of their authors, each with and without the prior.

Data are not theirs: all that the simulator knows, where they had GoPro's 2,103 pairs. Where they count epochs, an epoch
is as many steps as these pairs made. Adam without weight decay is AdamW with none. Settings are facts of the authors'
published programs: chosj95/MIMO-UNet, swz30/MPRNet, megvii-research/NAFNet, swz30/Restormer. The stored weights are
those trained, not their moving average. Sized for accelerators and days; `--steps` shortens a run
with its schedule.
"""

import math
from dataclasses import replace

from unblur.checkpoints.published import get_published
from unblur.datasets.simulated import PatchSampling
from unblur.models import HostConfig, PriorConfig, UNetConfig
from unblur.names import PublishedName
from unblur.training.learning_rate import ConstantThenCosine, Halving
from unblur.training.objective_settings import RestorationTraining
from unblur.training.recipe import Optimization, PatchStage, Recipe, Schedule, TrainingData
from unblur.training.restoration_loss import CharbonnierLoss, EdgeLoss, FrequencyLoss, L1Loss

GOPRO_PAIRS = 2103
NEVER_CLIPPED = 1e6
"""Gradient norm that is never reached, because the authors do not clip."""

RESTORMER_STEPS = ((92, 128, 8), (64, 160, 5), (48, 192, 4), (36, 256, 2), (36, 320, 1), (24, 384, 1))
"""Thousands of steps, side of the patches, and batch on each of the authors' eight accelerators."""


def unet(*, with_prior: bool) -> Recipe:
    """Return a UNet trained our way: the prior's paper names one and not how it was trained.

    The loss is NAFNet's, which weighs nothing against anything; steps and batch are those of NAFNet-32 at half the
    batch; the rest is what `faithful` was trained with.
    """
    return Recipe(
        name=_format_name("unet", with_prior),
        model=_add_prior(UNetConfig(), with_prior),
        data=TrainingData(sampling=PatchSampling(patch_px=256), repeats=4, repeat_gap=32),
        schedule=Schedule(steps=200_000, batch=16, peak_learning_rate=1e-3, warmup_steps=1000),
    )


def mimo_unet(*, plus: bool, with_prior: bool) -> Recipe:
    """Return MIMO-UNet: L1 and a tenth of the frequency loss at three scales; 3000 epochs, halved every 500."""
    return Recipe(
        name=_format_name("mimo-unet+" if plus else "mimo-unet", with_prior),
        model=_add_prior(get_published("mimo-unet+" if plus else "mimo-unet").config, with_prior),
        data=TrainingData(sampling=PatchSampling(patch_px=256), repeats=4, repeat_gap=32),
        objective=RestorationTraining(losses=(L1Loss(), FrequencyLoss(weight=0.1))),
        optimization=Optimization(weight_decay=0.0, betas=(0.9, 0.999), clip_norm=NEVER_CLIPPED, ema_decay=0.0),
        schedule=Schedule(
            steps=_convert_epochs(epochs=3000, batch=4),
            batch=4,
            peak_learning_rate=1e-4,
            warmup_steps=0,
            decay=Halving(times=5),
        ),
    )


def mprnet(*, with_prior: bool) -> Recipe:
    """Return MPRNet: Charbonnier and a twentieth of the edge loss at three stages; 3000 epochs, three of warmup."""
    return Recipe(
        name=_format_name("mprnet", with_prior),
        model=_add_prior(get_published("mprnet").config, with_prior),
        data=TrainingData(sampling=PatchSampling(patch_px=256), repeats=4, repeat_gap=32),
        objective=RestorationTraining(losses=(CharbonnierLoss(epsilon=1e-3), EdgeLoss(weight=0.05, epsilon=1e-3))),
        optimization=Optimization(weight_decay=0.0, betas=(0.9, 0.999), clip_norm=NEVER_CLIPPED, ema_decay=0.0),
        schedule=Schedule(
            steps=_convert_epochs(epochs=3000, batch=16),
            batch=16,
            peak_learning_rate=2e-4,
            final_learning_rate=1e-6,
            warmup_steps=_convert_epochs(epochs=3, batch=16),
        ),
    )


def nafnet(*, with_prior: bool) -> Recipe:
    """Return NAFNet of width 32: negative PSNR, 200,000 steps of 32 patches."""
    return replace(
        _make_nafnet("nafnet", 200_000, batch=32, with_prior=with_prior),
        optimization=replace(
            _make_nafnet("nafnet", 200_000, batch=32, with_prior=with_prior).optimization, weight_decay=0.0
        ),
    )


def nafnet_64(*, with_prior: bool) -> Recipe:
    """Return NAFNet of width 64: negative PSNR, 400,000 steps of 64 patches."""
    return _make_nafnet("nafnet-64", 400_000, batch=64, with_prior=with_prior)


def restormer(*, with_prior: bool) -> Recipe:
    """Return Restormer: L1 on patches that grow; 300,000 steps, the rate constant for the first 92,000."""
    total = sum(thousands for thousands, _, _ in RESTORMER_STEPS)
    begun = [sum(thousands for thousands, _, _ in RESTORMER_STEPS[:stage]) for stage in range(len(RESTORMER_STEPS))]
    (_, first_px, first_batch), *later = RESTORMER_STEPS
    return Recipe(
        name=_format_name("restormer", with_prior),
        model=_add_prior(get_published("restormer").config, with_prior),
        data=TrainingData(sampling=PatchSampling(patch_px=first_px), repeats=4, repeat_gap=32),
        objective=RestorationTraining(losses=(L1Loss(),)),
        optimization=Optimization(weight_decay=1e-4, betas=(0.9, 0.999), clip_norm=0.01, ema_decay=0.0),
        schedule=Schedule(
            steps=1000 * total,
            batch=first_batch,
            progressive=tuple(
                PatchStage(start=start / total, patch_px=patch_px, batch=batch)
                for start, (_, patch_px, batch) in zip(begun[1:], later, strict=True)
            ),
            peak_learning_rate=3e-4,
            final_learning_rate=1e-6,
            warmup_steps=0,
            decay=ConstantThenCosine(constant_share=92 / total),
        ),
    )


def _make_nafnet(name: PublishedName, steps: int, *, batch: int, with_prior: bool) -> Recipe:
    return Recipe(
        name=_format_name(name, with_prior),
        model=_add_prior(get_published(name).config, with_prior),
        data=TrainingData(sampling=PatchSampling(patch_px=256), repeats=4, repeat_gap=32),
        objective=RestorationTraining(loss_floor=1e-8),
        optimization=Optimization(weight_decay=1e-3, betas=(0.9, 0.9), clip_norm=0.01, ema_decay=0.0),
        schedule=Schedule(steps=steps, batch=batch, peak_learning_rate=1e-3, final_learning_rate=1e-7, warmup_steps=0),
    )


def _convert_epochs(*, epochs: int, batch: int) -> int:
    return epochs * math.ceil(GOPRO_PAIRS / batch)


def _format_name(name: str, with_prior: bool) -> str:
    return f"unblur-{name}-prior" if with_prior else f"unblur-{name}"


def _add_prior(config: HostConfig, with_prior: bool) -> HostConfig:
    return replace(config, prior=PriorConfig()) if with_prior else config
