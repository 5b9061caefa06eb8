"""Pre-reconstruction and domain alignment: a first restoration, and an estimate of its latents.

One idea: the faithful network already restores most of the image. Its coarsest features and its restoration become an
estimate of the sharp image's latents, which conditions the denoiser.

Source: GLOWDeblur (arXiv 2601.06525) draws a U-shaped convolutional network with four groups of two blocks down and up,
SimpleGate and simplified channel attention, whose "aligned feature" is concatenated to the latents. That is our
`NAFNet` with a stem of stride 2, the bundled network, with whose weights it can be initialised. Inferred: that the
feature is trained to equal the scaled latents of the sharp photograph (that is what makes its domain the latents'), and
the head that makes it, which the paper does not describe.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unblur.models.nafnet import NAFBlock, NAFNet, NAFNetConfig

STRIDE_PX = 32
"""The distance between neighbouring latents in pixels."""

FIRST_STRIDE_PX = 8
"""Side of the squares of the restoration that are folded into channels first."""


@dataclass(frozen=True, kw_only=True)
class PreReconstructionConfig:
    """Sizes of pre-reconstruction and domain alignment."""

    nafnet: NAFNetConfig = NAFNetConfig(
        width=32, encoder_blocks=(2, 2, 2, 2), middle_blocks=2, decoder_blocks=(2, 2, 2, 2), stem_stride=2
    )
    """The restoring network; its coarsest stride must be that of the latents, 32 px."""
    align_channels: int = 48
    """Channels of the alignment at stride 8; twice as many at 16, four times at 32."""
    latent_channels: int = 32
    """Channels of the aligned feature."""

    def __post_init__(self) -> None:
        coarsest = self.nafnet.stem_stride * 2 ** len(self.nafnet.encoder_blocks)
        if coarsest != STRIDE_PX or min(self.align_channels, self.latent_channels) < 1:
            raise ValueError(f"the NAFNet must end at stride 32, not {coarsest}, and alignment have channels: {self}")


class DomainAlignment(nn.Module):
    """Estimator of the sharp image's latents.

    Shape: (B, 3, H, W) and features (B, C, H/32, W/32) -> (B, latents, H/32, W/32).
    """

    def __init__(self, features: int, channels: int, latents: int) -> None:
        """Take the number of channels of the NAFNet's coarsest features."""
        super().__init__()
        self.intro = nn.Conv2d(3 * FIRST_STRIDE_PX**2, channels, 3, padding=1)
        self.down = nn.Sequential(
            NAFBlock(channels, 8),
            nn.Conv2d(channels, 2 * channels, 2, stride=2),
            NAFBlock(2 * channels, 16),
            nn.Conv2d(2 * channels, 4 * channels, 2, stride=2),
        )
        self.join = nn.Conv2d(4 * channels + features, 4 * channels, 1)
        self.mix = nn.Sequential(NAFBlock(4 * channels, 32), NAFBlock(4 * channels, 32))
        self.ending = nn.Conv2d(4 * channels, latents, 1)

    def forward(self, restored: Tensor, features: Tensor) -> Tensor:
        x = self.down(self.intro(F.pixel_unshuffle(restored - 0.5, FIRST_STRIDE_PX)))
        aligned: Tensor = self.ending(self.mix(self.join(torch.cat((x, features), dim=1))))
        return aligned


class PreReconstruction(nn.Module):
    """First restoration and an estimate of the sharp image's latents.

    Shape: (B, 3, H, W) RGB in [0, 1], multiples of 32 -> (B, 3, H, W) and (B, latents, H/32, W/32).
    """

    def __init__(self, config: PreReconstructionConfig) -> None:
        super().__init__()
        self.config = config
        self.nafnet = NAFNet(config.nafnet)
        coarsest = config.nafnet.width * 2 ** len(config.nafnet.encoder_blocks)
        self.align = DomainAlignment(coarsest, config.align_channels, config.latent_channels)

    def forward(self, blurry: Tensor) -> tuple[Tensor, Tensor]:
        restored, coarse = self.restore(blurry)
        return restored, self.align(restored, coarse)

    def restore(self, blurry: Tensor) -> tuple[Tensor, Tensor]:
        """Return the restoration and the NAFNet's coarsest features (B, C, H/32, W/32), the inputs of the alignment."""
        features = self.nafnet.encode(blurry)
        # Added in the input's own precision, as in NAFNet.
        restored = blurry + self.nafnet.decode(features, self.nafnet.prior(blurry)).to(blurry.dtype)
        return restored, features[-1]
