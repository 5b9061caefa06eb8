"""Maps of the disagreement between restorations with other seeds."""

import numpy as np
from numpy.typing import NDArray

from unblur.photos.photo import Photo

WHITE = 0.1
"""Standard deviation, as a share of full scale, that is shown white, as are larger ones; 0 is black. A grey level is a
tenth of a level of an 8-bit photograph."""


def uncertainty_picture(uncertainty: NDArray[np.float32]) -> Photo:
    """(H, W) standard deviations -> 8-bit grey, 255 for WHITE."""
    levels = np.rint(np.clip(uncertainty / WHITE, 0, 1) * 255).astype(np.uint8)
    return Photo(pixels=levels[..., None])
