"""Networks. Restoring networks share one interface: `forward(blurry) -> restored`, (B, 3, H, W) in [0, 1], any size."""

from unblur.models.autoencoder import Autoencoder, AutoencoderConfig
from unblur.models.blur_classifier import BlurClassifier, BlurClassifierConfig
from unblur.models.build import HostConfig, ModelConfig, RestorerConfig, build, find_shapes
from unblur.models.glow import GlowConfig, GlowDeblur, GlowRestorer
from unblur.models.host import DecoderScale, MultiOutput
from unblur.models.kernel_estimator import KernelEstimator, KernelEstimatorConfig
from unblur.models.latent_decoder import LatentDecoder, LatentDecoderConfig
from unblur.models.latent_encoder import LatentEncoderConfig
from unblur.models.latent_space import LatentSpace
from unblur.models.mimo_unet import MIMOUNet, MIMOUNetConfig
from unblur.models.motion_estimator import MotionEstimator, MotionEstimatorConfig
from unblur.models.mprnet import MPRNet, MPRNetConfig
from unblur.models.multiscale import MultiScale, MultiScaleConfig
from unblur.models.nafnet import NAFNet, NAFNetConfig
from unblur.models.plain_unet import PlainUNet, PlainUNetConfig
from unblur.models.pre_reconstruction import PreReconstruction, PreReconstructionConfig
from unblur.models.restormer import Restormer, RestormerConfig
from unblur.models.semantic_prior import SemanticPrior, SemanticPriorConfig
from unblur.models.shake_fusion import ShakeFusion, ShakeFusionConfig
from unblur.models.spe import PriorConfig
from unblur.models.unet import UNet, UNetConfig

__all__ = [
    "Autoencoder",
    "AutoencoderConfig",
    "BlurClassifier",
    "BlurClassifierConfig",
    "DecoderScale",
    "GlowConfig",
    "GlowDeblur",
    "GlowRestorer",
    "HostConfig",
    "KernelEstimator",
    "KernelEstimatorConfig",
    "LatentDecoder",
    "LatentDecoderConfig",
    "LatentEncoderConfig",
    "LatentSpace",
    "MIMOUNet",
    "MIMOUNetConfig",
    "MPRNet",
    "MPRNetConfig",
    "ModelConfig",
    "MotionEstimator",
    "MotionEstimatorConfig",
    "MultiOutput",
    "MultiScale",
    "MultiScaleConfig",
    "NAFNet",
    "NAFNetConfig",
    "PlainUNet",
    "PlainUNetConfig",
    "PreReconstruction",
    "PreReconstructionConfig",
    "PriorConfig",
    "RestorerConfig",
    "Restormer",
    "RestormerConfig",
    "SemanticPrior",
    "SemanticPriorConfig",
    "ShakeFusion",
    "ShakeFusionConfig",
    "UNet",
    "UNetConfig",
    "build",
    "find_shapes",
]
