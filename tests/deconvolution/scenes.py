"""Sharp scenes and blur made with NumPy and SciPy alone, as an independent truth."""

import numpy as np
import torch
from scipy import ndimage
from scipy.signal import fftconvolve
from skimage import data
from torch import Tensor


def camera_man(size_px: int = 256) -> Tensor:
    """A photograph, (size, size) linear light."""
    image = data.camera()[60 : 60 + size_px, 130 : 130 + size_px] / 255
    return torch.from_numpy((image**2.2).astype(np.float32))


def path_kernel(side: int, seed: int, length: float) -> Tensor:
    """A smooth random path drawn with SciPy, centred, (side, side) with sum 1."""
    generator = np.random.default_rng(seed)
    steps = ndimage.gaussian_filter1d(generator.standard_normal((400, 2)), 60, axis=0)
    path = np.cumsum(steps, axis=0)
    path -= path.mean(axis=0)
    path *= length / np.linalg.norm(np.ptp(path, axis=0))
    kernel = np.zeros((side, side))
    for x, y in path:
        column, row = x + side // 2, y + side // 2
        left, top = int(np.floor(column)), int(np.floor(row))
        for dy in (0, 1):
            for dx in (0, 1):
                share = (1 - abs(column - left - dx)) * (1 - abs(row - top - dy))
                if 0 <= top + dy < side and 0 <= left + dx < side:
                    kernel[top + dy, left + dx] += share
    return torch.from_numpy((kernel / kernel.sum()).astype(np.float32))


def blurred(sharp: Tensor, kernel: Tensor) -> Tensor:
    """Convolve without borders, so that all light comes from inside: (H, W) -> (H - S + 1, W - S + 1)."""
    return torch.from_numpy(fftconvolve(sharp.numpy(), kernel.numpy(), mode="valid").astype(np.float32))


def likeness(ours: Tensor, truth: Tensor) -> float:
    """Correlation of two kernels after smoothing by a pixel, the best over shifts of two pixels, at most 1."""
    side = max(ours.shape[0], truth.shape[0]) + 4

    def framed(kernel: Tensor) -> np.ndarray:
        margin = (side - kernel.shape[0]) // 2
        return ndimage.gaussian_filter(np.pad(kernel.numpy().astype(np.float64), margin), 1)

    a, b = framed(ours), framed(truth)
    shifts = [np.roll(a, (y, x), (0, 1)) for y in range(-2, 3) for x in range(-2, 3)]
    return max(float((one * b).sum() / np.sqrt((one**2).sum() * (b**2).sum())) for one in shifts)


def psnr_db(image: Tensor, truth: Tensor, border_px: int = 24) -> float:
    """Without the borders."""
    inside = slice(border_px, -border_px), slice(border_px, -border_px)
    return -10 * float(torch.log10((image - truth)[inside].square().mean()))
