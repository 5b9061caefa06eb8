"""Structural similarity with the Gaussian window of its authors.

Source: Wang, Bovik, Sheikh, Simoncelli, "Image Quality Assessment: From Error Visibility to Structural
Similarity", IEEE Transactions on Image Processing 13(4), 2004. Convention: scikit-image's
`structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1,
channel_axis=...)`, that is 11 x 11 windows that lie wholly inside the image, each RGB channel on its own, and
then the mean over windows and channels. (MATLAB-based tables that use luma only differ.)
"""

import torch
from torch import Tensor

from unblur.errors import UnblurError
from unblur.metrics.psnr import check_same_shape

SIGMA_PX = 1.5
RADIUS_PX = 5
C1, C2 = 0.01**2, 0.03**2
"""The paper's (K1 L)^2 and (K2 L)^2 for range L = 1."""


def ssim(restored: Tensor, sharp: Tensor) -> Tensor:
    """Similarity per image in [-1, 1], higher is better, 1 for equal images. (B, 3, H, W) twice -> (B,).

    Values are RGB in [0, 1]. Raises UnblurError if the shapes differ, are not these, or an image is smaller
    than one window.
    """
    check_same_shape(restored, sharp)
    smallest_px = 2 * RADIUS_PX + 1
    if min(restored.shape[2:]) < smallest_px:
        raise UnblurError(
            f"SSIM needs images of at least {smallest_px} x {smallest_px} pixels, "
            f"not {restored.shape[3]} x {restored.shape[2]}; use PSNR."
        )
    # Variances are differences of nearly equal numbers: float32 would lose their digits in flat regions.
    x, y = restored.double(), sharp.double()
    mean_x, mean_y = _blur(x), _blur(y)
    variance_x = _blur(x * x) - mean_x * mean_x
    variance_y = _blur(y * y) - mean_y * mean_y
    covariance = _blur(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + C1) / (mean_x.square() + mean_y.square() + C1)
    contrast_structure = (2 * covariance + C2) / (variance_x + variance_y + C2)
    return (luminance * contrast_structure).mean(dim=(1, 2, 3)).to(restored.dtype)


def _blur(image: Tensor) -> Tensor:
    """Gaussian-weighted means of all windows inside the image: (B, 3, H, W) -> (B, 3, H - 10, W - 10)."""
    offsets = torch.arange(-RADIUS_PX, RADIUS_PX + 1, dtype=image.dtype, device=image.device)
    weights = torch.exp(-0.5 * (offsets / SIGMA_PX) ** 2)
    weights = weights / weights.sum()
    for axis in (2, 3):
        # A view of every window, then a weighted sum over it: no copy, unlike a convolution in float64.
        image = image.unfold(axis, len(weights), 1) @ weights
    return image
