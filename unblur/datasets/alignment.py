"""Measures the displacement between a blurry photograph and its sharp twin."""

from dataclasses import dataclass

import torch
from torch import Tensor

_SMOOTHING_PX = 2.5
"""Finer detail than this says nothing of where a blurred picture lies."""
_WEIGHTS = (0.299, 0.587, 0.114)


@dataclass(frozen=True, kw_only=True)
class Shift:
    """The displacement of the middle of the blur from the sharp photograph, in pixels."""

    right_px: float
    down_px: float

    @property
    def length_px(self) -> float:
        """Distance, whatever the direction."""
        return float((self.right_px**2 + self.down_px**2) ** 0.5)


def measure_shift(blurry: Tensor, sharp: Tensor) -> Shift:
    """The global shift between two pictures (3, H, W) of equal size.

    Phase correlation alone (Kuglin and Hines, 1975) fails here: the spectrum of a blur changes its sign, and the
    peak falls apart in two at the ends of the path. Divided by the sharp picture's power only (Roth's processor;
    Knapp and Carter, "The Generalized Correlation Method for Estimation of Time Delay", 1976), the correlation is the
    blur itself, smoothed; the shift is the centre of all that exceeds half of its maximum.
    """
    height, width = sharp.shape[1:]
    window = _compute_hann_window(height)[:, None] * _compute_hann_window(width)
    blurry_spectrum, sharp_spectrum = (torch.fft.rfft2(_to_grey(picture) * window) for picture in (blurry, sharp))
    power = sharp_spectrum.abs().square()
    frequency = torch.fft.fftfreq(height)[:, None].square() + torch.fft.rfftfreq(width).square()
    smooth = torch.exp(-2 * (torch.pi * _SMOOTHING_PX) ** 2 * frequency)
    quotient = blurry_spectrum * sharp_spectrum.conj() / (power + 1e-3 * power.mean() + 1e-12)
    blur = torch.fft.irfft2(quotient * smooth, s=(height, width))
    peak = int(blur.argmax())
    # With the peak in the middle nothing of the blur is cut at the borders.
    centred = blur.roll((height // 2 - peak // width, width // 2 - peak % width), (0, 1))
    mass = (centred - 0.5 * centred.max()).clamp(min=0)
    mass = mass / mass.sum().clamp(min=1e-12)
    down = float((mass.sum(1) * (torch.arange(height) - height // 2)).sum()) + peak // width
    right = float((mass.sum(0) * (torch.arange(width) - width // 2)).sum()) + peak % width
    return Shift(right_px=_to_signed(right, width), down_px=_to_signed(down, height))


def _to_grey(picture: Tensor) -> Tensor:
    grey = torch.einsum("chw,c->hw", picture.float(), torch.tensor(_WEIGHTS))
    return grey - grey.mean()


def _compute_hann_window(length: int) -> Tensor:
    return torch.hann_window(length + 2, periodic=False)[1:-1]


def _to_signed(shift: float, length: int) -> float:
    return shift - length if shift > length / 2 else shift
