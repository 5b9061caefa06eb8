"""The interface of restoring networks, which makes losses and priors independent of the network.

A *prior* (features that another network computes from the same image) is plugged in at decoder scales, each time right
after the skip connection was merged, before the decoder's blocks: there the features combine fine position and coarse
context. Every host names these places, in the order in which its decoder
passes them, as `decoder_scales`, and passes them in one line of its `decode`. The prior itself is in
`unblur.models.spe`; a host has it, or not, by the argument `prior` of its configuration.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class DecoderScale:
    """Features that one group of decoder blocks is given. Shape: (B, `channels`, H / `stride_px`, W / `stride_px`)."""

    stride_px: int
    """Pixels of the photograph from one position to the next; H and W are those of the padded photograph."""
    channels: int


@runtime_checkable
class MultiOutput(Protocol):
    """A network with several restorations, each of which can have a loss: MIMO-UNet's scales, MPRNet's stages."""

    def restore_all(self, blurry: Tensor) -> list[Tensor]:
        """Return every restoration, the coarsest or earliest first; the last one is the result of `forward`.

        Shape: (B, 3, H, W) RGB in [0, 1] -> (B, 3, H / s, W / s) each, sides rounded up, where s is 1 for the last
        and a power of 2 for every other. Position (i, j) of an output at scale s stands for the square of s x s
        pixels at (s i, s j), so a target is made by resizing the sharp photograph to the output's height and width.
        """
        ...
