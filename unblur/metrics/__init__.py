"""Numbers from pairs of images: pure functions of tensors (B, 3, H, W), RGB in [0, 1], a number each."""

from unblur.metrics.psnr import psnr, quantize_8bit
from unblur.metrics.ssim import ssim

__all__ = ["psnr", "quantize_8bit", "ssim"]
