"""What the bundled network could be taught to make small, for `unblur study losses`: short legs, alike in all else."""

from dataclasses import replace

from unblur.recipes.faithful import faithful
from unblur.training.recipe import Recipe
from unblur.training.restoration_loss import Frequencies, LossTerm, MeanAbsolute, NegativePSNR, ShiftTolerantDistance


def losses(*, steps: int, seed: int) -> tuple[Recipe, ...]:
    """That of the bundled weights first, then what others put in its place or add to it.

    Where errors are what the bundled weights leave, 0.03 of white, what is added pulls with a third (frequencies) and a
    tenth (ST-LPIPS) of the PSNR's force, and L1 with as much: a hundredth less error is 0.09 dB.
    """
    terms: dict[str, tuple[LossTerm, ...]] = {
        "PSNR": (NegativePSNR(),),
        "L1": (MeanAbsolute(weight=500.0),),
        "PSNR and frequencies": (NegativePSNR(), Frequencies(weight=1.0)),
        "PSNR and ST-LPIPS": (NegativePSNR(), ShiftTolerantDistance(weight=10.0)),
    }
    leg = replace(
        faithful(),
        seed=seed,
        steps=steps,
        peak_learning_rate=2e-4,
        warmup_steps=min(100, steps // 10),
        ema_decay=0.995,
        checkpoint_every=min(500, steps),
    )
    return tuple(replace(leg, name=name, losses=of_name) for name, of_name in terms.items())
