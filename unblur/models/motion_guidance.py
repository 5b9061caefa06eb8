"""Motion guidance: the motion during the exposure, as channels concatenated to the latents.

Source: GLOWDeblur (arXiv 2601.06525) draws a lightweight estimator whose input is the blurry photograph alone, and a
grid of arrows, the motion map, concatenated to the latents. The channels of the map are ours: the estimator's paths
have no direction of time (`unblur.blur.undirected`), so the map has their centres and doubled vectors, the mean length,
which the mean vector loses where directions cancel, and a channel for whether motion is given. The paper does not say
whether its estimator is trained further; here it is frozen, because without true paths as targets its output would
cease to be motion.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unblur.models.motion_estimator import OUTPUT_STRIDE_PX, MotionEstimator, MotionEstimatorConfig

MOTION_CHANNELS = 6
"""Channels of the map: centre x and y, doubled x and y, length, and 1 where motion is given."""

UNIT_PX = 32.0
"""Pixels for each unit of the map."""

STRIDE_PX = 32
"""Pixels of the photograph between neighbouring positions of the map."""


def compute_motion_map(path: Tensor) -> Tensor:
    """Average paths at every 8th pixel, (B, 4, H/8, W/8) px as of `to_undirected`, to (B, 6, H/32, W/32)."""
    length = path[:, 2:].norm(dim=1, keepdim=True)
    averaged = F.avg_pool2d(torch.cat((path, length), dim=1), STRIDE_PX // OUTPUT_STRIDE_PX) / UNIT_PX
    return torch.cat((averaged, torch.ones_like(averaged[:, :1])), dim=1)


class MotionGuidance(nn.Module):
    """Network that computes the motion map of a blurry photograph.

    Shape: (B, 3, H, W) RGB in [0, 1], multiples of 32 -> (B, 6, H/32, W/32). A map of zeros means that the motion is
    unknown.
    """

    def __init__(self, config: MotionEstimatorConfig) -> None:
        super().__init__()
        self.estimator = MotionEstimator(config).requires_grad_(False)

    def forward(self, blurry: Tensor) -> Tensor:
        with torch.no_grad():
            return compute_motion_map(self.estimator(blurry))
