"""What the studies train: one recipe for all rows of a table, so that they differ in what they learn from alone."""

from typing import assert_never

from unblur.datasets.simulated import PatchSampling
from unblur.models import NAFNetConfig, RestormerConfig
from unblur.names import StudyNetwork
from unblur.recipes import named
from unblur.training.recipe import Recipe


def study_recipe(network: StudyNetwork, *, steps: int, patch_px: int, batch: int, seed: int) -> Recipe:
    """The network of that name, trained for `steps` updates on `batch` patches each.

    `small` is for seeing that something happens, `bundled` has the shape of the bundled network, `restormer` is what
    the GLOWDeblur paper (arXiv 2601.06525) analyses data sets with.
    """
    sampling = PatchSampling(patch_px=patch_px, pristine_share=0.0)
    match network:
        case "small":
            return Recipe(
                name="unblur-study-small",
                model=NAFNetConfig(
                    width=16, encoder_blocks=(1, 1, 1), middle_blocks=1, decoder_blocks=(1, 1, 1), stem_stride=2
                ),
                sampling=sampling,
                uses=4,
                seed=seed,
                steps=steps,
                batch=batch,
                peak_learning_rate=2e-3,
                warmup_steps=min(100, steps // 10),
                ema_decay=0.99,
            )
        case "bundled":
            return Recipe(
                name="unblur-study-bundled",
                model=named("faithful").model,
                sampling=sampling,
                uses=4,
                seed=seed,
                steps=steps,
                batch=batch,
                warmup_steps=min(200, steps // 10),
            )
        case "restormer":
            # Step size and momenta of Restormer's authors (arXiv 2111.09881); the loss is ours.
            return Recipe(
                name="unblur-study-restormer",
                model=RestormerConfig(),
                sampling=sampling,
                uses=4,
                seed=seed,
                steps=steps,
                batch=batch,
                peak_learning_rate=3e-4,
                warmup_steps=min(200, steps // 10),
                weight_decay=1e-4,
                betas=(0.9, 0.999),
            )
    assert_never(network)
