"""Numbers from images: functions of tensors (B, 3, H, W), RGB in [0, 1], one an image (docs/reference/metrics.md)."""

from unblur.metrics.brisque import brisque
from unblur.metrics.ms_ssim import ms_ssim
from unblur.metrics.mssim import mssim
from unblur.metrics.niqe import niqe
from unblur.metrics.piqe import piqe
from unblur.metrics.psnr import psnr, quantize_8bit
from unblur.metrics.ssim import ssim, ssim_3d

__all__ = ["brisque", "ms_ssim", "mssim", "niqe", "piqe", "psnr", "quantize_8bit", "ssim", "ssim_3d"]
