"""LPIPS with its authors' weights, which you bring: they are not part of this package.

Source: Zhang et al., CVPR 2018 (see `unblur.metrics.perceptual`), version 0.1, on AlexNet (Krizhevsky, "One weird trick
for parallelizing convolutional neural networks", arXiv 1404.5997), the one that papers report, or on VGG-16 (Simonyan,
Zisserman, arXiv 1409.1556), the usual loss. Layers stand at the places of torchvision's `features`, so its weight files
load as they are; nothing of torchvision is imported. Two files are needed:

- the backbone: torchvision's alexnet-owt-7be5be79.pth or vgg16-397923af.pth (BSD-3), or the same as .safetensors;
- the heads: alex.pth or vgg.pth in the folder lpips/weights/v0.1 of the PyPI package lpips (BSD-2).

`unblur.checkpoints.hub.find_weights` fetches either from the Hugging Face hub.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from torch import nn

from unblur.metrics.perceptual import PerceptualDistance, read_weights, take_features, take_heads

Network = Literal["alex", "vgg"]

CHANNELS: dict[Network, tuple[int, ...]] = {"alex": (64, 192, 384, 256, 256), "vgg": (64, 128, 256, 512, 512)}
"""Channels of the five layers that are compared."""
TAPS: dict[Network, tuple[int, ...]] = {"alex": (1, 4, 7, 9, 11), "vgg": (3, 8, 15, 22, 29)}
BACKBONES: dict[Network, str] = {"alex": "alexnet-owt-7be5be79.pth", "vgg": "vgg16-397923af.pth"}


def load_lpips(network: Network, *, backbone: Path, heads: Path) -> PerceptualDistance:
    """LPIPS version 0.1 from the two files above. Raises UnblurError when one is missing, damaged or of another."""
    features = _alexnet() if network == "alex" else vgg16(lambda: [nn.MaxPool2d(2)])
    backbone_state = read_weights(
        backbone, f"LPIPS needs torchvision's {BACKBONES[network]} (its own download, or a copy on the hub)"
    )
    heads_state = read_weights(
        heads, f"LPIPS needs {network}.pth out of the folder lpips/weights/v0.1 of the PyPI package lpips"
    )
    take_features(features, backbone_state, _shorten_key, backbone)
    return PerceptualDistance(features, TAPS[network], take_heads(heads_state, CHANNELS[network], heads))


def _shorten_key(name: str) -> str | None:
    return name.removeprefix("features.") if name.startswith("features.") else None


def _alexnet() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 64, 11, stride=4, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2),
        nn.Conv2d(64, 192, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2),
        *alexnet_end(),
    )


def alexnet_end() -> list[nn.Module]:
    """The last three convolutions, which every form of AlexNet here shares."""
    return [
        nn.Conv2d(192, 384, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1),
        nn.ReLU(),
    ]


def vgg16(pool: Callable[[], list[nn.Module]]) -> nn.Sequential:
    """The convolutions of VGG-16, with the layers of `pool` wherever the resolution is halved."""
    layers: list[nn.Module] = []
    channels = 3
    for width, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        if layers:
            layers += pool()
        for _ in range(depth):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
    return nn.Sequential(*layers)
