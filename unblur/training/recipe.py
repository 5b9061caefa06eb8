"""Everything that decides what a training run produces."""

import math
from dataclasses import dataclass

from unblur.blur import Camera
from unblur.datasets.ingredients import Ingredient, SimulatedBlur
from unblur.datasets.simulated import PatchSampling
from unblur.errors import UnblurError
from unblur.models import ModelConfig

_ROUNDING = 1e-9
"""Thirds sum to a little less or more than one."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A run, complete but for the photographs. Two runs of one recipe on one machine give the same weights."""

    name: str
    model: ModelConfig
    camera: Camera = Camera()
    sampling: PatchSampling = PatchSampling()
    uses: int = 1
    """How often each simulated pair is shown, turned another way each time: simulation takes so much less time."""
    uses_apart: int = 128
    """Other simulated pairs between two uses of one."""
    mixed_in: tuple[Ingredient, ...] = ()
    """What else patches come from, each with its share; all others `camera` has simulated."""
    seed: int = 1
    steps: int
    batch: int = 8
    peak_learning_rate: float = 1e-3
    final_learning_rate: float = 1e-6
    warmup_steps: int = 200
    weight_decay: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.9)
    clip_norm: float = 1.0
    """Gradients longer than this are shortened to it."""
    ema_decay: float = 0.999
    """The weights that are kept are this moving average of the weights trained."""
    loss_floor: float = 1e-4
    """Mean squared error below which a patch hardly counts; 1e-4 is 40 dB."""
    log_every: int = 50
    checkpoint_every: int = 500
    workers: int = 1
    """Threads that simulate blur; the result does not depend on their number."""

    def __post_init__(self) -> None:
        shares = [ingredient.share for ingredient in self.mixed_in]
        if not all(0 < share <= 1 for share in shares) or math.fsum(shares) > 1 + _ROUNDING:
            raise UnblurError(
                f"Shares of {', '.join(f'{share:g}' for share in shares)} cannot be mixed in; "
                "give shares above 0 that sum to at most 1."
            )

    @property
    def camera_share(self) -> float:
        """Share of the patches that `camera` has simulated, 0 to 1."""
        rest = 1 - math.fsum(ingredient.share for ingredient in self.mixed_in)
        return rest if rest > _ROUNDING else 0.0

    @property
    def needs_photos(self) -> bool:
        """Whether any patches are simulated."""
        return self.camera_share > 0 or any(isinstance(part, SimulatedBlur) for part in self.mixed_in)
