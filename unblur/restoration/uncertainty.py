"""Maps of the disagreement between restorations with other seeds."""

import numpy as np
from numpy.typing import NDArray

from unblur.photos.photo import Photo

WHITE = 0.1
"""Standard deviation, as a share of full scale, from which on a pixel is white; 0 is black. A grey level is a tenth of
a level of an 8-bit photograph."""


def render_uncertainty(uncertainty: NDArray[np.float32]) -> Photo:
    """Render standard deviations (H, W) as 8-bit grey, 255 for WHITE."""
    levels = np.rint(np.clip(uncertainty / WHITE, 0, 1) * 255).astype(np.uint8)
    return Photo(pixels=levels[..., None])
