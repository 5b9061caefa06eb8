"""Small pictures of photographs for a browser: the page and the report of a batch show them."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unblur.photos.photo import Metadata, Photo


def shrink_pixels(pixels: NDArray[Any], step: int) -> NDArray[Any]:
    """Return means of `step` x `step` squares; incomplete ones are left out. Shape: (H, W, C) -> (h, w, C)."""
    if step == 1 or min(pixels.shape[:2]) < step:
        return pixels
    height, width = (side // step for side in pixels.shape[:2])
    squares = pixels[: height * step, : width * step].reshape(height, step, width, step, -1)
    # By rows of squares: a copy of everything in float would be several times as large as the photograph.
    return np.stack([np.rint(row.mean(axis=(0, 2))).astype(pixels.dtype) for row in squares])


def make_thumbnail(photo: Photo, most_px: int) -> Photo:
    """Return `photo` with at most about `most_px` pixels, without metadata except the colour profile."""
    step = math.ceil(math.sqrt(photo.width * photo.height / most_px))
    return Photo(
        pixels=shrink_pixels(photo.pixels, step),
        alpha=None if photo.alpha is None else shrink_pixels(photo.alpha[..., None], step)[..., 0],
        metadata=Metadata(icc=photo.metadata.icc),
    )
