"""Peak signal-to-noise ratio, the measure of every deblurring table.

Source: 10 log10(MAX^2 / MSE), as in Wang and Bovik, "Mean Squared Error: Love It or Leave It?", IEEE
Signal Processing Magazine 26(1), 2009. Convention of the deblurring literature since GoPro (Nah et al. 2017):
the mean squared error runs over all pixels and the three RGB channels of one image that was rounded to eight
bits; tables quote the mean of these per-image values.
"""

import torch
from torch import Tensor

from unblur.metrics.checks import check_same_shape


def psnr(restored: Tensor, sharp: Tensor) -> Tensor:
    """Return the decibels per image, higher is better, infinite for equal images. Shape: (B, 3, H, W) twice -> (B,).

    Values are RGB in [0, 1]. Nothing is rounded here: see `quantize_8bit`. Raises UnblurError if the shapes
    differ or are not these.
    """
    check_same_shape(restored, sharp)
    mean_squared_error = (restored.double() - sharp.double()).square().mean(dim=(1, 2, 3))
    return (-10 * torch.log10(mean_squared_error)).to(restored.dtype)


def quantize_8bit(image: Tensor) -> Tensor:
    """Quantise as an eight-bit file does: clip to [0, 1] and round to multiples of 1/255."""
    return (image.clamp(0, 1) * 255).round() / 255
