"""What the semantic prior does to a host: runs that are alike in everything but the prior, for `unblur study prior`.

Networks are small enough for one CPU core; multiplications below are those of a patch of 128 px, without the prior.
"""

from dataclasses import replace
from typing import assert_never

from unblur.datasets.validation import CAMERA
from unblur.models import (
    HostConfig,
    MIMOUNetConfig,
    MPRNetConfig,
    NAFNetConfig,
    PriorConfig,
    RestormerConfig,
    UNetConfig,
)
from unblur.names import StudyHost
from unblur.recipes.hosts import mimo_unet, mprnet, nafnet, restormer, unet
from unblur.training.recipe import Recipe
from unblur.training.restoration_loss import LossTerm

SHAKE = replace(CAMERA, extent_px=(1.0, 32.0), still_share=0.05)
"""Of all that the simulator knows: runs are short, and the validation set is shake."""


def prior_study(host: StudyHost, prior: PriorConfig | None, *, steps: int, seed: int) -> Recipe:
    """A small host with the loss of its authors; blur, data, optimiser and schedule are the same for all."""
    return Recipe(
        name=f"unblur-study-{host}",
        model=small(host, prior),
        camera=SHAKE,
        uses=4,
        uses_apart=64,
        seed=seed,
        steps=steps,
        peak_learning_rate=7e-4,
        warmup_steps=min(200, steps // 10),
        betas=(0.9, 0.99),
        losses=loss_of(host),
    )


def small(host: StudyHost, prior: PriorConfig | None) -> HostConfig:
    """The network: parameters and thousand million multiplications."""
    match host:
        case "unet":  # 1.1 million, 1.2
            return UNetConfig(channels=(16, 32, 64, 128), blocks=2, prior=prior)
        case "mimo-unet":  # 0.5 million, 1.3
            return MIMOUNetConfig(width=16, blocks=2, prior=prior)
        case "nafnet":  # 1.9 million, 0.5
            return NAFNetConfig(
                width=32,
                encoder_blocks=(2, 2, 2),
                middle_blocks=2,
                decoder_blocks=(2, 2, 2),
                stem_stride=2,
                prior=prior,
            )
        case "mprnet":  # 0.4 million, 3.1
            return MPRNetConfig(width=16, widening=8, detail_widening=8, detail_blocks=2, prior=prior)
        case "restormer":  # 1.1 million, 1.5
            return RestormerConfig(width=16, blocks=(1, 2, 2, 2), heads=(1, 2, 4, 8), refinement_blocks=1, prior=prior)
    assert_never(host)


def loss_of(host: StudyHost) -> tuple[LossTerm, ...]:
    """That of the full-sized recipe."""
    match host:
        case "unet":
            return unet(told=False).losses
        case "mimo-unet":
            return mimo_unet(plus=False, told=False).losses
        case "nafnet":
            return nafnet(told=False).losses
        case "mprnet":
            return mprnet(told=False).losses
        case "restormer":
            return restormer(told=False).losses
    assert_never(host)
