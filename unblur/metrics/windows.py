"""Weighted means over windows, the arithmetic that SSIM and the statistics of natural scenes share."""

import torch
from torch import Tensor


def compute_gaussian_weights(radius_px: int, sigma_px: float, like: Tensor) -> Tensor:
    """The 2 radius + 1 samples of a Gaussian, scaled to sum 1, of the type and on the device of `like`.

    Their outer product is MATLAB's `fspecial('gaussian', 2 * radius + 1, sigma)`.
    """
    offsets = torch.arange(-radius_px, radius_px + 1, dtype=like.dtype, device=like.device)
    weights = torch.exp(-0.5 * (offsets / sigma_px) ** 2)
    return weights / weights.sum()


def compute_window_means(image: Tensor, weights: Tensor, axes: tuple[int, ...] = (-2, -1)) -> Tensor:
    """Means over all windows inside the image, weighted along each of `axes`: (..., H, W) -> (..., H - n, W - n).

    n is one less than the number of weights.
    """
    for axis in axes:
        # A view of every window, then a weighted sum over it: no copy, unlike a convolution in float64.
        image = image.unfold(axis, len(weights), 1) @ weights
    return image
