"""One restoring network at several scales of the image, coarse to fine.

One idea: halving an image halves its blur. Blur that is too long for the network at full size may be easy for it at
half or a quarter of the size, for a fraction of the time. From the smallest scale up, the network restores the image,
conditioned on the result of the next smaller scale. A small fusion network then takes the image, its restoration at
this scale and the upsampled result of the smaller one, mixes these two at every position, and adds a correction.

Coarse to fine with shared weights, and the coarser result as an input: SRN (Tao et al. 2018, arXiv 1802.01770). Ours:
the restoring network is trained at one scale first, the condition is a zero-initialised projection that is added to
its first features, and the fusion is trained before both are trained together.
"""

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unblur.models.nafnet import NAFBlock, NAFNet, NAFNetConfig
from unblur.models.padding import pad_to_multiple
from unblur.models.pooling import share_weights_at_scale

FOLD_PX = 4
"""Side of the pixel squares that the fusion network folds into channels."""

CORRECTION_SCALE = 8.0
"""Factor on corrections, which are a few hundredths of white, so that inputs have about unit range."""

FIRST_BIAS = -3.0
"""Initial logit of the coarser result's weight: training begins with a weight of 0.05."""

MOST_SCALES = 8
"""Largest number of scales: at the last of eight a photograph is a hundredth of its size."""


@dataclass(frozen=True, kw_only=True)
class MultiScaleConfig:
    """Sizes of a restoring network at several scales of the image."""

    nafnet: NAFNetConfig
    """The restoring network; its weights are shared by all scales."""
    scales: int = 3
    """Number of scales: full size, half, quarter and so on."""
    channels: int = 48
    """Channels of the fusion network."""
    blocks: int = 4
    """Blocks of the fusion network."""
    condition_on_coarser: bool = False
    """Whether the restoring network is conditioned on the next smaller scale; otherwise the fusion alone is."""

    def __post_init__(self) -> None:
        if self.scales > MOST_SCALES:
            raise ValueError(f"{self.scales} scales are too many for a photograph; use {MOST_SCALES} at most")
        if self.scales < 2 or self.channels < 1 or self.blocks < 0:
            raise ValueError(f"there must be two scales at least, and channels for the fusion: {self}")


class ScaleFusion(nn.Module):
    """Network that fuses restorations of two scales.

    Shape: three times (B, 3, H, W), multiples of 4 -> (B, 3, H, W).
    """

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        self.intro = nn.Conv2d(9 * FOLD_PX**2, channels, 3, padding=1)
        self.body = nn.Sequential(*(NAFBlock(channels, FOLD_PX) for _ in range(blocks)))
        self.ending = nn.Conv2d(channels, 4 * FOLD_PX**2, 3, padding=1)
        nn.init.zeros_(self.ending.weight)
        nn.init.zeros_(cast(Tensor, self.ending.bias))

    def forward(self, blurry: Tensor, restored: Tensor, coarser: Tensor) -> Tensor:
        """Fuse `restored`, made at this scale, with `coarser`, made at the next smaller one and upsampled."""
        corrections = (CORRECTION_SCALE * (restored - blurry), CORRECTION_SCALE * (coarser - blurry))
        folded = F.pixel_unshuffle(torch.cat((blurry - 0.5, *corrections), dim=1), FOLD_PX)
        # The output is converted to the precision of the image, as in NAFNet.
        output = F.pixel_shuffle(self.ending(self.body(self.intro(folded))), FOLD_PX).to(blurry.dtype)
        weight = torch.sigmoid(output[:, :1] + FIRST_BIAS)
        fused: Tensor = restored + weight * (coarser - restored) + output[:, 1:] / CORRECTION_SCALE
        return fused


class MultiScale(nn.Module):
    """Network that restores a blurry image at several scales.

    Shape: (B, 3, H, W) RGB in [0, 1] -> same, any H and W.
    """

    def __init__(self, config: MultiScaleConfig) -> None:
        super().__init__()
        self.config = config
        self.nafnet = NAFNet(config.nafnet)
        self.fusion = ScaleFusion(config.channels, config.blocks)
        self.coarse_proj = _zero_projection(config.nafnet) if config.condition_on_coarser else None
        # All scales share their weights. Tuples hide the modules from PyTorch, which would register them twice.
        factors = [2**scale for scale in range(1, config.scales)]
        self._nafnets = (self.nafnet, *(share_weights_at_scale(self.nafnet, n) for n in factors))
        self._fusions = (self.fusion, *(share_weights_at_scale(self.fusion, n) for n in factors[:-1]))

    def forward(self, blurry: Tensor) -> Tensor:
        """Restore the image at the smallest scale, then refine it at each larger one."""
        height, width = blurry.shape[2:]
        # At every scale but the smallest the fusion needs multiples of its square.
        images = [pad_to_multiple(blurry, FOLD_PX * 2 ** (self.config.scales - 2))]
        for _ in range(self.config.scales - 1):
            images.append(F.avg_pool2d(images[-1], 2))
        correction: Tensor = self._nafnets[-1](images[-1]) - images[-1]
        finer = zip(self._nafnets[:-1], self._fusions, images[:-1], strict=True)
        for nafnet, fuse, image in reversed(list(finer)):
            correction = upsample2x(correction)
            restored = nafnet(image, self._project_coarser(correction))
            correction = fuse(image, restored, image + correction) - image
        return blurry + correction[..., :height, :width]

    def _project_coarser(self, correction: Tensor) -> Tensor | None:
        """Project the upsampled correction to features. Shape: (B, 3, H, W) -> (B, C, H / stem, W / stem), padded."""
        if self.coarse_proj is None:
            return None
        whole = pad_to_multiple(CORRECTION_SCALE * correction, self.nafnet.multiple_of)
        features: Tensor = self.coarse_proj(F.pixel_unshuffle(whole, self.config.nafnet.stem_stride))
        return features


def _zero_projection(config: NAFNetConfig) -> nn.Conv2d:
    """Return a zero-initialised convolution with the shape of the network's first one."""
    projection = nn.Conv2d(3 * config.stem_stride**2, config.width, 3, padding=1)
    nn.init.zeros_(projection.weight)
    nn.init.zeros_(cast(Tensor, projection.bias))
    return projection


class HalfResolution(nn.Module):
    """Network that runs another one at half resolution and adds the upsampled correction, in a quarter of the time.

    Shape: (B, 3, H, W) RGB in [0, 1] -> same, any H and W.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self._smaller = (share_weights_at_scale(network, 2),)

    def forward(self, blurry: Tensor) -> Tensor:
        """Restore the image from its half size."""
        height, width = blurry.shape[2:]
        (network,) = self._smaller
        half = F.avg_pool2d(pad_to_multiple(blurry, 2), 2)
        return blurry + upsample2x(network(half) - half)[..., :height, :width]


def upsample2x(correction: Tensor) -> Tensor:
    """Upsample bilinearly, aligned with 2x2 average pooling. Shape: (B, C, H, W) -> (B, C, 2H, 2W)."""
    return F.interpolate(correction, scale_factor=2, mode="bilinear", align_corners=False)
