"""NAFNet conditioned on motion paths, at strides 4 and 8 of its encoder and decoder.

Two ways to use the paths are compared. *Modulation* predicts a scale and a shift of the features at each position, as
SFT layers do (Wang et al. 2018, arXiv 1804.02815). *Sampling* reads the features at the points of the path and of the
mirrored path, which deformable convolutions along the exposure's trajectory do (Zhang et al. 2021, "Exposure Trajectory
Recovery from Motion Blur"). Their last layers begin with zeros: at first the network equals the unconditioned one.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unblur.models.nafnet import NAFNet
from unblur.models.padding import pad_to_multiple

Mechanism = Literal["modulation", "sampling"]

PATH_POINTS = 8
"""Points of each path, at equal steps of time."""

PATH_STRIDE_PX = 8
"""Pixels between neighbouring paths."""

CONDITIONED_STRIDES_PX = (4, 8)

UNIT_PX = 10.0
"""Pixels for each unit of the paths inside the network."""

HIDDEN_CHANNELS, SAMPLED_CHANNELS = 64, 24


class PathModulation(nn.Module):
    """Features scaled and shifted by functions of the paths.

    Shape: (B, C, H, W), paths (B, 16, H, W) in pixels of the photograph -> (B, C, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.hidden = nn.Sequential(
            nn.Conv2d(2 * PATH_POINTS, HIDDEN_CHANNELS, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(HIDDEN_CHANNELS, HIDDEN_CHANNELS, 3, padding=1),
            nn.GELU(),
        )
        self.project = nn.Conv2d(HIDDEN_CHANNELS, 2 * channels, 1)
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(self.project.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, paths: Tensor) -> Tensor:
        """Condition features on paths."""
        scale, shift = self.project(self.hidden(paths / UNIT_PX)).chunk(2, dim=1)
        conditioned: Tensor = x * (1 + scale) + shift
        return conditioned


class PathSampling(nn.Module):
    """Features with a projection of those along the paths added.

    Shape: (B, C, H, W), paths (B, 16, H, W) in pixels of the photograph -> (B, C, H, W).
    """

    def __init__(self, channels: int, stride_px: int) -> None:
        super().__init__()
        self.stride_px = stride_px
        self.reduce = nn.Conv2d(channels, SAMPLED_CHANNELS, 1)
        self.project = nn.Conv2d(2 * PATH_POINTS * SAMPLED_CHANNELS, channels, 1)
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(self.project.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, paths: Tensor) -> Tensor:
        """Condition features on paths."""
        features = self.reduce(x).float()
        batch, _, height, width = paths.shape
        points = paths.float().view(batch, PATH_POINTS, 2, height, width) / self.stride_px
        sampled = [sample_at(features, sign * offset) for offset in points.unbind(1) for sign in (1, -1)]
        correction: Tensor = self.project(torch.cat(sampled, dim=1))
        return x + correction


def sample_at(features: Tensor, offset: Tensor) -> Tensor:
    """Sample features bilinearly at each position plus its offset (x, y) in positions. (B, C, H, W), (B, 2, H, W)."""
    height, width = features.shape[2:]
    y = torch.arange(height, dtype=torch.float32)[:, None] + offset[:, 1]
    x = torch.arange(width, dtype=torch.float32) + offset[:, 0]
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)
    return F.grid_sample(features, grid, padding_mode="border", align_corners=False)


class ConditionedNAFNet(nn.Module):
    """NAFNet with motion paths as a second input.

    Shape: (B, 3, H, W) RGB in [0, 1], paths (B, 16, H/8, W/8) in pixels, (x, y) of each point -> (B, 3, H, W). The
    sides must be multiples of 8. Paths of zeros mean that the motion is unknown.
    """

    def __init__(self, nafnet: NAFNet, mechanism: Mechanism) -> None:
        """Condition a pretrained network, which is trained further with the new layers."""
        super().__init__()
        self.nafnet = nafnet
        config = nafnet.config
        self.strides_px = [config.stem_stride * 2**level for level in range(len(config.encoder_blocks))]

        def build_layers() -> nn.ModuleDict:
            layers = {}
            for level, stride in enumerate(self.strides_px):
                if stride in CONDITIONED_STRIDES_PX:
                    channels = config.width * 2**level
                    modulates = mechanism == "modulation"
                    layers[str(stride)] = PathModulation(channels) if modulates else PathSampling(channels, stride)
            return nn.ModuleDict(layers)

        self.encoder_conditions, self.decoder_conditions = build_layers(), build_layers()

    def forward(self, blurry: Tensor, paths: Tensor) -> Tensor:
        """Restore the image."""
        nafnet, (height, width) = self.nafnet, blurry.shape[2:]
        whole = pad_to_multiple(blurry, nafnet.multiple_of)
        padding = [side // PATH_STRIDE_PX for side in (whole.shape[3] - width, whole.shape[2] - height)]
        paths = F.pad(paths, (0, padding[0], 0, padding[1]), mode="replicate")
        resized = {stride: _resize_paths(paths, stride) for stride in CONDITIONED_STRIDES_PX}

        def condition(layers: nn.ModuleDict, x: Tensor, stride: int) -> Tensor:
            if str(stride) not in layers:
                return x
            conditioned: Tensor = layers[str(stride)](x, resized[stride])
            return conditioned

        x = nafnet.intro(F.pixel_unshuffle(whole, nafnet.config.stem_stride))
        skips = []
        for encoder, down, stride in zip(nafnet.encoders, nafnet.downs, self.strides_px, strict=True):
            x = encoder(condition(self.encoder_conditions, x, stride))
            skips.append(x)
            x = down(x)
        x = nafnet.middle(x)
        for up, decoder, stride in zip(nafnet.ups, nafnet.decoders, reversed(self.strides_px), strict=True):
            x = decoder(condition(self.decoder_conditions, up(x) + skips.pop(), stride))
        correction = F.pixel_shuffle(nafnet.ending(x), nafnet.config.stem_stride)
        return blurry + correction[..., :height, :width].to(blurry.dtype)


def _resize_paths(paths: Tensor, stride_px: int) -> Tensor:
    """Interpolate paths at every 8th pixel to those at every `stride_px`th."""
    if stride_px == PATH_STRIDE_PX:
        return paths
    return F.interpolate(paths, scale_factor=PATH_STRIDE_PX / stride_px, mode="bilinear", align_corners=False)
