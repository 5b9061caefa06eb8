"""Networks of the library transformers (ResNet, ConvNeXt, Swin, DINOv2, ...) as sources of features.

One idea: the library's own description of a network, stored as text in our configuration, is enough to build it again
without its weights, which are in our checkpoint.

Differences from the library: normalisation by the statistics of a batch becomes a fixed scale and shift, which is what
it is in use, so that nothing here differs between training and use; a network whose patches have 14 px (DINOv2) is
shown the photograph scaled by 14/16, so that its features fall on the grid of the photograph.

transformers (Hugging Face, Apache-2.0; our extra `teachers`) is imported when such a network is built. Networks
that attend to the whole photograph (DINOv2, and Swin within its windows) see a tile otherwise than the whole.
"""

import json
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unblur.errors import UnblurError
from unblur.models.features import FEATURE_GRID_PX, FeatureLevel, as_imagenet
from unblur.models.padding import padded_to_multiple

NEEDED_BY = ("A network of other people as teacher", "teachers")
"""The feature that needs transformers, and the extra that brings it."""


@dataclass(frozen=True, kw_only=True)
class TransformersConfig:
    """A network of the library transformers; `unblur.checkpoints.teacher.describe` writes it."""

    source: str
    """Hub id or folder of the teacher's weights; not needed any more once a checkpoint has been trained."""
    architecture: str
    """The library's configuration of the backbone, as JSON."""
    strides_px: tuple[int, ...]
    """Strides of the levels, in pixels of the photograph, finest first."""
    channels: tuple[int, ...]
    """Channels of the levels."""
    patch_px: int
    """Pixels of the picture that the network is shown from one position of its finest level to the next."""

    def __post_init__(self) -> None:
        if not self.strides_px or len(self.strides_px) != len(self.channels):
            raise ValueError(f"every level needs a stride and channels: {self}")
        if any(FEATURE_GRID_PX % stride for stride in self.strides_px):
            raise ValueError(f"strides must be 1, 2, 4, 8, 16 or 32: {self}")


class FixedNormalisation(nn.Module):
    """Batch normalisation as it is in use: a scale and a shift for each channel. Shape: (B, C, H, W) -> same."""

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
        scale = (norm.weight / (variance + norm.eps).sqrt()).detach()
        self.weight = nn.Parameter(scale)
        self.bias = nn.Parameter((norm.bias - mean * scale).detach())

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight.view(-1, 1, 1) + self.bias.view(-1, 1, 1)


class TransformersBackbone(nn.Module):
    """Features of a photograph. Shape: (B, 3, H, W) sRGB in [0, 1] -> see `levels`."""

    def __init__(self, config: TransformersConfig, network: nn.Module | None = None) -> None:
        """`network`: one of the library's, with its weights; None builds one with random weights."""
        super().__init__()
        self.config = config
        self.network = with_fixed_norms(_built(config) if network is None else network).eval()
        pairs = zip(config.strides_px, config.channels, strict=True)
        self.levels = tuple(FeatureLevel(stride_px=stride, channels=channels) for stride, channels in pairs)

    def train(self, mode: bool = True) -> "TransformersBackbone":
        """Stays in use while other networks train: dropout would hide features at random."""
        super().train(mode)
        self.network.eval()
        return self

    def forward(self, picture: Tensor) -> list[Tensor]:
        """Compute the features of each level, finest first."""
        padded = padded_to_multiple(picture, FEATURE_GRID_PX)
        finest = self.config.strides_px[0]
        shown = as_imagenet(padded)
        if self.config.patch_px != finest:
            size = [side // finest * self.config.patch_px for side in padded.shape[2:]]
            shown = F.interpolate(shown, size, mode="bilinear", align_corners=False, antialias=True)
        return list(self.network(shown).feature_maps)


def with_fixed_norms(network: nn.Module) -> nn.Module:
    """`network` with every batch normalisation replaced, in place."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, FixedNormalisation(child))
    return network


def import_transformers(needed_by: str, extra: str) -> Any:
    """The library. Raises UnblurError when it is not installed: `needed_by` needs it, which `extra` brings."""
    try:
        import transformers
    except ImportError as error:
        raise UnblurError(
            f"{needed_by} needs the library transformers, which is not installed: pip install 'unblur[{extra}]'."
        ) from error
    return transformers


def _built(config: TransformersConfig) -> nn.Module:
    transformers = import_transformers(*NEEDED_BY)
    try:
        description = json.loads(config.architecture)
        architecture = transformers.AutoConfig.for_model(**description)
        # Random weights of the right shape would cost time and random numbers, and be overwritten.
        with torch.random.fork_rng(devices=[]):
            return cast(nn.Module, transformers.AutoBackbone.from_config(architecture))
    except (TypeError, ValueError, KeyError) as error:
        raise UnblurError(
            f"The installed transformers {transformers.__version__} cannot build the network of {config.source} "
            f"({str(error).splitlines()[0]}); install the version that wrote the checkpoint, or a newer one."
        ) from error
