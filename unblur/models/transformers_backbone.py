"""Networks of the library transformers (ResNet, ConvNeXt, Swin, DINOv2, ...) as feature extractors.

One idea: the library's own description of a network, stored as text in our configuration, is enough to build it again
without its weights, which are in our checkpoint.

Differences from the library: batch normalisation is replaced by a fixed scale and shift, as in evaluation, so that
nothing here differs between training and evaluation; a network whose patches have 14 px (DINOv2) gets the photograph
scaled by 14/16, so that its features fall on the grid of the photograph.

transformers (Hugging Face, Apache-2.0; our extra `teachers`) is imported when such a network is built. Networks with
attention over the whole photograph (DINOv2, and Swin within its windows) have other features for a tile than for the
whole.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unblur.errors import UnblurError
from unblur.models.features import FEATURE_GRID_PX, FeatureLevel, normalize_for_imagenet
from unblur.models.padding import pad_to_multiple

NEEDED_BY = ("A network of other people as teacher", "teachers")
"""The feature that needs transformers, and the extra that brings it."""


@dataclass(frozen=True, kw_only=True)
class TransformersConfig:
    """Description of a network of the library transformers, made by `unblur.checkpoints.teacher.describe`."""

    source: str
    """Hub id or folder of the teacher's weights, which a trained checkpoint does not need any more."""
    architecture: str
    """The library's configuration of the backbone, as JSON."""
    strides_px: tuple[int, ...]
    """Strides of the levels, in pixels of the photograph, finest first."""
    channels: tuple[int, ...]
    """Channels of the levels."""
    patch_px: int
    """Pixels of the network's input between neighbouring positions of its finest level."""

    def __post_init__(self) -> None:
        if not self.strides_px or len(self.strides_px) != len(self.channels):
            raise ValueError(f"every level needs a stride and channels: {self}")
        if any(FEATURE_GRID_PX % stride for stride in self.strides_px):
            raise ValueError(f"strides must be 1, 2, 4, 8, 16 or 32: {self}")


class FixedNormalisation(nn.Module):
    """Batch normalisation in evaluation: a fixed scale and shift for each channel. Shape: (B, C, H, W) -> same."""

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
        scale = (norm.weight / (variance + norm.eps).sqrt()).detach()
        self.weight = nn.Parameter(scale)
        self.bias = nn.Parameter((norm.bias - mean * scale).detach())

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight.view(-1, 1, 1) + self.bias.view(-1, 1, 1)


class TransformersBackbone(nn.Module):
    """Feature extractor from the library transformers. Shape: (B, 3, H, W) sRGB in [0, 1] -> see `levels`."""

    def __init__(self, config: TransformersConfig, network: nn.Module | None = None) -> None:
        """Wrap `network`, one of the library's with its weights; None builds one with random weights."""
        super().__init__()
        self.config = config
        self.network = replace_batch_norms(_build_network(config) if network is None else network).eval()
        pairs = zip(config.strides_px, config.channels, strict=True)
        self.levels = tuple(FeatureLevel(stride_px=stride, channels=channels) for stride, channels in pairs)

    def train(self, mode: bool = True) -> "TransformersBackbone":
        """Stay in evaluation mode while other networks train, because dropout would drop features at random."""
        super().train(mode)
        self.network.eval()
        return self

    def forward(self, picture: Tensor) -> list[Tensor]:
        """Compute the features of each level, finest first."""
        padded = pad_to_multiple(picture, FEATURE_GRID_PX)
        finest = self.config.strides_px[0]
        shown = normalize_for_imagenet(padded)
        if self.config.patch_px != finest:
            size = [side // finest * self.config.patch_px for side in padded.shape[2:]]
            shown = F.interpolate(shown, size, mode="bilinear", align_corners=False, antialias=True)
        return list(self.network(shown).feature_maps)


def replace_batch_norms(network: nn.Module) -> nn.Module:
    """Replace every batch normalisation of `network`, in place."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, FixedNormalisation(child))
    return network


def import_transformers(needed_by: str, extra: str) -> Any:
    """Import the library. Raises UnblurError, which names `needed_by` and the `extra`, when it is not installed."""
    try:
        import transformers
    except ImportError as error:
        raise UnblurError(
            f"{needed_by} needs the library transformers, which is not installed: pip install 'unblur[{extra}]'."
        ) from error
    return transformers


@contextmanager
def hide_progress_bars() -> Iterator[None]:
    """Hide the bars that the library shows while it loads weights."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _build_network(config: TransformersConfig) -> nn.Module:
    transformers = import_transformers(*NEEDED_BY)
    try:
        description = json.loads(config.architecture)
        architecture = transformers.AutoConfig.for_model(**description)
        # Initialising weights, which are overwritten, would take time and random numbers.
        with torch.random.fork_rng(devices=[]):
            return cast(nn.Module, transformers.AutoBackbone.from_config(architecture))
    except (TypeError, ValueError, KeyError) as error:
        raise UnblurError(
            f"The installed transformers {transformers.__version__} cannot build the network of {config.source} "
            f"({str(error).splitlines()[0]}); install the version that wrote the checkpoint, or a newer one."
        ) from error
