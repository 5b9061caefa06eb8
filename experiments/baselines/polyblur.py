"""Polyblur, which removes mild blur: it estimates a Gaussian from the steepest edges and inverts it by a polynomial.

Source: Delbracio, Garcia-Dorado, Choi, Kelly, Milanfar, "Polyblur: Removing Mild Blur by Polynomial Reblurring", IEEE
Transactions on Computational Imaging 7, 2021, arXiv 2012.07322. The numbers are those of the package polyblur 0.1.6
(Eboli, MIT), which retells it, and of the command that its README gives. Three rounds of

1. estimating: after stretching grey levels, a sharp picture has an edge from black to white in every direction, whose
   steepest slope is known; the steepest slope in a direction gives the deviation of the blur along it;
2. restoring by p(G), G being the estimated Gaussian as a filter and p the polynomial of third degree with p(1) = 1,
   p'(1) = -1, p''(1) = ALPHA, p(0) = BETA, which is near 1 / x where the blur left something;
3. taking back as much of that as keeps slopes from being reversed, which is what halos are.

Differences: one kernel for the whole picture, as their basic form; no separation of noise; a picture in which no more
blur is found than the least that they estimate is left alone, and not sharpened three times. The filter is exact in the
frequency domain, where a Gaussian is a Gaussian; slopes are derivatives there, of the picture mirrored at its borders,
and not finite differences, which would ask for other constants.
"""

import math
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from unblur.evaluation.peers.planes import to_pixels, to_planes

ROUNDS = 3
ALPHA, BETA = 6.0, 1.0
SLOPE = 0.352
"""The paper's c, for grey levels in [0, 1]: the steepest slope of an edge blurred by a deviation of one pixel."""
OWN_BLUR_PX = 0.768
"""The paper's sigma_b, the deviation of what blurs sharp pictures too."""
CLIPPED_SHARE = 1e-4
"""Share of the pixels, at either end, that are clipped when grey levels are stretched."""
LEAST_PX, MOST_PX = 0.3, 4.0
"""The range of the estimated deviation."""
DIRECTIONS, INTERPOLATED = 6, 30
"""Number of directions in which slopes are measured, and among which the most blurred one is sought, in half a turn."""
_REACH_PX = math.ceil(3 * 3 * MOST_PX)
"""Three deviations of the Gaussian applied three times."""


def restore(blurry: NDArray[Any]) -> NDArray[Any]:
    """Remove mild blur from an image. Shape: (H, W, 3) uint8 sRGB -> same."""
    picture = to_planes(blurry)
    along, across, _ = estimate_gaussian(picture)
    if max(along, across) <= LEAST_PX:
        return blurry.copy()
    for _ in range(ROUNDS):
        picture = _restore_once(picture)
    return to_pixels(picture)


def estimate_gaussian(picture: Tensor) -> tuple[float, float, float]:
    """Deviations in pixels along the most blurred direction and across it, and that direction in radians.

    Takes (1, 3, H, W) in [0, 1]. Directions run from right (0) to down, half a turn.
    """
    grey = picture.mean(1, keepdim=True)
    low, high = (_compute_quantile(grey, share) for share in (CLIPPED_SHARE, 1 - CLIPPED_SHARE))
    if high <= low:
        return LEAST_PX, LEAST_PX, 0.0
    right, down = _compute_slopes(((grey - low) / (high - low)).clamp(0, 1))
    angles = [math.pi * step / DIRECTIONS for step in range(DIRECTIONS)]
    steepest = torch.stack([(math.cos(a) * right + math.sin(a) * down).abs().amax() for a in angles])
    every = _interpolate(steepest)
    along = int(every.argmin())
    across = (along + INTERPOLATED // 2) % INTERPOLATED
    return (
        _compute_deviation(float(every[along])),
        _compute_deviation(float(every[across])),
        math.pi * along / INTERPOLATED,
    )


def _restore_once(picture: Tensor) -> Tensor:
    along, across, direction = estimate_gaussian(picture)
    reach = [min(_REACH_PX, side - 1) for side in picture.shape[2:]]
    padded = F.pad(picture, (reach[1], reach[1], reach[0], reach[0]), mode="reflect")
    filtered = _apply_polynomial(padded, along, across, direction)
    restored = filtered[..., reach[0] : filtered.shape[2] - reach[0], reach[1] : filtered.shape[3] - reach[1]]
    return _remove_halos(picture, restored).clamp(0, 1)


def _apply_polynomial(picture: Tensor, along: float, across: float, direction: float) -> Tensor:
    """p(G) applied to the picture, by Horner's rule in the frequency domain."""
    height, width = picture.shape[2:]
    down = 2 * math.pi * torch.fft.fftfreq(height)[:, None]
    right = 2 * math.pi * torch.fft.rfftfreq(width)[None]
    u = math.cos(direction) * right + math.sin(direction) * down
    v = -math.sin(direction) * right + math.cos(direction) * down
    gaussian = torch.exp(-((along * u).square() + (across * v).square()) / 2)
    cubic, square, linear = ALPHA / 2 - BETA + 2, 3 * BETA - ALPHA - 6, 5 - 3 * BETA + ALPHA / 2
    gain = ((cubic * gaussian + square) * gaussian + linear) * gaussian + BETA
    filtered: Tensor = torch.fft.irfft2(torch.fft.rfft2(picture) * gain, s=(height, width))
    return filtered


def _remove_halos(picture: Tensor, restored: Tensor) -> Tensor:
    """Mixes the picture in where slopes are reversed, just so far that the mixture's slope is flat.

    For slopes s and r, s . (z s + (1 - z) r) = 0 gives z = -s . r / (s . s - s . r).
    """
    (right, down), (restored_right, restored_down) = _compute_slopes(picture), _compute_slopes(restored)
    reversed_by = -(right * restored_right + down * restored_down)
    steepness = right.square() + down.square()
    share = (reversed_by / (steepness + reversed_by).clamp(min=1e-12)).clamp(0, 1)
    return torch.where(reversed_by > 0, share * picture + (1 - share) * restored, restored)


def _compute_slopes(picture: Tensor) -> tuple[Tensor, Tensor]:
    """Derivatives to the right and down, per pixel, of the waves that the mirrored picture is made of."""
    return _compute_derivative(picture, 3), _compute_derivative(picture, 2)


def _compute_derivative(picture: Tensor, axis: int) -> Tensor:
    length = picture.shape[axis]
    mirrored = torch.cat([picture, picture.flip(axis)], dim=axis)
    shape = [1, 1, 1, 1]
    shape[axis] = -1
    frequency = (2 * math.pi * torch.fft.rfftfreq(2 * length)).view(shape)
    frequency.select(axis, -1).zero_()  # The highest one has no side to which it rises.
    waves = torch.fft.rfft(mirrored, dim=axis) * (1j * frequency)
    derivative: Tensor = torch.fft.irfft(waves, n=2 * length, dim=axis)
    return derivative.narrow(axis, 0, length)


def _compute_deviation(steepest: float) -> float:
    variance = (SLOPE / max(steepest, 1e-6)) ** 2 - OWN_BLUR_PX**2
    return min(max(math.sqrt(max(variance, 0)), LEAST_PX), MOST_PX)


def _interpolate(values: Tensor) -> Tensor:
    """DIRECTIONS values around half a turn -> INTERPOLATED, by Keys' cubic with a = -1/2."""
    place = torch.arange(INTERPOLATED) * (DIRECTIONS / INTERPOLATED)
    first = place.floor()
    t = place - first
    weights = (
        ((-0.5 * t + 1) * t - 0.5) * t,
        (1.5 * t - 2.5) * t * t + 1,
        ((-1.5 * t + 2) * t + 0.5) * t,
        (0.5 * t - 0.5) * t * t,
    )
    places = [(first.long() + offset) % DIRECTIONS for offset in (-1, 0, 1, 2)]
    return torch.stack([weight * values[one] for weight, one in zip(weights, places, strict=True)]).sum(0)


def _compute_quantile(grey: Tensor, share: float) -> float:
    """Without torch.quantile, which takes no more than 16 million values."""
    flat = grey.flatten()
    place = round(share * (flat.numel() - 1)) + 1
    return float(flat.kthvalue(place).values)
