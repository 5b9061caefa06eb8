"""Builds a network from a configuration: one `match`, so the type checker lists what was forgotten."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any, assert_never

import torch
from torch import Size, Tensor, nn
from torch.overrides import TorchFunctionMode

from unblur.models.autoencoder import Autoencoder, AutoencoderConfig
from unblur.models.blur_classifier import BlurClassifier, BlurClassifierConfig
from unblur.models.glow import GlowConfig, GlowDeblur
from unblur.models.kernel_estimator import KernelEstimator, KernelEstimatorConfig
from unblur.models.latent_decoder import LatentDecoder, LatentDecoderConfig
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
from unblur.models.unet import UNet, UNetConfig

HostConfig = NAFNetConfig | UNetConfig | MIMOUNetConfig | MPRNetConfig | RestormerConfig
"""Restoring networks that can have a semantic prior."""

RestorerConfig = HostConfig | MultiScaleConfig | PlainUNetConfig
"""Networks that restore: `forward(blurry) -> restored`."""

ModelConfig = (
    RestorerConfig
    | MotionEstimatorConfig
    | SemanticPriorConfig
    | PreReconstructionConfig
    | GlowConfig
    | AutoencoderConfig
    | LatentDecoderConfig
    | KernelEstimatorConfig
    | ShakeFusionConfig
    | BlurClassifierConfig
)
"""Every configuration a checkpoint may hold."""


def build(config: ModelConfig) -> nn.Module:
    """Build the network described by `config`, with freshly initialised weights."""
    match config:
        case NAFNetConfig():
            return NAFNet(config)
        case UNetConfig():
            return UNet(config)
        case MIMOUNetConfig():
            return MIMOUNet(config)
        case MPRNetConfig():
            return MPRNet(config)
        case RestormerConfig():
            return Restormer(config)
        case MultiScaleConfig():
            return MultiScale(config)
        case PlainUNetConfig():
            return PlainUNet(config)
        case MotionEstimatorConfig():
            return MotionEstimator(config)
        case SemanticPriorConfig():
            return SemanticPrior(config)
        case PreReconstructionConfig():
            return PreReconstruction(config)
        case GlowConfig():
            return GlowDeblur(config)
        case AutoencoderConfig():
            return Autoencoder(config)
        case LatentDecoderConfig():
            return LatentDecoder(config)
        case KernelEstimatorConfig():
            return KernelEstimator(config)
        case ShakeFusionConfig():
            return ShakeFusion(config)
        case BlurClassifierConfig():
            return BlurClassifier(config)
    assert_never(config)


@lru_cache(maxsize=32)
def find_shapes(config: ModelConfig) -> Mapping[str, Size]:
    """Find the shape of each tensor of the network described by `config`, without allocating the tensors."""
    with torch.device("meta"), _WithoutRandomNumbers():
        return MappingProxyType({name: tensor.shape for name, tensor in build(config).state_dict().items()})


class _WithoutRandomNumbers(TorchFunctionMode):
    """Mode in which the functions that fill tensors with random numbers do nothing.

    For tensors without memory PyTorch fills in Python code that loads its compiler, which takes seconds.
    """

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        arguments: Sequence[Any] = (),
        named: Mapping[str, Any] | None = None,
    ) -> Any:
        if function in (Tensor.normal_, Tensor.uniform_):
            return arguments[0]
        return function(*arguments, **(named or {}))
