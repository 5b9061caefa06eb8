"""Light that a photograph does not give: outside of its frame, and where the sensor is clipped.

While an image is deconvolved, this light is replaced by what the estimate, blurred again, says it was: borders do not
ring. Whatever a clipped light reaches stays blurry, because nobody knows how bright that light was (Whyte et al. 2014,
"Deblurring Shaken and Partially Saturated Images", treat such pixels apart too).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, fft

from unblur.deconvolution.fourier import Extended

CLIPPED = 0.97
"""Linear light, as a share of white, from which a pixel counts as clipped."""

CLIPPED_GAIN = 500.0
"""Share of a pixel that stays blurry, for each share of its light that is connected with clipped pixels."""


@dataclass(frozen=True, kw_only=True)
class ClippedLight:
    """An extended image, (C, H, W) linear light, and where it is clipped."""

    extended: Extended
    clipped: Tensor
    """(C, H, W) bool."""

    def complete(self, again: Tensor) -> Tensor:
        """The image with its missing light from `again`, the estimate blurred again. Shape: (C, H, W) -> same."""
        image = self.extended.image
        at_least = torch.where(self.clipped, torch.maximum(again, image), again)
        return torch.where((self.extended.known > 0) & ~self.clipped, image, at_least)

    def blend(self, sharp: Tensor, power: Tensor) -> Tensor:
        """The deconvolved image, blurry where clipped pixels reach. Shape: (..., C, H, W) -> same.

        `power` is the squared transfer function of the kernel.
        """
        if not bool(self.clipped.any()):
            return sharp
        # Where clipped pixels may have got light from, and what else those places lit: their ripples end there.
        lit = fft.rfft2(self.clipped.any(dim=0).to(sharp.dtype))
        reached: Tensor = fft.irfft2(power * lit, s=self.extended.size)
        return sharp + (CLIPPED_GAIN * reached).clamp(0, 1) * (self.extended.image - sharp)


def find_clipped_light(extended: Extended) -> ClippedLight:
    """Find the clipped pixels of an extended image."""
    return ClippedLight(extended=extended, clipped=(extended.image >= CLIPPED) & (extended.known > 0))
