"""What a network that restores is to make small: terms that a recipe lists, weighted and added up.

A network that restores in several steps (`MultiOutput`) is judged in all of them by the terms that compare pixels,
each with the sharp photograph at that step's size; terms that ask another network, which needs a photograph of some
size and costs time, judge the last step alone.
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
from unblur.models.semantic_prior import features_of
from unblur.training.losses import (
    absolute_loss,
    charbonnier_loss,
    edge_loss,
    frequency_loss,
    psnr_loss,
    review_loss,
    soft,
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
    """L1 with a rounded tip (MPRNet)."""

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
    """What the semantic prior's teacher sees in the restored photograph against what it sees in the sharp one.

    The teacher and not the student: a student is taught to see the same whether a photograph is blurry or not, so it
    would forgive blur. 1 is what each channel's mean would get.
    """

    weight: float
    backbone: BackboneConfig = EfficientNetLiteConfig()


@dataclass(frozen=True, kw_only=True)
class STLPIPSLoss:
    """ST-LPIPS (extra `perceptual`). Patches must have 32 px at least."""

    weight: float
    network: Network = "alex"
    low_pass: bool = False
    """Whether both are `soft` first. A grid of single pixels, which it else gets for its reward, is not seen then."""


PixelTerm = PSNRLoss | L1Loss | CharbonnierLoss | EdgeLoss | FrequencyLoss
LossTerm = PixelTerm | FeatureLoss | STLPIPSLoss

Measure = Callable[[Tensor, Tensor], Tensor]
"""Restored and sharp (B, 3, H, W) -> scalar."""


class RestorationLoss:
    """The sum of `terms`."""

    def __init__(self, terms: tuple[LossTerm, ...], loss_floor: float, device: str = "cpu") -> None:
        """Loads the networks that the terms ask to `device`. Raises UnblurError when their weights are missing."""
        self._measures = [(term, _measure(term, loss_floor, device)) for term in terms]

    def __call__(self, outputs: list[Tensor], sharp: Tensor) -> Tensor:
        """Outputs of `MultiOutput`, or one alone; sharp (B, 3, H, W) in [0, 1]. Scalar."""
        sharps = [_at_size_of(output, sharp) for output in outputs]
        parts = []
        for term, measure in self._measures:
            first = 0 if isinstance(term, PixelTerm) else -1
            judged = zip(outputs[first:], sharps[first:], strict=True)
            parts += [term.weight * measure(output, target) for output, target in judged]
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
            return lambda restored, sharp: review_loss(features_of(teacher, restored), features_of(teacher, sharp))
        case STLPIPSLoss(network=network, low_pass=low_pass):
            distance = load_st_lpips(network).to(device)
            if low_pass:
                return lambda restored, sharp: distance(soft(restored), soft(sharp)).mean()
            return lambda restored, sharp: distance(restored, sharp).mean()
    assert_never(term)


def _at_size_of(output: Tensor, sharp: Tensor) -> Tensor:
    """`sharp` as tall and wide as `output`, bilinearly, as MIMO-UNet's authors make their smaller targets."""
    if output.shape == sharp.shape:
        return sharp
    return F.interpolate(sharp, output.shape[2:], mode="bilinear", align_corners=False)
