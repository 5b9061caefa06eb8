"""The bundled network at several sizes of the photograph: an hourglass, and what chooses between them."""

from dataclasses import replace

from unblur.blur import Camera
from unblur.datasets import SignBlur, SimulatedBlur
from unblur.datasets.simulated import PatchSampling
from unblur.models import MultiScaleConfig, NAFNetConfig
from unblur.recipes.faithful import faithful
from unblur.training.recipe import Recipe
from unblur.training.restoration_loss import NegativePSNR, ShiftTolerantDistance


def multiscale() -> Recipe:
    """Leg 6 of docs/training.md: four sizes, larger patches, blur of up to 96 px; a sixth of the patches show signs.

    Begins with the weights of leg 5, which had three sizes, four patches of 192 px, everything up to 64 px, 6,000
    steps, 3e-4 and seed 9; leg 4 had fewer signs, and seed 8. The first two left the hourglass as `faithful` had made
    it, knew no signs, and had 1e-3, 2e-4, and seeds 5 and 6.
    """
    before = faithful()
    assert isinstance(before.model, NAFNetConfig)
    shake = replace(before.camera, extent_px=(1.0, 32.0))
    return replace(
        before,
        name="unblur-multiscale",
        model=MultiScaleConfig(hourglass=before.model, scales=4),
        camera=shake,
        sampling=PatchSampling(patch_px=256),
        mixed_in=(
            SimulatedBlur(camera=Camera(extent_px=(1.0, 96.0)), share=0.4),
            SignBlur(camera=replace(shake, extent_px=(2.0, 32.0)), count=512, share=1 / 6),
        ),
        seed=10,
        steps=3_000,
        batch=3,
        peak_learning_rate=2e-4,
    )


def multiscale_finish() -> Recipe:
    """Leg 7, short: beside the PSNR a little ST-LPIPS, three tenths of what `losses` tried.

    Begins with the weights of leg 6. The share is small and the leg short on purpose: a larger one gets a fine grid
    for its reward (docs/training.md). The bundled copy looks at three of its four sizes.
    """
    return replace(
        multiscale(),
        name="unblur-multiscale-finish",
        losses=(NegativePSNR(), ShiftTolerantDistance(weight=3.0)),
        seed=11,
        steps=240,
        warmup_steps=50,
        peak_learning_rate=1e-4,
        ema_decay=0.99,
        checkpoint_every=120,
    )
