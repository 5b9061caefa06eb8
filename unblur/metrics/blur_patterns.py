"""Measures how the blur of a data set is spread over directions and lengths, and how diverse it is.

The paper (arXiv 2601.06525) shows three descriptors of a data set: the share of globally and locally blurred
images, a histogram of the blur's orientation over 0-360 degrees and one of its magnitude over 0-1. It does not say
how they are made. Here, version 1 of the definitions:

- Motion of a grid point: its offset at the end of the exposure minus that at the start, in pixels (x, y). Magnitude:
  the length of that vector, or the extent of the path where it is given. Orientation: atan2(y, x) of that vector in
  image axes, so 0 is right and 90 is down. Offsets say where light is gathered from; the picture's content moves the
  opposite way, which no blurry image shows. A point is still below half a pixel; an image is still if all points are.
- Every histogram is made for each image, scaled to sum 1, and averaged over the images that move: each counts once.
- Orientation and the joint histogram leave still points out and weigh the others by the length of their vector, lest
  the jitter of an estimator around zero pass for diversity. For both magnitude histograms every point counts once.
- Relative magnitude: all points, divided by the largest of the data set (as ID-Blau, arXiv 2312.10998, scales its
  blur conditions), so a single long blur squeezes the histogram. Absolute magnitude: moving points on fixed bins
  from 0.5 to 128 px, two an octave, the same for every data set; longer blur falls into the last bin.
- Local: fewer than half of the points move by more than 2 px, or the magnitude's 90th percentile exceeds four times
  its 10th. By the letter of this, a picture that trembles by 1.5 px all over is local.
- Diversity: Shannon entropy of the joint histogram of orientation and absolute magnitude, divided by the logarithm of
  its number of bins (576): 0 is one bin, 1 is a flat histogram. Few images fill few bins; compare sets of like size.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal

import torch
from torch import Tensor

from unblur.errors import UnblurError

ORIENTATION_BINS = 36
RELATIVE_BINS = 30
SHORTEST_PX, LONGEST_PX, BINS_PER_OCTAVE = 0.5, 128, 2
MAGNITUDE_BINS = BINS_PER_OCTAVE * round(math.log2(LONGEST_PX / SHORTEST_PX))

MOVING_PX = 2
MOVING_SHARE = 0.5
UNEVEN_RATIO = 4

QUANTILES = 256
"""Number of magnitudes stored of each image until the largest of the data set is known: a kilobyte an image."""
ONE = 2**40
"""Shares are summed as multiples of 1/ONE: sums of integers do not depend on their order."""

Kind = Literal["global", "local", "still"]


@dataclass(frozen=True, kw_only=True)
class ImageMotion:
    """The motion of one image, stored until all images are measured."""

    kind: Kind
    joint: Tensor
    """(36, 16), orientation by absolute magnitude; sums to ONE, or to 0 where no point moves away."""
    magnitude: Tensor
    """(16,), absolute; sums to ONE, or to 0 where no point moves."""
    quantiles_px: Tensor
    """At most QUANTILES magnitudes, ascending, each for an equal share of the image."""
    largest_px: float


@dataclass(frozen=True, kw_only=True)
class BlurPatterns:
    """The blur of a data set in numbers; histograms sum to 1, or to 0 where nothing moves. See the module."""

    images: int
    global_images: int
    local_images: int
    still_images: int
    largest_px: float
    median_px: float
    """Median over all points of the images that move, each image counting once; so are the others."""
    percentile_90_px: float
    orientation: tuple[float, ...]
    """36 bins of 10 degrees: the joint histogram summed over magnitudes."""
    relative_magnitude: tuple[float, ...]
    """30 bins over 0 to 1, the data set's largest magnitude."""
    magnitude: tuple[float, ...]
    """16 bins whose edges are `compute_magnitude_edges_px()`."""
    joint: tuple[tuple[float, ...], ...]
    """36 orientations of 16 magnitudes."""
    orientation_entropy: float
    """Entropies are scaled to 0..1 by the logarithm of the number of bins."""
    relative_magnitude_entropy: float
    magnitude_entropy: float
    diversity: float


@dataclass(frozen=True, kw_only=True)
class Breadth:
    """Differences of entropies between two data sets, -1 to 1: positive where the first is broader."""

    orientation: float
    magnitude: float
    """The difference on the absolute axis."""


def measure_motion(
    start: Tensor, end: Tensor, extent_px: Tensor | None = None, *, both_ways: bool = False
) -> ImageMotion:
    """Return one image's motion from its offsets at the exposure's start and end, (2, h, w) pixels (x, y), on any grid.

    `extent_px`, (h, w), is how far each point's path spreads, which differs from the distance of the ends where paths
    turn back. `both_ways` counts every path half from start to end and half back, for undirected paths. Raises
    UnblurError for other shapes, integers, and numbers that are not finite.
    """
    _check_offsets(start, end, extent_px)
    x, y = (end.double() - start.double()).flatten(1).cpu()
    length_px = torch.hypot(x, y)
    magnitude_px = length_px if extent_px is None else extent_px.double().flatten().cpu()
    moves = magnitude_px >= SHORTEST_PX
    row = (torch.rad2deg(torch.atan2(y, x)) * (ORIENTATION_BINS / 360)).floor().long() % ORIENTATION_BINS
    octaves = torch.log2(magnitude_px.clamp(min=SHORTEST_PX) / SHORTEST_PX)
    column = (octaves * BINS_PER_OCTAVE).long().clamp(max=MAGNITUDE_BINS - 1)
    bins = ORIENTATION_BINS * MAGNITUDE_BINS
    joint = torch.bincount((row * MAGNITUDE_BINS + column)[moves], length_px[moves], minlength=bins)
    joint = joint.reshape(ORIENTATION_BINS, MAGNITUDE_BINS)
    if both_ways:
        joint = (joint + joint.roll(ORIENTATION_BINS // 2, dims=0)) / 2
    magnitude = torch.bincount(column[moves], minlength=MAGNITUDE_BINS).double()
    ascending = magnitude_px.sort().values
    count = min(QUANTILES, len(ascending))
    ranks = (torch.arange(count) * 2 + 1) * len(ascending) // (2 * count)
    return ImageMotion(
        kind=_classify(magnitude_px),
        joint=_to_shares(joint),
        magnitude=_to_shares(magnitude),
        quantiles_px=ascending[ranks].float(),
        largest_px=ascending[-1].float().item(),
    )


def collect_patterns(images: Iterable[ImageMotion]) -> BlurPatterns:
    """Return the patterns of all images, whatever their order. Raises UnblurError if there are none."""
    kinds: dict[Kind, int] = {"global": 0, "local": 0, "still": 0}
    joint = torch.zeros(ORIENTATION_BINS, MAGNITUDE_BINS, dtype=torch.int64)
    magnitude = torch.zeros(MAGNITUDE_BINS, dtype=torch.int64)
    quantiles_px: list[Tensor] = []
    largest_px = 0.0
    for image in images:
        kinds[image.kind] += 1
        if image.kind == "still":
            continue
        joint += image.joint
        magnitude += image.magnitude
        quantiles_px.append(image.quantiles_px)
        largest_px = max(largest_px, image.largest_px)
    if not any(kinds.values()):
        raise UnblurError("Blur patterns need images; give the motion of at least one.")
    joint_shares = tuple(_normalise(row, joint.sum()) for row in joint)
    orientation = _normalise(joint.sum(1), joint.sum())
    relative_magnitude = _compute_relative_histogram(quantiles_px, largest_px)
    absolute_magnitude = _normalise(magnitude, magnitude.sum())
    median_px, percentile_90_px = _compute_percentiles(quantiles_px, (50, 90))
    return BlurPatterns(
        images=sum(kinds.values()),
        global_images=kinds["global"],
        local_images=kinds["local"],
        still_images=kinds["still"],
        largest_px=largest_px,
        median_px=median_px,
        percentile_90_px=percentile_90_px,
        orientation=orientation,
        relative_magnitude=relative_magnitude,
        magnitude=absolute_magnitude,
        joint=joint_shares,
        orientation_entropy=compute_normalised_entropy(orientation),
        relative_magnitude_entropy=compute_normalised_entropy(relative_magnitude),
        magnitude_entropy=compute_normalised_entropy(absolute_magnitude),
        diversity=compute_normalised_entropy(tuple(chain.from_iterable(joint_shares))),
    )


def compare_breadth(first: BlurPatterns, second: BlurPatterns) -> Breadth:
    """Return differences of entropies, positive where the first data set is the broader one."""
    return Breadth(
        orientation=first.orientation_entropy - second.orientation_entropy,
        magnitude=first.magnitude_entropy - second.magnitude_entropy,
    )


def compute_normalised_entropy(histogram: Sequence[float]) -> float:
    """Compute the Shannon entropy (Bell System Technical Journal 27, 1948) over the logarithm of the number of bins.

    The result is in [0, 1]. The histogram, of at least two bins, need not sum to 1; one of zeros has entropy 0.
    """
    total = math.fsum(histogram)
    shares = [count / total for count in histogram if count > 0]
    # A single full bin would give -0.0, flat ones a hair above 1.
    return min(1.0, abs(math.fsum(share * math.log(share) for share in shares)) / math.log(len(histogram)))


def compute_magnitude_edges_px() -> tuple[float, ...]:
    """Return the 17 edges of the absolute magnitude's bins."""
    return tuple(SHORTEST_PX * 2 ** (edge / BINS_PER_OCTAVE) for edge in range(MAGNITUDE_BINS + 1))


def _check_offsets(start: Tensor, end: Tensor, extent_px: Tensor | None) -> None:
    if start.shape != end.shape or start.ndim != 3 or start.shape[0] != 2 or start.numel() == 0:
        raise UnblurError(
            f"Offsets at the start and the end of the exposure are (2, h, w) both, "
            f"not {tuple(start.shape)} and {tuple(end.shape)}; give x and y for each grid point."
        )
    if extent_px is not None and extent_px.shape != start.shape[1:]:
        raise UnblurError(
            f"Path extents of shape {tuple(extent_px.shape)} do not fit offsets on a grid of "
            f"{tuple(start.shape[1:])}; give one number for each grid point."
        )
    for what, values in (("Offsets", start), ("Offsets", end), ("Path extents", extent_px)):
        if values is None:
            continue
        if not values.is_floating_point():
            raise UnblurError(f"{what} are floating point pixels, not {values.dtype}; convert them.")
        if not values.isfinite().all():
            raise UnblurError(f"{what} hold numbers that are not finite; omit such images or correct their motion.")
    if extent_px is not None and (extent_px < 0).any():
        raise UnblurError("Path extents hold negative numbers; give lengths in pixels.")


def _classify(magnitude_px: Tensor) -> Kind:
    if magnitude_px.max() < SHORTEST_PX:
        return "still"
    low_px, high_px = torch.quantile(magnitude_px, magnitude_px.new_tensor([0.1, 0.9])).tolist()
    moving_share = (magnitude_px > MOVING_PX).double().mean().item()
    return "local" if moving_share < MOVING_SHARE or high_px > UNEVEN_RATIO * low_px else "global"


def _to_shares(histogram: Tensor) -> Tensor:
    """Return integers that sum to ONE, but for their rounding; zeros stay zeros."""
    total = histogram.sum()
    return (histogram * (ONE / total)).round().long() if total > 0 else histogram.long()


def _normalise(counts: Tensor, total: Tensor) -> tuple[float, ...]:
    return tuple((counts.double() / max(1, int(total))).tolist())


def _compute_relative_histogram(quantiles_px: list[Tensor], largest_px: float) -> tuple[float, ...]:
    counts = torch.zeros(RELATIVE_BINS, dtype=torch.int64)
    for magnitudes_px in quantiles_px:
        places = (magnitudes_px.double() / largest_px * RELATIVE_BINS).long().clamp(max=RELATIVE_BINS - 1)
        counts += _to_shares(torch.bincount(places, minlength=RELATIVE_BINS).double())
    return _normalise(counts, counts.sum())


def _compute_percentiles(quantiles_px: list[Tensor], percents: Sequence[int]) -> list[float]:
    """Return percentiles of all images' magnitudes together, each image weighing the same; 0 without images."""
    if not quantiles_px:
        return [0.0 for _ in percents]
    magnitudes_px, order = torch.cat(quantiles_px).sort()
    weights = torch.cat([torch.full((len(one),), ONE // len(one)) for one in quantiles_px])[order]
    reached = weights.cumsum(0)
    ranks = [int(torch.searchsorted(reached, reached[-1] // 100 * percent)) for percent in percents]
    return [magnitudes_px[rank].item() for rank in ranks]
