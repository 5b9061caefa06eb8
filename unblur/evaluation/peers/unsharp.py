"""The unsharp mask, which every picture editor has: it steepens edges and knows nothing of blur.

Restored = blurry + AMOUNT (blurry - smoothed), the smoothing a Gaussian, edges replicated. Radius and amount are usual
defaults of editors, not tuned on any photograph.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

SIGMA_PX = 2.0
AMOUNT = 1.0
_RADIUS_PX = 8


def unsharp_mask(blurry: NDArray[Any]) -> NDArray[Any]:
    """Sharpen (H, W, 3) uint8 sRGB -> same, rounded to eight bits."""
    picture = torch.from_numpy(blurry.astype(np.float64)).permute(2, 0, 1)[None]
    offsets = torch.arange(-_RADIUS_PX, _RADIUS_PX + 1, dtype=torch.float64)
    weights = torch.exp(-0.5 * (offsets / SIGMA_PX) ** 2)
    weights = weights / weights.sum()
    smoothed = F.pad(picture, (_RADIUS_PX,) * 4, mode="replicate")
    for axis in (2, 3):
        smoothed = smoothed.unfold(axis, len(weights), 1) @ weights
    restored = picture + AMOUNT * (picture - smoothed)
    return restored.round().clamp(0, 255).byte()[0].permute(1, 2, 0).contiguous().numpy()
