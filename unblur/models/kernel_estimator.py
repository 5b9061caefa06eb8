"""The kernel estimator: from correlations of a blurry photograph with a rough restoration to the blur kernel.

One idea: least squares already gives the kernel, with noise and with the errors of the restoration, but it has no
prior on the shape of kernels. A small U-net on images of the kernel's size learns this prior, and runs in a few
milliseconds whatever the size of the photograph. Another input is the kernel of a solver without learned weights
(`unblur.deconvolution.edges`), which is better than correlations for long blur and useless where it diverged; the
network learns which of the two is more reliable. A second output predicts the error of the first.

Source: ours. Learned kernels from correlations go back to Schuler et al. 2016, "Learning to Deblur", where a network
alternates with quotients of spectra.
"""

from dataclasses import dataclass
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

STEM_STRIDE = 2
"""Side of the pixel squares that are folded into channels: large tensors with few channels are limited by memory."""


@dataclass(frozen=True, kw_only=True)
class KernelEstimatorConfig:
    """Sizes of a kernel estimator."""

    inputs: int = 9
    """Feature images: those of `unblur.deconvolution.kernel_features` and the solver's kernel."""
    channels: tuple[int, int, int] = (32, 64, 64)
    """Channels at strides 2, 4 and 8; there are as many at stride 16 as at 8."""


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions, each after a ReLU, added to the input. Shape: (B, C, H, W) -> same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        change: Tensor = self.second(F.relu(self.first(F.relu(x))))
        return x + change


class KernelEstimator(nn.Module):
    """Network that computes the logarithm of a kernel and of its expected error from features of the kernel.

    Shape: (B, inputs, S, S) -> (B, S, S), whose exponential sums to 1, and (B,): the logarithm of the expected squared
    error relative to the kernel's squared norm, both after smoothing over two pixels.
    """

    def __init__(self, config: KernelEstimatorConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.channels
        coarser = (*channels[1:], channels[-1])
        self.intro = nn.Conv2d(config.inputs * STEM_STRIDE**2, channels[0], 3, padding=1)
        self.encoders = nn.ModuleList(ResidualBlock(count) for count in channels)
        self.downs = nn.ModuleList(
            nn.Conv2d(fine, coarse, 2, stride=2) for fine, coarse in zip(channels, coarser, strict=True)
        )
        self.middle = nn.Sequential(ResidualBlock(channels[-1]), ResidualBlock(channels[-1]))
        self.context = nn.Linear(channels[-1], channels[-1])
        self.ups = nn.ModuleList(
            nn.Conv2d(coarse, fine, 1) for fine, coarse in zip(reversed(channels), reversed(coarser), strict=True)
        )
        self.decoders = nn.ModuleList(ResidualBlock(count) for count in reversed(channels))
        self.ending = nn.Conv2d(channels[0], STEM_STRIDE**2, 3, padding=1)
        self.error = nn.Linear(channels[-1], 1)

    @property
    def multiple_of(self) -> int:
        """The multiple to which sides are padded."""
        return int(STEM_STRIDE * 2 ** len(self.downs))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        height, width = features.shape[2:]
        whole = F.pad(features, (0, -width % self.multiple_of, 0, -height % self.multiple_of))
        x = self.intro(F.pixel_unshuffle(whole, STEM_STRIDE))
        skips = []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            x = encoder(x)
            skips.append(x)
            x = down(x)
        x = self.middle(x)
        mean = x.mean(dim=(2, 3))
        log_error = self.error(F.relu(mean))[:, 0]
        x = x + F.relu(self.context(mean))[..., None, None]
        for up, decoder, skip in zip(self.ups, self.decoders, reversed(skips), strict=True):
            x = decoder(F.interpolate(up(x), scale_factor=2.0, mode="nearest") + skip)
        scores = F.pixel_shuffle(cast(Tensor, self.ending(x)), STEM_STRIDE)[:, 0, :height, :width].float()
        return scores.flatten(1).log_softmax(dim=1).view_as(scores), log_error.float()
