"""Settings of training objectives: a recipe chooses an objective by its settings."""

from dataclasses import dataclass
from typing import assert_never

from unblur.errors import UnblurError
from unblur.models import (
    AutoencoderConfig,
    BlurClassifierConfig,
    GlowConfig,
    KernelEstimatorConfig,
    LatentDecoderConfig,
    ModelConfig,
    MotionEstimatorConfig,
    PreReconstructionConfig,
    RestorerConfig,
    SemanticPriorConfig,
    ShakeFusionConfig,
)
from unblur.models.glow import TokenSource
from unblur.training.restoration_loss import LossTerm, PSNRLoss


@dataclass(frozen=True, kw_only=True)
class RestorationTraining:
    """Restoration: the network's result is compared with the sharp patch."""

    losses: tuple[LossTerm, ...] = (PSNRLoss(),)
    """Loss terms, added up."""
    loss_floor: float = 1e-4
    """Mean squared error below which a patch hardly counts for PSNR, in the loss and in the log; 1e-4 is 40 dB."""

    def __post_init__(self) -> None:
        if not self.losses:
            raise ValueError("a restoration without loss terms minimises nothing; give it a loss")


@dataclass(frozen=True, kw_only=True)
class MotionTraining:
    """Motion estimation: the distance of estimated paths from the true ones."""

    reblur_weight: float = 0.0
    """Weight of the reblur loss: the sharp patch, blurred along the estimated paths, against the blurry one."""


@dataclass(frozen=True, kw_only=True)
class PriorTraining:
    """Distillation of the semantic prior: features of the blurry patch are compared with those of its teacher."""


@dataclass(frozen=True, kw_only=True)
class AutoencoderTraining:
    """Autoencoding. Weights are relative to 1 for the pixels."""

    spectrum: float = 0.5
    """Weight of the L1 distance of Fourier coefficients: errors that are spread evenly over a patch cost most."""
    perceptual: float = 0.2
    """Weight of ST-LPIPS, which needs the extra `perceptual`; 0 disables it."""
    perceptual_share: float = 0.25
    """Share of each batch for which ST-LPIPS is computed: it costs more than the network that is trained."""
    adversarial: float = 0.02
    """Weight of the adversarial loss; 0 disables the discriminator."""
    adversarial_start: float = 0.4
    """Share of the steps before the adversarial loss starts: early reconstructions are too blurry for it."""


@dataclass(frozen=True, kw_only=True)
class CaptionSettings:
    """Captions of sharp patches, which replace the tokens of regions."""

    captioner: str | None = None
    """Folder or hub id of a captioner of the library transformers, such as a Qwen-VL; None fills a template with the
    class that EfficientNet-Lite0 finds."""
    text_encoder: str | None = None
    """Folder or hub id of the text encoder; None is MiniLM."""
    longest_tokens: int = 32
    """Tokens of a caption, at most; 300 in SANA."""
    share: float = 1.0
    """Share of the examples with a caption; the others have regions."""

    def __post_init__(self) -> None:
        if self.longest_tokens < 1 or not 0 < self.share <= 1:
            raise ValueError(f"captions need a token, and a share in (0, 1]: {self}")


@dataclass(frozen=True, kw_only=True)
class GlowTraining:
    """Flow matching of GLOWDeblur, or its pre-reconstruction alone.

    Loss weights are relative to the velocity's mean squared error; the paper gives none.
    """

    alignment: float = 1.0
    """Weight of the mean squared error between the aligned feature and the sharp image's latents."""
    restoration: float = 1.0
    """Weight of the Charbonnier distance between the pre-reconstruction and the sharp image."""
    motion_dropout: float = 0.1
    """Share of examples whose motion condition is dropped; 1 trains without motion."""
    semantics_dropout: float = 0.1
    """Share of examples whose tokens are dropped, as SANA drops captions."""
    captions: CaptionSettings | None = None
    """The captions of patches; None trains with regions alone."""
    cache_size: int | None = None
    """Number of training patches whose frozen-backbone features are cached on disk and reused in every epoch. None
    disables the cache and trains the NAFNet on fresh patches."""

    def __post_init__(self) -> None:
        if min(self.alignment, self.restoration) < 0:
            raise ValueError(f"weights of losses cannot be negative: {self}")
        if self.cache_size is not None and self.cache_size < 1:
            raise ValueError(f"at least one patch must be cached: {self}")
        if not (0 <= self.motion_dropout <= 1 and 0 <= self.semantics_dropout <= 1):
            raise ValueError(f"shares of examples must be in [0, 1]: {self}")

    @property
    def token_source(self) -> TokenSource:
        """Tokens that the examples have."""
        if self.captions is None:
            return "regions"
        return "captions" if self.captions.share == 1 else "both"


ObjectiveSettings = RestorationTraining | MotionTraining | PriorTraining | AutoencoderTraining | GlowTraining


def check_model(objective: ObjectiveSettings, model: ModelConfig) -> None:
    """Raise UnblurError when the objective does not train networks of this kind."""
    if isinstance(model, KernelEstimatorConfig | ShakeFusionConfig | BlurClassifierConfig):
        raise UnblurError(
            f"A {type(model).__name__} is trained by a script of its own; run experiments.train_kernel_estimator, "
            "experiments.train_shake_fusion or experiments.train_blur_classifier."
        )
    match objective:
        case RestorationTraining():
            fits = isinstance(model, RestorerConfig)
        case MotionTraining():
            fits = isinstance(model, MotionEstimatorConfig)
        case PriorTraining():
            fits = isinstance(model, SemanticPriorConfig)
        case AutoencoderTraining():
            fits = isinstance(model, AutoencoderConfig | LatentDecoderConfig)
        case GlowTraining():
            fits = isinstance(model, GlowConfig | PreReconstructionConfig)
            if isinstance(model, GlowConfig) and model.tokens != objective.token_source:
                raise UnblurError(
                    f"The objective trains with {objective.token_source} as tokens, but the network is configured for "
                    f"{model.tokens}; set tokens of GlowConfig and captions of GlowTraining alike."
                )
        case _:
            assert_never(objective)
    if not fits:
        raise UnblurError(
            f"{type(objective).__name__} does not train a {type(model).__name__}; give the recipe another objective."
        )
