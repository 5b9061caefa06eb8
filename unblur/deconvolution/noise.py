"""Estimates the noise of a photograph from the photograph alone."""

from torch import Tensor

from unblur.errors import UnblurError


def estimate_noise(image: Tensor) -> float:
    """Return the standard deviation of the noise of `image`, (..., H, W), in its own units.

    The median absolute diagonal detail of the finest Haar wavelets divided by 0.6745 (Donoho and Johnstone 1994,
    "Ideal spatial adaptation by wavelet shrinkage"). Raises UnblurError below 2 x 2 pixels.
    """
    height, width = (length // 2 * 2 for length in image.shape[-2:])
    if not height or not width:
        raise UnblurError(f"The noise of {image.shape[-1]} x {image.shape[-2]} pixels cannot be measured; use 2 x 2.")
    even = image[..., :height, :width]
    first, second = even[..., ::2, :], even[..., 1::2, :]
    diagonal = (first[..., ::2] - first[..., 1::2] - second[..., ::2] + second[..., 1::2]) / 2
    return float(diagonal.abs().median()) / 0.6745
