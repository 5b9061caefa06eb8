"""Reconstruction losses of autoencoders: pixels, frequencies, deep features."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from unblur.training.losses import charbonnier_loss

SOFTENED = 1e-3
"""Errors below this count by their square; MPRNet's (Zamir et al. 2021, arXiv 2102.02808)."""


@dataclass(frozen=True, kw_only=True)
class ReconstructionLoss:
    """Loss weights of an autoencoder, relative to 1 for the pixels."""

    spectrum: float = 0.5
    """Weight of the L1 distance of Fourier coefficients: errors that are spread evenly over a patch cost most."""
    perceptual: float = 0.2
    """Weight of ST-LPIPS, which needs the extra `perceptual`; 0 disables it."""
    perceptual_share: float = 0.25
    """Share of each batch for which ST-LPIPS is computed: it costs more than the network that is trained."""
    adversarial: float = 0.02
    """Weight of the adversarial loss; 0 disables the discriminator."""
    adversarial_start: float = 0.4
    """Share of the steps that go by before: there is no point in fooling while all is blurry."""


def pixel_loss(reconstructed: Tensor, sharp: Tensor) -> Tensor:
    """Mean Charbonnier distance sqrt(e^2 + 0.001^2) - 0.001 of images (B, 3, H, W). Scalar."""
    return charbonnier_loss(reconstructed, sharp, SOFTENED) - SOFTENED


def spectrum_loss(reconstructed: Tensor, sharp: Tensor) -> Tensor:
    """Mean size of the error's Fourier coefficients, those of a unitary transform, over (B, 3, H, W). Scalar.

    MIMO-UNet's (Cho et al. 2021, arXiv 2108.05054), whose transform is not unitary and whose weight is thus another.
    """
    coefficients = torch.fft.rfft2((reconstructed - sharp).float(), norm="ortho")
    # The absolute value of a complex nothing has no gradient.
    sizes: Tensor = (coefficients.real.square() + coefficients.imag.square() + SOFTENED**2).sqrt()
    return sizes.mean() - SOFTENED


def perceptual_loss(reconstructed: Tensor, sharp: Tensor, distance: nn.Module, share: float) -> Tensor:
    """Mean of `compute_distance` over the first `share` of a batch, one image at least. Scalar."""
    count = max(1, round(share * len(sharp)))
    values: Tensor = distance(reconstructed[:count].clamp(0, 1), sharp[:count])
    return values.float().mean()
