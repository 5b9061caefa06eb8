"""Statistics of natural scenes, on which NIQE and BRISQUE are built.

Sources: Mittal, Moorthy, Bovik, "No-Reference Image Quality Assessment in the Spatial Domain", IEEE Transactions on
Image Processing 21(12), 2012, equations 1 to 14; the shape of a generalised Gaussian by moments: Sharifi, Leon-Garcia,
IEEE Transactions on Circuits and Systems for Video Technology 5(1), 1995; of an asymmetric one: Lasmar, Stitou,
Berthoumieu, ICIP 2009. Constants as in the authors' releases for MATLAB: 8-bit levels, a window of 7 x 7 with sigma
7/6, shapes in steps of 0.001. Tensors here are float64 in levels of 0 to 255.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from unblur.metrics.windows import compute_gaussian_weights, compute_window_means

RADIUS_PX = 3
SIGMA_PX = 7 / 6
FLAT_LEVELS = 1e-9
"""Less than any real difference of 8-bit images, more than the rounding of float64."""
SHAPES_FROM, SHAPES_STEP, SHAPES = 0.2, 0.001, 9801
"""The shapes that the fits choose among: 0.2 to 10."""

GRAY = (0.298936021293775, 0.587043074451121, 0.114020904255103)
"""MATLAB's `rgb2gray`: the first row of the inverse of its YIQ-to-RGB matrix."""
LUMA = (65.481, 128.553, 24.966)
LUMA_OFFSET = 16
"""MATLAB's `rgb2ycbcr`: ITU-R BT.601 with 219 levels for RGB in [0, 1]."""


def to_gray_levels(image: Tensor) -> Tensor:
    """Convert as `rgb2gray` does 8-bit images: RGB in [0, 1], (B, 3, H, W) -> whole levels 0 to 255, (B, H, W)."""
    weights = torch.tensor(GRAY, dtype=torch.float64, device=image.device)
    return ((image.double() * 255).movedim(1, -1) @ weights).round()


def to_luma_levels(image: Tensor) -> Tensor:
    """The Y of `rgb2ycbcr` of an 8-bit image: RGB in [0, 1], (B, 3, H, W) -> whole levels 16 to 235, (B, H, W)."""
    weights = torch.tensor(LUMA, dtype=torch.float64, device=image.device)
    return (image.double().movedim(1, -1) @ weights + LUMA_OFFSET).round()


def normalise_luminance(levels: Tensor, border: str) -> Tensor:
    """Levels less their local mean, over their local deviation plus one: (B, H, W) -> the same shape.

    `border` is "replicate" or "constant" (zeros): the two differ in what lies beyond the image. Where the levels are
    flat the result is zero, as in exact arithmetic: the fits count signs, which the rounding of a mean must not decide.
    """
    weights = compute_gaussian_weights(RADIUS_PX, SIGMA_PX, levels)

    def mean(values: Tensor) -> Tensor:
        return compute_window_means(F.pad(values[:, None], (RADIUS_PX,) * 4, mode=border)[:, 0], weights)

    local_mean = mean(levels)
    deviation = (mean(levels.square()) - local_mean.square()).abs().sqrt()
    excess = levels - local_mean
    return torch.where(excess.abs() < FLAT_LEVELS, 0, excess / (deviation + 1))


def halve(levels: Tensor) -> Tensor:
    """MATLAB's `imresize(levels, 0.5)`: Keys' bicubic kernel stretched to eight taps, edges mirrored. (..., H, W).

    Keys, "Cubic convolution interpolation for digital image processing", IEEE Transactions on Acoustics, Speech, and
    Signal Processing 29(6), 1981, with a = -1/2.
    """
    at = (torch.arange(8, dtype=levels.dtype, device=levels.device) - 3.5).abs() / 2
    near = 1.5 * at**3 - 2.5 * at**2 + 1
    far = -0.5 * at**3 + 2.5 * at**2 - 4 * at + 2
    weights = torch.where(at <= 1, near, far)
    weights = weights / weights.sum()
    for axis in (-2, -1):
        length = levels.shape[axis]
        places = torch.arange(-3, 2 * ((length + 1) // 2) + 3, device=levels.device)
        places = torch.where(places < 0, -1 - places, places)
        places = torch.where(places >= length, 2 * length - 1 - places, places)
        levels = levels.index_select(axis, places).unfold(axis, 8, 2) @ weights
    return levels


def multiply_neighbours(normalised: Tensor) -> list[Tensor]:
    """Each value times its neighbour to the right, below, and on both diagonals, round the edges: (N, h, w) each."""
    shifts = ((0, 1), (1, 0), (1, 1), (1, -1))
    return [normalised * normalised.roll(shift, dims=(1, 2)) for shift in shifts]


def fit_gaussian(values: Tensor) -> tuple[Tensor, Tensor]:
    """Shape and variance of generalised Gaussians: (N, ...) -> (N,) twice."""
    values = values.flatten(1)
    variance = values.square().mean(1)
    ratio = values.abs().mean(1).square() / variance
    # Nearest in the inverse of the ratio, as in the authors' release; minus, because it falls where shapes rise.
    return _find_nearest_shape(-1 / _compute_moment_ratios(values.device), -1 / ratio), variance


def fit_asymmetric_gaussian(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Shape and both deviations, left and right of zero, of asymmetric Gaussians: (N, ...) -> (N,) three times.

    Without values on one side, or of zeros alone, deviations are NaN and the shape is the smallest, as in MATLAB.
    """
    values = values.flatten(1)
    squares = values.square()
    left, right = values < 0, values > 0
    left_deviation = ((squares * left).sum(1) / left.sum(1)).sqrt()
    right_deviation = ((squares * right).sum(1) / right.sum(1)).sqrt()
    skew = left_deviation / right_deviation
    ratio = values.abs().mean(1).square() / squares.mean(1)
    ratio = ratio * (skew**3 + 1) * (skew + 1) / (skew.square() + 1).square()
    return _find_nearest_shape(_compute_moment_ratios(values.device), ratio), left_deviation, right_deviation


def compute_asymmetric_mean(shape: Tensor, left_scale: Tensor, right_scale: Tensor) -> Tensor:
    """The mean of an asymmetric Gaussian of these scales (`compute_scale` its deviations)."""
    return (right_scale - left_scale) * (torch.lgamma(2 / shape) - torch.lgamma(1 / shape)).exp()


def compute_scale(shape: Tensor, deviation: Tensor) -> Tensor:
    """The scale, beta in the papers, of a generalised Gaussian of this shape and deviation."""
    return deviation * ((torch.lgamma(1 / shape) - torch.lgamma(3 / shape)) / 2).exp()


def _list_shapes(device: torch.device) -> Tensor:
    return SHAPES_FROM + SHAPES_STEP * torch.arange(SHAPES, dtype=torch.float64, device=device)


def _compute_moment_ratios(device: torch.device) -> Tensor:
    """Squared mean magnitude over variance for every shape; rises with the shape."""
    inverse = 1 / _list_shapes(device)
    return (2 * torch.lgamma(2 * inverse) - torch.lgamma(inverse) - torch.lgamma(3 * inverse)).exp()


def _find_nearest_shape(table: Tensor, wanted: Tensor) -> Tensor:
    """The shape whose entry in the ascending `table` lies nearest to each of `wanted`; the first for NaN."""
    above = torch.searchsorted(table, wanted).clamp(1, len(table) - 1)
    place = torch.where(wanted - table[above - 1] <= table[above] - wanted, above - 1, above)
    return _list_shapes(wanted.device)[torch.where(wanted.isnan(), 0, place)]
