"""The fusion network: one result from the network's restoration of a photograph and several deconvolutions of it.

One idea: a deconvolution with the right kernel has detail that no network can estimate, and with a wrong kernel it has
ripples; a network that gets deconvolutions and the blurry photograph learns to distinguish them at every position.
Before training it returns the restoration unchanged, and it learns corrections.

Source: ours, with the shape of `unblur.models.plain_unet`. Networks that refine a deconvolution: Schuler et al. 2013,
"A Machine Learning Approach for Non-blind Image Deconvolution"; networks trained on estimated, not true kernels: Vasu
et al. 2018, "Non-blind Deblurring: Handling Kernel Uncertainty with CNNs".
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unblur.deconvolution.candidates import CANDIDATES
from unblur.models.padding import pad_to_multiple
from unblur.models.plain_unet import PlainUNet, PlainUNetConfig

DIFFERENCE_SCALE = 8.0
"""Factor on differences of images, which are a few hundredths of white, so that inputs have about unit range."""

CONTEXT_CHANNELS = 2
"""Number of constant input channels: the expected error of the kernel and its length."""

LENGTH_UNIT_PX = 32.0


@dataclass(frozen=True, kw_only=True)
class ShakeFusionConfig:
    """Sizes of a fusion network."""

    backbone: PlainUNetConfig
    deconvolutions: int = CANDIDATES
    """Number of deconvolutions, see `unblur.deconvolution.candidates`."""


class ShakeFusion(nn.Module):
    """Network that fuses restorations of an image, (B, 3, H, W) sRGB in [0, 1], any H and W."""

    def __init__(self, config: ShakeFusionConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = PlainUNet(config.backbone)
        channels = (3 + 3 * config.deconvolutions + CONTEXT_CHANNELS) * config.backbone.stem_stride**2
        self.intro = nn.Conv2d(channels, config.backbone.channels[0], 3, padding=1)

    def forward(
        self, blurry: Tensor, restored: Tensor, deconvolved: Tensor, error: Tensor, length_px: Tensor
    ) -> Tensor:
        """Correct the restoration of blurry photographs.

        Args:
            blurry: (B, 3, H, W) sRGB in [0, 1].
            restored: The network's restoration, same shape.
            deconvolved: (B, N, 3, H, W) sRGB in [0, 1], N deconvolutions.
            error: (B,), the expected relative error of the kernel, in [0, 1].
            length_px: (B,), the length of the kernel in pixels.

        Returns:
            (B, 3, H, W) sRGB, not clipped.
        """
        context = torch.stack([error, length_px / LENGTH_UNIT_PX], dim=1)[..., None, None]
        inputs = torch.cat(
            [
                DIFFERENCE_SCALE * (blurry - restored),
                DIFFERENCE_SCALE * (deconvolved - restored[:, None]).flatten(1, 2),
                context.to(blurry.dtype).expand(-1, -1, *blurry.shape[2:]),
            ],
            dim=1,
        )
        whole = pad_to_multiple(inputs, self.backbone.multiple_of)
        features = self.intro(F.pixel_unshuffle(whole, self.config.backbone.stem_stride))
        fused: Tensor = self.backbone(restored, features)
        return fused
