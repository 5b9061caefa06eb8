"""Weighted sum of loss terms for restoration networks.

Terms that compare pixels are computed for all outputs of a network with several (`MultiOutput`), each against the sharp
image at the size of that output. Terms that need another network are computed for the last output alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

import torch
import torch.nn.functional as F
from torch import Tensor

from unblur.checkpoints.teacher import load_teacher
from unblur.metrics.lpips import Network
from unblur.metrics.st_lpips import load_st_lpips
from unblur.models.backbone import BackboneConfig
from unblur.models.efficientnet_lite import EfficientNetLiteConfig
from unblur.models.semantic_prior import compute_features
from unblur.training.losses import (
    absolute_loss,
    blur_binomially,
    charbonnier_loss,
    edge_loss,
    feature_loss,
    frequency_loss,
    psnr_loss,
)


@dataclass(frozen=True, kw_only=True)
class PSNRLoss:
    """PSNR in dB with the recipe's `loss_floor` (NAFNet)."""

    weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class L1Loss:
    """L1 (Restormer, MIMO-UNet)."""

    weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class CharbonnierLoss:
    """Charbonnier loss: a smooth L1 (MPRNet)."""

    weight: float = 1.0
    epsilon: float = 1e-3


@dataclass(frozen=True, kw_only=True)
class EdgeLoss:
    """Charbonnier of Laplacians (MPRNet)."""

    weight: float
    epsilon: float = 1e-3


@dataclass(frozen=True, kw_only=True)
class FrequencyLoss:
    """L1 of Fourier transforms (MIMO-UNet)."""

    weight: float


@dataclass(frozen=True, kw_only=True)
class FeatureLoss:
    """Distance between the features that the semantic prior's teacher computes from the restored and the sharp image.

    The student of the prior would be a poor judge, because it is trained to ignore blur. The mean of each channel has a
    distance of 1.
    """

    weight: float
    backbone: BackboneConfig = EfficientNetLiteConfig()


@dataclass(frozen=True, kw_only=True)
class STLPIPSLoss:
    """ST-LPIPS (extra `perceptual`). Patches must have 32 px at least."""

    weight: float
    network: Network = "alex"
    low_pass: bool = False
    """Low-pass both images before comparing. Without it training adds a one-pixel checkerboard that lowers ST-LPIPS."""


PixelTerm = PSNRLoss | L1Loss | CharbonnierLoss | EdgeLoss | FrequencyLoss
LossTerm = PixelTerm | FeatureLoss | STLPIPSLoss

Measure = Callable[[Tensor, Tensor], Tensor]
"""A function of restored and sharp images (B, 3, H, W) that returns a scalar."""


class RestorationLoss:
    """Computes the weighted sum of loss terms."""

    def __init__(self, terms: tuple[LossTerm, ...], loss_floor: float, device: str = "cpu") -> None:
        """Load the networks of the terms to `device`. Raises UnblurError when their weights are missing."""
        self._measures = [(term, _measure(term, loss_floor, device)) for term in terms]

    def __call__(self, outputs: list[Tensor], sharp: Tensor) -> Tensor:
        """Compute the loss of one or several outputs; sharp is (B, 3, H, W) in [0, 1]. Scalar."""
        sharps = [_resize_like(output, sharp) for output in outputs]
        parts = []
        for term, measure in self._measures:
            first = 0 if isinstance(term, PixelTerm) else -1
            compared = zip(outputs[first:], sharps[first:], strict=True)
            parts += [term.weight * measure(output, target) for output, target in compared]
        return torch.stack(parts).sum()


def _measure(term: LossTerm, loss_floor: float, device: str) -> Measure:
    match term:
        case PSNRLoss():
            return lambda restored, sharp: psnr_loss(restored, sharp, loss_floor)
        case L1Loss():
            return absolute_loss
        case CharbonnierLoss(epsilon=epsilon):
            return lambda restored, sharp: charbonnier_loss(restored, sharp, epsilon)
        case EdgeLoss(epsilon=epsilon):
            return lambda restored, sharp: edge_loss(restored, sharp, epsilon)
        case FrequencyLoss():
            return frequency_loss
        case FeatureLoss(backbone=backbone):
            teacher = load_teacher(backbone).to(device)
            return lambda restored, sharp: feature_loss(
                compute_features(teacher, restored), compute_features(teacher, sharp)
            )
        case STLPIPSLoss(network=network, low_pass=low_pass):
            distance = load_st_lpips(network).to(device)
            if low_pass:
                return lambda restored, sharp: distance(blur_binomially(restored), blur_binomially(sharp)).mean()
            return lambda restored, sharp: distance(restored, sharp).mean()
    assert_never(term)


def _resize_like(output: Tensor, sharp: Tensor) -> Tensor:
    """Resize `sharp` to `output` bilinearly, as MIMO-UNet's authors make their smaller targets."""
    if output.shape == sharp.shape:
        return sharp
    return F.interpolate(sharp, output.shape[2:], mode="bilinear", align_corners=False)
