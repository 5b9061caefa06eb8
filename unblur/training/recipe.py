"""Everything that decides what a training run produces."""

import math
from dataclasses import dataclass
from itertools import pairwise

from unblur.blur import Camera
from unblur.datasets.ingredients import Ingredient, SignBlur, SimulatedBlur
from unblur.datasets.simulated import PatchSampling
from unblur.errors import UnblurError
from unblur.models import GlowConfig, ModelConfig
from unblur.names import Precision
from unblur.training.glow_learning import GlowLearning
from unblur.training.reconstruction_loss import ReconstructionLoss
from unblur.training.restoration_loss import LossTerm, NegativePSNR
from unblur.training.schedule import Cosine, Schedule


@dataclass(frozen=True, kw_only=True)
class PatchStage:
    """From some step on, patches of another size, and as many of them as a step can bear."""

    begins: float
    """Share of the steps that are done before it, above 0 and below 1."""
    patch_px: int
    batch: int


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
    """Patches of each update, in all processes together."""
    accumulate: int = 1
    """Equal parts in which each process is shown its share of a batch: more of them take less memory."""
    precision: Precision = "auto"
    """Precision of the forward pass; weights and losses are float32. "auto" selects bfloat16 where the processor
    computes in it natively, and float32 elsewhere. bfloat16 is slower on a CPU for wide depthwise convolutions."""
    recompute: bool = False
    """Whether GLOWDeblur's denoiser remembers less for the backward pass and computes it again: for less memory."""
    growth: tuple[PatchStage, ...] = ()
    """What follows on patches of `sampling.patch_px` and batches of `batch`."""
    peak_learning_rate: float = 1e-3
    final_learning_rate: float = 1e-6
    frozen: tuple[str, ...] = ()
    """Parts of the network that stay as they began, bit for bit."""
    backbone_share: float = 1.0
    """Of these rates, for the backbone of a network that has one: trained ones forget less when they learn slowly."""
    warmup_steps: int = 200
    schedule: Schedule = Cosine()
    weight_decay: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.9)
    clip_norm: float = 1.0
    """Gradients longer than this are shortened to it."""
    ema_decay: float = 0.999
    """The weights that are kept are this moving average of the weights trained; 0 keeps those themselves."""
    losses: tuple[LossTerm, ...] = (NegativePSNR(),)
    """What a network that restores minimises, added up; other networks have a loss of their own."""
    loss_floor: float = 1e-4
    """Mean squared error below which a patch hardly counts for PSNR, as a loss and as what is told; 1e-4 is 40 dB."""
    reblur_weight: float = 0.0
    """Of blurring again, for a motion estimator, beside the distance of its paths from the true ones."""
    reconstruction: ReconstructionLoss = ReconstructionLoss()
    """What training of an autoencoder minimises; other networks have losses of their own."""
    glow: GlowLearning = GlowLearning()
    """What training of GLOWDeblur and of its pre-reconstruction weighs and withholds."""
    log_every: int = 50
    checkpoint_every: int = 500
    workers: int = 1
    """Threads that simulate blur; the result does not depend on their number."""

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise UnblurError(f"A run of {self.steps} steps learns nothing; give 1 step or more.")
        if self.accumulate < 1:
            raise ValueError(f"batches of {self.name} have one part at least")
        if not self.losses:
            raise ValueError(f"{self.name} minimises nothing; give it a loss")
        begins = [0.0, *(stage.begins for stage in self.growth), 1.0]
        if any(earlier >= later for earlier, later in pairwise(begins)):
            raise ValueError(f"stages of {self.name} must begin one after the other, at shares above 0 and below 1")
        if any(stage.patch_px < 1 or stage.batch < 1 for stage in self.growth):
            raise ValueError(f"stages of {self.name} need patches and batches of at least 1")
        shares = [ingredient.share for ingredient in self.mixed_in]
        if not all(0 < share <= 1 for share in shares) or math.fsum(shares) > 1 + _ROUNDING:
            raise UnblurError(
                f"Shares of {', '.join(f'{share:g}' for share in shares)} cannot be mixed in; "
                "give shares above 0 that sum to at most 1."
            )

    @property
    def frozen_parts(self) -> tuple[str, ...]:
        """`frozen`, and GLOWDeblur's hourglass where patches are kept: what it saw in them is kept with them."""
        glow = self.model if self.glow.kept is not None and isinstance(self.model, GlowConfig) else None
        sees = ("pre_reconstruction.hourglass",) if glow is not None and glow.pre_reconstruction is not None else ()
        return (*self.frozen, *sees)

    @property
    def camera_share(self) -> float:
        """Share of the patches that `camera` has simulated, 0 to 1."""
        rest = 1 - math.fsum(ingredient.share for ingredient in self.mixed_in)
        return rest if rest > _ROUNDING else 0.0

    @property
    def needs_photos(self) -> bool:
        """Whether any patches are simulated."""
        return self.camera_share > 0 or any(isinstance(part, SimulatedBlur | SignBlur) for part in self.mixed_in)
