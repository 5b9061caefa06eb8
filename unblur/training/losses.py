"""What training minimises."""

import math

import torch
from torch import Tensor


def psnr_loss(restored: Tensor, sharp: Tensor, floor: float) -> Tensor:
    """Mean negative PSNR of a batch in dB (NAFNet, Chen et al. 2022). (B, 3, H, W) in [0, 1] -> scalar.

    `floor` is added to each mean squared error: patches that are already perfect stop pulling.
    """
    errors = (restored.float() - sharp.float()).square().mean(dim=(1, 2, 3))
    return 10 / math.log(10) * torch.log(errors + floor).mean()
