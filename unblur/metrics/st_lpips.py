"""ST-LPIPS, a perceptual distance that a shift of a pixel or two hardly moves. It is not LPIPS: do not mix them.

Source: Ghildyal, Liu, "Shift-tolerant Perceptual Similarity Metric", ECCV 2022, arXiv 2207.13686: LPIPS with strides
taken out of its first convolution and its pools, and a blur (Zhang, "Making Convolutional Networks Shift-Invariant
Again", ICML 2019: 1-2-1 in both directions, every other pixel, reflected borders of two pixels) in their place.

The weights, backbone and heads in one file, are in the PyPI package stlpips-pytorch (BSD-2; our extra `perceptual`).
Nothing of the package is imported: part of its code is non-commercial (Adobe, CC BY-NC-SA) and it needs torchvision.
The networks are written here from the papers, with layers at the places that the file names.
"""

import re
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unblur.errors import UnblurError
from unblur.metrics.lpips import CHANNELS, Network, alexnet_end, vgg16
from unblur.metrics.perceptual import PerceptualDistance, read_weights, take_features, take_heads

TAPS: dict[Network, tuple[int, ...]] = {"alex": (2, 6, 10, 12, 14), "vgg": (3, 9, 17, 25, 33)}
PACKAGE = "stlpips_pytorch"


def load_st_lpips(network: Network, weights: Path | None = None) -> PerceptualDistance:
    """ST-LPIPS from `weights`, or from the installed package for None.

    Raises UnblurError when they are missing, damaged, or of another network.
    """
    path = find_packaged_weights(network) if weights is None else weights
    state = read_weights(path, f"ST-LPIPS needs {network}_shift_tolerant.pth out of the PyPI package stlpips-pytorch")
    features = _alexnet() if network == "alex" else vgg16(lambda: [nn.MaxPool2d(2, stride=1), BlurPool()])
    take_features(features, state, _shorten_key, path)
    return PerceptualDistance(features, TAPS[network], take_heads(state, CHANNELS[network], path))


class BlurPool(nn.Module):
    """1-2-1 in both directions of every other pixel, after two reflected pixels on each side."""

    def forward(self, values: Tensor) -> Tensor:
        line = values.new_tensor([1.0, 2.0, 1.0]) / 4
        window = torch.outer(line, line).expand(values.shape[1], 1, 3, 3)
        return F.conv2d(F.pad(values, (2, 2, 2, 2), mode="reflect"), window, stride=2, groups=values.shape[1])


def find_packaged_weights(network: Network) -> Path:
    """The file inside the installed package. Raises UnblurError when the package is missing."""
    found = find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise UnblurError(
            "The weights of ST-LPIPS are missing: install unblur[perceptual], "
            f"or give the file {network}_shift_tolerant.pth out of the PyPI package stlpips-pytorch."
        )
    return Path(found.submodule_search_locations[0]) / "weights" / "vST0.0" / f"{network}_shift_tolerant.pth"


def _shorten_key(name: str) -> str | None:
    """Shorten a key: "net.slice2.5.weight" -> "5.weight"."""
    match = re.fullmatch(r"net\.slice\d\.(\d+\.(?:weight|bias))", name)
    return match[1] if match else None


def _alexnet() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 64, 11, padding=2),
        BlurPool(),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=1),
        BlurPool(),
        nn.Conv2d(64, 192, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=1),
        BlurPool(),
        *alexnet_end(),
    )
