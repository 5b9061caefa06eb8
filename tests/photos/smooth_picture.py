"""A picture that lossy formats keep."""

import numpy as np


def smooth(height: int = 40, width: int = 60, channels: int = 3, depth: int = 8) -> np.ndarray:
    """Return colours that lossy formats preserve within a few levels, different in every corner."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [x / width * 0.8 + 0.1, y / height * 0.8 + 0.1, (x + y) / (height + width) * 0.8 + 0.1]
    picture = np.stack(planes[:channels], axis=2)
    return (picture * (2**depth - 1)).astype(np.uint8 if depth == 8 else np.uint16)
