"""`unblur.estimate_shake`: the camera shake of one photograph, without restoring it."""

from typing import Any

from unblur.checkpoints.folder import BUNDLED_KERNEL_ESTIMATOR, load_checkpoint
from unblur.models import KernelEstimator
from unblur.restoration.loading import load
from unblur.restoration.pictures import get_single_pixels
from unblur.restoration.shake import Shake, ShakeEstimator


def estimate_shake(picture: Any, device: str = "auto") -> Shake:
    """Estimate the camera shake of a photograph with the bundled networks.

    `picture` is a path, bytes, an open binary file, a Photo, a Pillow image, an array (H, W) or (H, W, C), or a tensor
    (C, H, W), sRGB; 8 or 16 bits, or floating point in [0, 1]. The result holds the camera's path, the blur kernels at
    every place, how far they can be relied on, and how much of the photograph they explain. The result is
    deterministic. Raises UnblurError for anything else, for a batch of several pictures and for a picture smaller than
    64 x 64 pixels.

    >>> shake = unblur.estimate_shake("photo.jpg")
    >>> print(shake)
    shake: 17 px, 62 degrees
    """
    pixels = get_single_pixels(picture, "The shake of {} pictures cannot be estimated at once")
    estimator = load_checkpoint(BUNDLED_KERNEL_ESTIMATOR).model
    assert isinstance(estimator, KernelEstimator)
    return ShakeEstimator(load(device=device, shake="off").apply_network, estimator).estimate(pixels)
