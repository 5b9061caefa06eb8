"""The kernel that turns the gradients of a sharp image into those of a blurry one, by non-negative least squares.

The data term depends on the images through two small arrays only: the autocorrelation of the sharp gradients, and
their cross-correlation with the blurry ones. Each iteration is therefore a convolution of the size of the kernel,
whatever the size of the images.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, fft

from unblur.deconvolution.fourier import compute_differences, compute_taper, find_fast_length

RIDGE = 2e-2
"""Weight of the squared kernel, relative to the energy of the sharp gradients."""


@dataclass(frozen=True)
class Correlations:
    """The correlations that least squares needs, of P windows."""

    sharp: Tensor
    """Autocorrelation of the sharp gradients, (P, 2 S - 1, 2 S - 1), the origin in the middle."""
    cross: Tensor
    """Correlation of the sharp gradients with the blurry ones, (P, S, S), the origin in the middle."""
    blurry: Tensor
    """Energy of the blurry gradients, (P,)."""

    @property
    def side(self) -> int:
        """S."""
        return self.cross.shape[-1]

    @property
    def energy(self) -> Tensor:
        """Energy of the sharp gradients, (P,)."""
        return self.sharp[:, self.side - 1, self.side - 1]


def correlate(sharp: Tensor, blurry: Tensor, side: int, weights: Tensor | None = None) -> Correlations:
    """The correlations of one window. `sharp`, `blurry` and `weights`: (H, W), linear light; `side` is odd.

    Gradients are multiplied by `weights`, in [0, 1], and fade out at the borders, across which light came from outside.
    """
    height, width = blurry.shape
    window = compute_taper(height, width, side)
    if weights is not None:
        window = window * weights
    size = find_fast_length(height + side), find_fast_length(width + side)
    gradients = compute_differences(blurry) * window
    ours, theirs = (fft.rfft2(own, s=size) for own in (compute_differences(sharp) * window, gradients))
    reach = side // 2
    cross = fft.irfft2((ours.conj() * theirs).sum(0), s=size).roll((reach, reach), (0, 1))
    own = fft.irfft2(ours.abs().square().sum(0), s=size).roll((side - 1, side - 1), (0, 1))
    return Correlations(
        sharp=own[None, : 2 * side - 1, : 2 * side - 1],
        cross=cross[None, :side, :side],
        blurry=gradients.square().sum()[None],
    )


def join(windows: list[Correlations]) -> Correlations:
    """The correlations of several windows as one object."""
    return Correlations(
        sharp=torch.cat([window.sharp for window in windows]),
        cross=torch.cat([window.cross for window in windows]),
        blurry=torch.cat([window.blurry for window in windows]),
    )


class NormalEquations:
    """The quadratic form of the data term: `apply` is its matrix, `correlations.cross` its right-hand side."""

    def __init__(self, correlations: Correlations) -> None:
        self.correlations = correlations
        self.side = correlations.side
        length = find_fast_length(3 * self.side - 2)
        self._size = (length, length)
        self._spectrum = fft.rfft2(correlations.sharp, s=self._size)

    def apply(self, kernels: Tensor) -> Tensor:
        """Shape: (P, S, S) -> (P, S, S)."""
        first, last = self.side - 1, 2 * self.side - 1
        full: Tensor = fft.irfft2(self._spectrum * fft.rfft2(kernels, s=self._size), s=self._size)
        return full[:, first:last, first:last]

    @property
    def largest_eigenvalue(self) -> Tensor:
        """An upper bound, (P,)."""
        bound: Tensor = self._spectrum.abs().amax(dim=(1, 2))
        return bound

    def residual(self, kernels: Tensor) -> Tensor:
        """Share of the energy of the blurry gradients that the kernels leave unexplained, (P,), in [0, about 1]."""
        found = self.correlations
        error = found.blurry + (kernels * (self.apply(kernels) - 2 * found.cross)).sum(dim=(1, 2))
        return error.clamp(min=0) / found.blurry.clamp(min=1e-20)


def fit_kernel(
    sharp: Tensor,
    blurry: Tensor,
    side: int,
    start: Tensor | None = None,
    *,
    ridge: float = RIDGE,
    iterations: int = 150,
) -> Tensor:
    """The kernel with `sharp * kernel ~ blurry`, not negative, not normalised.

    `sharp` and `blurry` are (H, W) in linear light; `start` is a first guess, (side, side).
    """
    equations = NormalEquations(correlate(sharp, blurry, side))
    energy = float(equations.correlations.energy)
    if energy <= 0:
        return torch.zeros(side, side)
    step = 1 / (float(equations.largest_eigenvalue) + ridge * energy)
    first = torch.full((1, side, side), 1 / side**2) if start is None else start[None]

    def gradient(kernel: Tensor) -> Tensor:
        return equations.apply(kernel) - equations.correlations.cross + ridge * energy * kernel

    return minimise_non_negative(gradient, first, step=step, iterations=iterations)[0]


def minimise_non_negative(
    gradient: Callable[[Tensor], Tensor], start: Tensor, *, step: float, iterations: int
) -> Tensor:
    """Minimise a convex function over values that are not negative, given its gradient, by steps of length `step`.

    Accelerated projected gradients: FISTA (Beck and Teboulle 2009).
    """
    values, ahead, momentum = start, start, 1.0
    for _ in range(iterations):
        following = (ahead - step * gradient(ahead)).clamp(min=0)
        next_momentum = (1 + math.sqrt(1 + 4 * momentum**2)) / 2
        ahead = following + (momentum - 1) / next_momentum * (following - values)
        values, momentum = following, next_momentum
    return values
