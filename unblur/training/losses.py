"""What training minimises."""

import math

import torch
from torch import Tensor

SOFTENING_PX = 4.0
"""Errors count in relation to the path: by 1/sqrt(length + this), halfway between pixels and shares of the length."""


def psnr_loss(restored: Tensor, sharp: Tensor, floor: float) -> Tensor:
    """Mean negative PSNR of a batch in dB (NAFNet, Chen et al. 2022). (B, 3, H, W) in [0, 1] -> scalar.

    `floor` is added to each mean squared error: patches that are already perfect stop pulling.
    """
    errors = (restored.float() - sharp.float()).square().mean(dim=(1, 2, 3))
    return 10 / math.log(10) * torch.log(errors + floor).mean()


def path_loss(answers: Tensor, truth: Tensor) -> Tensor:
    """Mean distance of undirected paths (B, 4, h, w) in pixels, each softened by its true length. Scalar.

    The doubled vectors count half: where only the length is wrong, that is the distance of the two ends.
    """
    off = answers.float() - truth
    # The norm of nothing has no gradient.
    distance = _norm(off[:, :2]) + _norm(off[:, 2:]) / 2
    return (distance / (_norm(truth[:, 2:]) + SOFTENING_PX).sqrt()).mean()


def _norm(vectors: Tensor) -> Tensor:
    return (vectors.square().sum(dim=1) + 1e-6).sqrt()
