"""The interface of feature extractors: the levels of teachers, students and priors."""

from dataclasses import dataclass

from torch import Tensor

FEATURE_GRID_PX = 32
"""Heights and widths are padded to a multiple of this before features are taken; no level is coarser."""

IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and deviation of ImageNet's training photographs, red, green and blue in sRGB; classifiers expect them removed.
"""


@dataclass(frozen=True, kw_only=True)
class FeatureLevel:
    """Features of one scale. Shape: (B, `channels`, H / `stride_px`, W / `stride_px`), H and W padded."""

    stride_px: int
    """Pixels of the photograph from one position to the next."""
    channels: int


def normalize_for_imagenet(picture: Tensor) -> Tensor:
    """Normalise `picture`, (B, 3, H, W) sRGB in [0, 1], by ImageNet's mean and deviation, as classifiers expect."""
    mean, deviation = (picture.new_tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_DEVIATION))
    return (picture - mean) / deviation
