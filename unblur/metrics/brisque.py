"""BRISQUE: opinion scores predicted from the statistics of an image, without a reference.

Source: Mittal, Moorthy, Bovik, "No-Reference Image Quality Assessment in the Spatial Domain", IEEE Transactions on
Image Processing 21(12), 2012, with the regression that its authors trained on the LIVE database and released
(parameters/brisque.npz; see parameters/README.md): 36 features of the gray image at two scales, each scaled by its
range in training, and a support vector regression with a Gaussian kernel (epsilon-SVR of LIBSVM).

Packages disagree by several points: they swap the authors' gray, border, way of halving, or the regression itself.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from unblur.errors import UnblurError
from unblur.metrics.checks import check_alone
from unblur.metrics.natural_scenes import (
    compute_asymmetric_mean,
    compute_scale,
    fit_asymmetric_gaussian,
    fit_gaussian,
    halve,
    multiply_neighbours,
    normalise_luminance,
    to_gray_levels,
)

SMALLEST_PX = 32
"""Fewer pixels than this squared give no stable moments; the authors name no bound."""


@dataclass(frozen=True, kw_only=True)
class Regression:
    """The released epsilon-SVR; float64."""

    support: Tensor
    """(774, 36), features scaled to their range."""
    coefficients: Tensor
    """(774,)."""
    gamma: float
    rho: float
    lowest: Tensor
    """(36,), the range of each feature in training."""
    highest: Tensor


def brisque(image: Tensor) -> Tensor:
    """Predicted opinion per image, lower is better, about 0 to 100. (B, 3, H, W) -> (B,).

    Values are RGB in [0, 1], which are read as 8-bit levels. Raises UnblurError for other shapes, sides below 32
    pixels, NaN, and flat images.
    """
    check_alone(image, metric="BRISQUE", smallest_px=SMALLEST_PX)
    features = compute_brisque_features(image)
    if not features.isfinite().all():
        raise UnblurError("BRISQUE cannot measure a flat image, which has no statistics; leave it out.")
    regression = _read_regression()
    support, coefficients, lowest, highest = (
        part.to(image.device)
        for part in (regression.support, regression.coefficients, regression.lowest, regression.highest)
    )
    scaled = 2 * (features - lowest) / (highest - lowest) - 1
    squared_distance = (scaled[:, None] - support).square().sum(dim=2)
    return ((-regression.gamma * squared_distance).exp() @ coefficients - regression.rho).to(image.dtype)


def compute_brisque_features(image: Tensor) -> Tensor:
    """The 36 features of the paper, unscaled: (B, 3, H, W) -> (B, 36) float64."""
    levels = to_gray_levels(image)
    return torch.cat([_compute_features(levels), _compute_features(halve(levels))], dim=1)


def _compute_features(levels: Tensor) -> Tensor:
    normalised = normalise_luminance(levels, border="constant")
    features = [*fit_gaussian(normalised)]
    for product in multiply_neighbours(normalised):
        shape, left, right = fit_asymmetric_gaussian(product)
        mean = compute_asymmetric_mean(shape, compute_scale(shape, left), compute_scale(shape, right))
        features += [shape, mean, left.square(), right.square()]
    return torch.stack(features, dim=1)


@cache
def _read_regression() -> Regression:
    with np.load(Path(__file__).parent / "parameters" / "brisque.npz") as file:
        return Regression(
            support=torch.from_numpy(file["support"]),
            coefficients=torch.from_numpy(file["coefficients"]),
            gamma=float(file["gamma"]),
            rho=float(file["rho"]),
            lowest=torch.from_numpy(file["lowest"]),
            highest=torch.from_numpy(file["highest"]),
        )
