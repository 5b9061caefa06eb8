"""Fourier transforms of images and kernels: sizes, transfer functions, and borders that wrap without an edge."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, fft


@dataclass(frozen=True, kw_only=True)
class Extended:
    """An image extended on all sides so that it is periodic without an edge."""

    image: Tensor
    """(..., H, W), H and W lengths for which the FFT is fast."""
    known: Tensor
    """(H, W), 1 where the image itself lies and 0 in the extension."""
    top: int
    left: int
    height: int
    width: int
    """Place and size of the image in the extension, in pixels."""

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        return self.image.shape[-2], self.image.shape[-1]

    def crop(self, extended: Tensor) -> Tensor:
        """The part of `extended`, (..., H, W), where the image lies."""
        return extended[..., self.top : self.top + self.height, self.left : self.left + self.width]


def find_fast_length(shortest: int) -> int:
    """The smallest even number of at least `shortest` whose only prime factors are 2, 3 and 5."""
    length = shortest + shortest % 2
    while True:
        rest = length
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return length
        length += 2


def extend(image: Tensor, reach_px: int) -> Extended:
    """Extend `image`, (..., h, w), by at least `reach_px` on each side.

    The extension fades from each border to the opposite one along half a cosine, so that it wraps around smoothly.
    """
    height, width = image.shape[-2:]
    rows, columns = find_fast_length(height + 2 * reach_px), find_fast_length(width + 2 * reach_px)
    top, left = (rows - height) // 2, (columns - width) // 2
    extended = _extend_last(image, left, columns - width - left)
    extended = _extend_last(extended.mT, top, rows - height - top).mT
    known = F.pad(image.new_ones(height, width), (left, columns - width - left, top, rows - height - top))
    return Extended(image=extended, known=known, top=top, left=left, height=height, width=width)


def _extend_last(image: Tensor, before: int, after: int) -> Tensor:
    """Extend along the last dimension."""
    gap = before + after
    place = (torch.arange(gap, dtype=image.dtype, device=image.device) + 1) / (gap + 1)
    share = 0.5 - 0.5 * torch.cos(math.pi * place)
    fill = image[..., -1:] * (1 - share) + image[..., :1] * share
    return torch.cat([fill[..., after:], image, fill[..., :after]], dim=-1)


def compute_transfer_function(kernel: Tensor, size: tuple[int, int]) -> Tensor:
    """The transform of a kernel, (..., S, S) with odd S and its origin in the middle, for images of `size`."""
    side = kernel.shape[-1]
    whole = F.pad(kernel, (0, size[1] - side, 0, size[0] - side))
    transfer: Tensor = fft.rfft2(whole.roll((-(side // 2), -(side // 2)), (-2, -1)))
    return transfer


def compute_difference_transfers(size: tuple[int, int], like: Tensor) -> Tensor:
    """The transforms of the differences to the right and to the lower neighbour. Shape: (2, H, W // 2 + 1), complex."""
    steps = torch.zeros(2, *size, dtype=like.dtype, device=like.device)
    steps[:, 0, 0] = -1
    steps[0, 0, -1] = 1
    steps[1, -1, 0] = 1
    transfers: Tensor = fft.rfft2(steps)
    return transfers


def compute_differences(image: Tensor) -> Tensor:
    """Differences to the right and to the lower neighbour, 0 in the last column and row. (H, W) -> (2, H, W)."""
    across = F.pad(image[:, 1:] - image[:, :-1], (0, 1))
    down = F.pad(image[1:] - image[:-1], (0, 0, 0, 1))
    return torch.stack([across, down])


def compute_taper(height: int, width: int, reach_px: int) -> Tensor:
    """A window that rises from 0 to 1 over `reach_px`, at most a quarter, at each border. Shape: (height, width)."""

    def rise(length: int) -> Tensor:
        window = torch.ones(length)
        reach = min(reach_px, length // 4)
        ramp = 0.5 - 0.5 * torch.cos(math.pi * (torch.arange(reach) + 0.5) / max(1, reach))
        window[:reach], window[length - reach :] = ramp, ramp.flip(0)
        return window

    return rise(height)[:, None] * rise(width)
