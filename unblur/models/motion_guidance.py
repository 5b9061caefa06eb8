"""Motion guidance: the motion during the exposure, as channels concatenated to the latents.

Source: GLOWDeblur (arXiv 2601.06525) draws a lightweight estimator that sees the blurry photograph alone, and a grid
of arrows, the motion map, concatenated to the latents. What a place of the map holds is ours: the estimator's paths
have no arrow of time (`unblur.blur.undirected`), so the map has their middles and doubled vectors, the length that
averaging over a place would lose where directions cancel, and whether motion is given at all. The paper does not say
whether its estimator goes on learning; here it is frozen, because nothing but true paths keeps its answers motion.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unblur.models.motion_estimator import OUTPUT_STRIDE_PX, MotionEstimator, MotionEstimatorConfig

MOTION_CHANNELS = 6
"""Middle x and y, doubled x and y, length; 1 where motion is given."""

UNIT_PX = 32.0
"""Pixels that 1 stands for in the map."""

STRIDE_PX = 32
"""Pixels of the photograph from one place of the map to the next."""


def motion_map(path: Tensor) -> Tensor:
    """Paths at every 8th pixel, (B, 4, H/8, W/8) px as of `undirected`, averaged to (B, 6, H/32, W/32)."""
    length = path[:, 2:].norm(dim=1, keepdim=True)
    averaged = F.avg_pool2d(torch.cat((path, length), dim=1), STRIDE_PX // OUTPUT_STRIDE_PX) / UNIT_PX
    return torch.cat((averaged, torch.ones_like(averaged[:, :1])), dim=1)


class MotionGuidance(nn.Module):
    """The motion map of a blurry photograph. Shape: (B, 3, H, W) RGB in [0, 1], multiples of 32 -> (B, 6, H/32, W/32).

    Zeros in its place say that nothing is known.
    """

    def __init__(self, config: MotionEstimatorConfig) -> None:
        super().__init__()
        self.estimator = MotionEstimator(config).requires_grad_(False)

    def forward(self, blurry: Tensor) -> Tensor:
        with torch.no_grad():
            return motion_map(self.estimator(blurry))
