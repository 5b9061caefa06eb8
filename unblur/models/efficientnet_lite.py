"""EfficientNet-Lite: a small classifier of ImageNet's thousand classes, and its features at five strides.

One idea: blocks with few channels outside and many inside, whose only spatial operation is a depthwise convolution.

Sources: "EfficientNet" (Tan, Le 2019, arXiv 1905.11946) for the table of stages and the two coefficients that scale
it; "MobileNetV2" (Sandler et al. 2018, arXiv 1801.04381) for the block; Lite is its authors' version for phones
(R. Liu, "Higher accuracy on vision models with EfficientNet-Lite", 2020): no squeeze and excitation, ReLU6 instead of
swish, and the stem and the head keep their size. Coefficients 1 and 1 are Lite0.

Differences: batch normalisation is folded into the convolution before it (one shift for each channel where the papers
count a scale and a shift), because its statistics stay what ImageNet made them: nothing here differs between training
and use. Any size, by edge replication to a multiple of 32, which keeps every stride in its place; for sizes that are
multiples the numbers are those of the papers' "same" padding. Features are convolutions and nothing else, so those of
a tile equal those of the whole beyond their reach.
"""

import math
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from unblur.models.features import FEATURE_GRID_PX, FeatureLevel, normalize_for_imagenet
from unblur.models.padding import pad_to_multiple

STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
"""Expansion, channels, blocks, stride and kernel of each stage of the paper and of Lite0."""

STEM_CHANNELS, HEAD_CHANNELS, CLASSES = 32, 1280, 1000


@dataclass(frozen=True, kw_only=True)
class EfficientNetLiteConfig:
    """Sizes of an EfficientNet-Lite. The defaults are Lite0, the one whose weights the extra `prior` brings."""

    width: float = 1.0
    """Factor on the channels, which are rounded to multiples of 8."""
    depth: float = 1.0
    """Factor on the blocks of all stages but the first and the last, rounded up."""

    def __post_init__(self) -> None:
        if not (self.width > 0 and self.depth > 0):
            raise ValueError(f"width and depth must be positive: {self}")

    def channels(self, of_lite0: int) -> int:
        """Return the channels in place of `of_lite0` of Lite0: the nearest multiple of 8, at most a tenth fewer."""
        scaled = of_lite0 * self.width
        rounded = max(8, int(scaled + 4) // 8 * 8)
        return rounded if rounded >= 0.9 * scaled else rounded + 8


class Convolution(nn.Conv2d):
    """A convolution with a shift whose output is as large as its input, or half, where sides are even.

    Zeros are padded as TensorFlow pads an even side ("same"): the odd one, if any, goes below and to the right.
    """

    def __init__(self, channels_in: int, channels: int, kernel: int, *, stride: int = 1, groups: int = 1) -> None:
        super().__init__(channels_in, channels, kernel, stride=stride, groups=groups)
        self.before, self.after = (kernel - stride) // 2, (kernel - 1) // 2

    def forward(self, x: Tensor) -> Tensor:
        if self.before or self.after:
            x = F.pad(x, (self.before, self.after, self.before, self.after))
        return super().forward(x)


class InvertedBottleneck(nn.Module):
    """Block with few channels outside and many inside (MBConv).

    Shape: (B, C, H, W) -> (B, C', H / stride, W / stride).
    """

    def __init__(self, channels_in: int, channels: int, *, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        inside = channels_in * expansion
        self.expand = Convolution(channels_in, inside, 1) if expansion > 1 else None
        self.depthwise = Convolution(inside, inside, kernel, stride=stride, groups=inside)
        self.project = Convolution(inside, channels, 1)
        self.adds_to_input = stride == 1 and channels_in == channels

    def forward(self, x: Tensor) -> Tensor:
        inside = x if self.expand is None else F.relu6(self.expand(x))
        projected: Tensor = self.project(F.relu6(self.depthwise(inside)))
        return x + projected if self.adds_to_input else projected


class EfficientNetLite(nn.Module):
    """Features of a photograph, without the classifier. Shape: (B, 3, H, W) sRGB in [0, 1] -> see `levels`."""

    def __init__(self, config: EfficientNetLiteConfig) -> None:
        super().__init__()
        self.stem = Convolution(3, STEM_CHANNELS, 3, stride=2)
        self.blocks = nn.ModuleList()
        channels_in, stride_px = STEM_CHANNELS, 2
        ends: dict[int, tuple[int, FeatureLevel]] = {}
        for index, (expansion, of_lite0, repeats, stride, kernel) in enumerate(STAGES):
            channels = config.channels(of_lite0)
            scaled = 0 < index < len(STAGES) - 1
            stride_px *= stride
            for repeat in range(math.ceil(repeats * config.depth) if scaled else repeats):
                block = InvertedBottleneck(
                    channels_in, channels, expansion=expansion, kernel=kernel, stride=1 if repeat else stride
                )
                self.blocks.append(block)
                channels_in = channels
            # Of several stages with one stride the last has the features of that level.
            ends[stride_px] = len(self.blocks) - 1, FeatureLevel(stride_px=stride_px, channels=channels)
        self._taps = {end for end, _ in ends.values()}
        self.levels = tuple(level for _, level in ends.values())

    def forward(self, picture: Tensor) -> list[Tensor]:
        """Compute the features of each level, finest first, at strides 2, 4, 8, 16 and 32."""
        # Edges are replicated before normalisation; convolutions pad with zeros, which are grey after it.
        x = F.relu6(self.stem(normalize_for_imagenet(pad_to_multiple(picture, FEATURE_GRID_PX))))
        features = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self._taps:
                features.append(x)
        return features


class EfficientNetLiteClassifier(nn.Module):
    """Classifier of images. Shape: (B, 3, H, W) sRGB in [0, 1] -> (B, 1000), unnormalised log probabilities."""

    def __init__(self, config: EfficientNetLiteConfig) -> None:
        super().__init__()
        self.features = EfficientNetLite(config)
        self.head = Convolution(self.features.levels[-1].channels, HEAD_CHANNELS, 1)
        self.classify = nn.Linear(HEAD_CHANNELS, CLASSES)

    def forward(self, picture: Tensor) -> Tensor:
        pooled = F.relu6(self.head(self.features(picture)[-1])).mean(dim=(2, 3))
        scores: Tensor = self.classify(pooled)
        return scores
