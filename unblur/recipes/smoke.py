"""A run of a few seconds that tests the whole chain: its network must improve on the blurry input."""

from unblur.blur import Camera
from unblur.datasets.simulated import PatchSampling
from unblur.models import NAFNetConfig
from unblur.training.recipe import Optimization, Recipe, Schedule, TrainingData


def smoke() -> Recipe:
    """Return the recipe of a tiny network on mild blur without noise."""
    return Recipe(
        name="unblur-smoke",
        model=NAFNetConfig(width=16, encoder_blocks=(1,), middle_blocks=1, decoder_blocks=(1,), stem_stride=2),
        data=TrainingData(
            camera=Camera(extent_px=(3.0, 4.0), still_share=0, noise_share=0, jpeg_share=0, highlight_share=0),
            sampling=PatchSampling(patch_px=64, pristine_share=0),
            repeats=8,
            repeat_gap=8,
            workers=0,
        ),
        optimization=Optimization(ema_decay=0.98),
        schedule=Schedule(steps=200, batch=4, peak_learning_rate=4e-3, warmup_steps=20),
        log_every=20,
        checkpoint_every=100,
    )
