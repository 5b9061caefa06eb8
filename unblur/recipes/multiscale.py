"""The bundled network at several scales of the image: a NAFNet and a fusion of scales."""

from dataclasses import replace

from unblur.blur import Camera
from unblur.datasets import SimulatedBlur, SyntheticText
from unblur.datasets.simulated import PatchSampling
from unblur.models import MultiScaleConfig, NAFNetConfig
from unblur.recipes.faithful import faithful
from unblur.training.objective_settings import RestorationTraining
from unblur.training.recipe import Recipe
from unblur.training.restoration_loss import PSNRLoss, STLPIPSLoss


def multiscale() -> Recipe:
    """Return the recipe of run 12 (docs/results/training-log.md), which is conditioned on the coarser scale.

    It starts from the weights of run 8, as run 6 before it: four scales, without conditioning, a sixth of the patches
    512 signs blurred by 2 to 32 px, 4,000 and 3,000 steps, 3e-4 and 2e-4, seeds 12 and 10. Runs 4 and 5 had three
    scales, four patches of 192 px and everything up to 64 px; the first two froze the NAFNet of `faithful` and had no
    signs. docs/results/training-log.md has their numbers.
    """
    before = faithful()
    assert isinstance(before.model, NAFNetConfig)
    shake = replace(before.data.camera, extent_px=(1.0, 32.0))
    return replace(
        before,
        name="unblur-multiscale",
        model=MultiScaleConfig(nafnet=before.model, scales=3, condition_on_coarser=True),
        seed=16,
        data=replace(
            before.data,
            camera=shake,
            sampling=PatchSampling(patch_px=256),
            extra_sources=(
                SimulatedBlur(camera=Camera(extent_px=(1.0, 96.0)), share=0.4),
                SyntheticText(camera=replace(shake, extent_px=(3.0, 28.0)), count=1024, share=1 / 4),
            ),
        ),
        schedule=replace(before.schedule, steps=3_600, batch=3, peak_learning_rate=3e-4),
    )


def multiscale_finish() -> Recipe:
    """Return the recipe of run 14, short: PSNR and a little ST-LPIPS of low-passed images.

    It starts from the weights of run 13, which had as many signs as run 12, 500 steps and seed 17. The weight is small,
    the runs are short and the images low-passed on purpose: otherwise the loss rewards a fine grid
    (docs/results/lessons.md).
    """
    before = multiscale()
    everything, signs = before.data.extra_sources
    assert isinstance(signs, SyntheticText)
    harder = replace(signs.camera, extent_px=(6.0, 24.0))
    return replace(
        before,
        name="unblur-multiscale-finish",
        seed=19,
        data=replace(before.data, extra_sources=(everything, replace(signs, camera=harder, count=2_048, share=2 / 5))),
        objective=RestorationTraining(losses=(PSNRLoss(), STLPIPSLoss(weight=3.0, low_pass=True))),
        optimization=replace(before.optimization, ema_decay=0.99),
        schedule=replace(before.schedule, steps=320, warmup_steps=50, peak_learning_rate=1e-4),
        checkpoint_every=120,
    )
