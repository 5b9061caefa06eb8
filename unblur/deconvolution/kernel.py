"""Operations on blur kernels: (S, S) with odd S, not negative, sum 1, the origin in the middle."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def make_point_kernel(side: int) -> Tensor:
    """Return the kernel that changes nothing."""
    kernel = torch.zeros(side, side)
    kernel[side // 2, side // 2] = 1
    return kernel


def resize_kernel(kernel: Tensor, side: int) -> Tensor:
    """Return the same blur in an image that is larger or smaller by `side / S`."""
    image = kernel[None, None]
    resized = F.interpolate(image, (side, side), mode="bicubic", align_corners=False, antialias=True)[0, 0]
    resized = resized.clamp(min=0)
    return resized / resized.sum().clamp(min=1e-8)


def clean_kernel(kernel: Tensor, smallest_value: float, smallest_part: float = 0.1) -> Tensor:
    """Set values below `smallest_value` times the largest to zero, drop small isolated parts, centre and normalise.

    A part is a set of pixels connected by sides or corners; it is dropped when it holds less than `smallest_part` of
    the sum.
    """
    kernel = torch.where(kernel < smallest_value * kernel.max(), 0, kernel)
    labels = label_connected_parts(kernel > 0)
    sums = torch.zeros(int(labels.max()) + 1).index_add_(0, labels.flatten(), kernel.flatten())
    kernel = torch.where(sums[labels] < smallest_part * sums.sum(), 0, kernel)
    return centre_kernel(kernel / kernel.sum().clamp(min=1e-8))


def smooth_kernels(kernels: Tensor) -> Tensor:
    """Return kernels after a binomial filter over five pixels, which has a deviation of one pixel.

    (B, S, S) -> same.
    """
    binomial = kernels.new_tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    smooth: Tensor = F.conv2d(kernels[:, None], (binomial[:, None] * binomial)[None, None], padding=2)[:, 0]
    return smooth


def label_connected_parts(mask: Tensor, longest_px: int | None = None) -> Tensor:
    """Number the parts of a mask, (H, W) bool, that are connected by sides or corners; 0 is outside. (H, W) int64.

    Parts along which a path of more than `longest_px` pixels leads may get several numbers.
    """
    numbers = torch.arange(1, mask.numel() + 1, dtype=torch.float32).view_as(mask) * mask
    for _ in range(mask.numel() if longest_px is None else longest_px):
        # Each pixel takes the largest number among its neighbours until nothing changes.
        spread = F.max_pool2d(numbers[None, None], 3, stride=1, padding=1)[0, 0] * mask
        if bool((spread == numbers).all()):
            break
        numbers = spread
    # With a zero in front, so that 0 stands for outside also where there is no outside.
    _, numbered = torch.unique(F.pad(numbers.flatten(), (1, 0)), return_inverse=True)
    parts: Tensor = numbered[1:].view_as(mask)
    return parts


def compute_centroid(kernel: Tensor) -> tuple[float, float]:
    """Return the centre of mass (x, y) in pixels from the middle, right and down."""
    side = kernel.shape[-1]
    places = torch.arange(side, dtype=kernel.dtype) - side // 2
    total = float(kernel.sum().clamp(min=1e-8))
    return float((kernel.sum(0) * places).sum()) / total, float((kernel.sum(1) * places).sum()) / total


def centre_kernel(kernel: Tensor) -> Tensor:
    """Shift the kernel by whole pixels so that its centre of mass lies in the middle.

    A photograph does not determine the position of its kernel; the simulator and RealBlur use the same convention.
    """
    x, y = compute_centroid(kernel)
    return kernel.roll((-round(y), -round(x)), (0, 1))


def measure_extent_px(kernel: Tensor) -> float:
    """Measure the length in pixels: the diagonal of the box that holds all but 1 % of the light on each side."""

    def span(profile: Tensor) -> float:
        share = profile.cumsum(0) / profile.sum().clamp(min=1e-8)
        inside = (share > 0.01) & (share - profile / profile.sum().clamp(min=1e-8) < 0.99)
        return float(inside.sum()) - 1

    return math.hypot(span(kernel.sum(0)), span(kernel.sum(1)))


def measure_direction_deg(kernel: Tensor) -> float:
    """Return the main direction of the blur: 0 is horizontal, 90 vertical, 0 to 180, counter-clockwise."""
    across, down, both = _compute_covariance(kernel)
    return math.degrees(0.5 * math.atan2(-2 * both, across - down)) % 180


def measure_bend(kernel: Tensor) -> float:
    """Return how far the blur departs from a line: 0 for a line of any thickness, at most 1.

    It is the standard deviation across the main direction, beyond that of a line with the same area and length, as a
    share of the standard deviation along it.
    """
    across, down, both = _compute_covariance(kernel)
    mean, difference = (across + down) / 2, math.hypot((across - down) / 2, both)
    area = float((kernel > 0.5 * kernel.max()).sum())
    thickness = area / max(math.sqrt(12 * (mean + difference)), 1.0)
    beyond = mean - difference - thickness**2 / 12
    return math.sqrt(max(0.0, beyond) / max(mean + difference, 1e-8))


def _compute_covariance(kernel: Tensor) -> tuple[float, float, float]:
    """Return the variances to the right and down, and their covariance, in square pixels."""
    side = kernel.shape[-1]
    places = torch.arange(side, dtype=kernel.dtype) - side // 2
    x, y = compute_centroid(kernel)
    total = kernel.sum().clamp(min=1e-8)
    across = float((kernel.sum(0) * (places - x).square()).sum() / total)
    down = float((kernel.sum(1) * (places - y).square()).sum() / total)
    both = float((kernel * (places - x) * (places - y)[:, None]).sum() / total)
    return across, down, both
