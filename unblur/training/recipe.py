"""Everything that decides what a training run produces."""

from dataclasses import dataclass

from unblur.blur import Camera
from unblur.datasets.simulated import PatchSampling
from unblur.models import ModelConfig
from unblur.training.reconstruction_loss import ReconstructionLoss


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
    reconstruction: ReconstructionLoss = ReconstructionLoss()
    """What training of an autoencoder minimises; other networks have losses of their own."""
    log_every: int = 50
    checkpoint_every: int = 500
    workers: int = 1
    """Threads that simulate blur; the result does not depend on their number."""
