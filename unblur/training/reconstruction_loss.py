"""Reconstruction losses of autoencoders: pixels, frequencies, deep features."""

import torch
from torch import Tensor, nn

from unblur.training.losses import charbonnier_loss

SOFTENED = 1e-3
"""Errors below this count by their square; MPRNet's (Zamir et al. 2021, arXiv 2102.02808)."""


def pixel_loss(reconstructed: Tensor, sharp: Tensor) -> Tensor:
    """Return the mean Charbonnier distance sqrt(e^2 + 0.001^2) - 0.001 of images (B, 3, H, W). Scalar."""
    return charbonnier_loss(reconstructed, sharp, SOFTENED) - SOFTENED


def spectrum_loss(reconstructed: Tensor, sharp: Tensor) -> Tensor:
    """Return the mean size of the error's Fourier coefficients, those of a unitary transform, over (B, 3, H, W).

    Scalar. MIMO-UNet's (Cho et al. 2021, arXiv 2108.05054), whose transform is not unitary and whose weight is thus
    another.
    """
    coefficients = torch.fft.rfft2((reconstructed - sharp).float(), norm="ortho")
    # The absolute value of a complex zero has no gradient.
    sizes: Tensor = (coefficients.real.square() + coefficients.imag.square() + SOFTENED**2).sqrt()
    return sizes.mean() - SOFTENED


def perceptual_loss(reconstructed: Tensor, sharp: Tensor, distance: nn.Module, share: float) -> Tensor:
    """Return the mean of `distance` over the first `share` of a batch, one image at least. Scalar."""
    count = max(1, round(share * len(sharp)))
    values: Tensor = distance(reconstructed[:count].clamp(0, 1), sharp[:count])
    return values.float().mean()
