"""Settings that determine the result of a training run."""

import math
from dataclasses import dataclass
from itertools import pairwise

from unblur.blur import Camera
from unblur.datasets.simulated import PatchSampling
from unblur.datasets.sources import DataSource, SimulatedBlur, SyntheticText
from unblur.errors import UnblurError
from unblur.models import GlowConfig, ModelConfig
from unblur.names import Precision
from unblur.training.learning_rate import Cosine, Decay
from unblur.training.objective_settings import GlowTraining, ObjectiveSettings, RestorationTraining, check_model

_ROUNDING = 1e-9
"""Thirds sum to a little less or more than one."""


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """Sources of the patches of a run."""

    camera: Camera = Camera()
    """The camera of the patches that no other source supplies."""
    sampling: PatchSampling = PatchSampling()
    extra_sources: tuple[DataSource, ...] = ()
    """Further sources of patches with their shares; `camera` simulates all others."""
    repeats: int = 1
    """Number of times that each simulated pair is used, in another orientation each time, which saves simulation."""
    repeat_gap: int = 128
    """Other simulated pairs, of all sources together, between two uses of one."""
    workers: int = 1
    """Threads that simulate blur; the result does not depend on their number."""

    def __post_init__(self) -> None:
        shares = [source.share for source in self.extra_sources]
        if not all(0 < share <= 1 for share in shares) or math.fsum(shares) > 1 + _ROUNDING:
            raise UnblurError(
                f"Shares of {', '.join(f'{share:g}' for share in shares)} cannot be mixed in; "
                "give shares above 0 that sum to at most 1."
            )

    @property
    def camera_share(self) -> float:
        """Share of the patches that `camera` has simulated, 0 to 1."""
        rest = 1 - math.fsum(source.share for source in self.extra_sources)
        return rest if rest > _ROUNDING else 0.0

    @property
    def needs_photos(self) -> bool:
        """Whether any patches are simulated."""
        return self.camera_share > 0 or any(
            isinstance(source, SimulatedBlur | SyntheticText) for source in self.extra_sources
        )


@dataclass(frozen=True, kw_only=True)
class Optimization:
    """Settings of AdamW and of the weights that it updates."""

    betas: tuple[float, float] = (0.9, 0.9)
    weight_decay: float = 1e-3
    clip_norm: float = 1.0
    """Maximal norm of the gradient."""
    frozen: tuple[str, ...] = ()
    """Modules of the network that are not trained."""
    backbone_lr_scale: float = 1.0
    """Factor on the learning rates for the backbone of a network that has one: a pretrained one forgets less."""
    ema_decay: float = 0.999
    """Decay of the moving average of the weights, which the checkpoint holds; 0 stores the weights themselves."""


@dataclass(frozen=True, kw_only=True)
class PatchStage:
    """A change of the patch size, and of the batch size with it, from some step on."""

    start: float
    """Share of the steps before the stage, above 0 and below 1."""
    patch_px: int
    batch: int


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The number of updates, and the settings that change from one update to the next."""

    steps: int
    batch: int = 8
    """Patches of each update, in all processes together."""
    progressive: tuple[PatchStage, ...] = ()
    """Stages with other sizes, after patches of `TrainingData.sampling.patch_px` and batches of `batch`."""
    peak_learning_rate: float = 1e-3
    final_learning_rate: float = 1e-6
    warmup_steps: int = 200
    """Updates in which the learning rate rises linearly to its peak."""
    decay: Decay = Cosine()
    """The course of the learning rate after that."""

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise UnblurError(f"A run of {self.steps} steps learns nothing; give 1 step or more.")
        starts = [0.0, *(stage.start for stage in self.progressive), 1.0]
        if any(earlier >= later for earlier, later in pairwise(starts)):
            raise ValueError("stages must begin one after the other, at shares above 0 and below 1")
        if any(stage.patch_px < 1 or stage.batch < 1 for stage in self.progressive):
            raise ValueError("stages need patches and batches of at least 1")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A run, complete but for the photographs. Two runs of one recipe on one machine give the same weights."""

    name: str
    model: ModelConfig
    seed: int = 1
    data: TrainingData = TrainingData()
    objective: ObjectiveSettings = RestorationTraining()
    optimization: Optimization = Optimization()
    schedule: Schedule
    accumulate: int = 1
    """Number of micro-batches of each process and batch: more of them take less memory."""
    precision: Precision = "auto"
    """Precision of the forward pass; weights and losses are float32. "auto" selects bfloat16 where the processor
    computes in it natively, and float32 elsewhere. bfloat16 is slower on a CPU for wide depthwise convolutions."""
    gradient_checkpointing: bool = False
    """Whether GLOWDeblur's denoiser computes activations again in the backward pass, to save memory."""
    log_every: int = 50
    checkpoint_every: int = 500

    def __post_init__(self) -> None:
        if self.accumulate < 1:
            raise ValueError(f"batches of {self.name} have one part at least")
        check_model(self.objective, self.model)

    @property
    def frozen_parts(self) -> tuple[str, ...]:
        """Return the frozen modules, with GLOWDeblur's NAFNet where its features are cached."""
        caches = isinstance(self.objective, GlowTraining) and self.objective.cache_size is not None
        has_nafnet = isinstance(self.model, GlowConfig) and self.model.pre_reconstruction is not None
        return (*self.optimization.frozen, *(("pre_reconstruction.nafnet",) if caches and has_nafnet else ()))
