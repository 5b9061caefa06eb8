"""The laws of the instrument that measures blur patterns, and entropies known by hand."""

import json
import math
import random
from collections.abc import Iterable
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from unblur.config import from_json, to_json
from unblur.errors import UnblurError
from unblur.metrics.blur_patterns import (
    BlurPatterns,
    collect_patterns,
    compare_breadth,
    compute_magnitude_edges_px,
    compute_normalised_entropy,
    measure_motion,
)


def field(degrees: Tensor, magnitude_px: Tensor) -> Tensor:
    """Vectors (2, h, w) of these directions and lengths."""
    angle = torch.deg2rad(degrees.double())
    return torch.stack([angle.cos(), angle.sin()]) * magnitude_px


def patterns_of(motions: Iterable[Tensor]) -> BlurPatterns:
    """Half of each motion before the middle of the exposure and half after, as the simulator has it."""
    return collect_patterns(measure_motion(-motion / 2, motion / 2) for motion in motions)


def uniform(degrees: float, magnitude_px: float, size: int = 8) -> Tensor:
    return field(torch.full((size, size), degrees), torch.tensor(magnitude_px))


def random_motions(count: int, size: int = 16, seed: int = 0) -> list[Tensor]:
    """Random directions, lengths log-uniform over the whole axis."""
    generator = torch.Generator().manual_seed(seed)
    draws = torch.rand(count, 2, size, size, generator=generator, dtype=torch.float64)
    return [field(360 * angle, 0.5 * 256**octave) for angle, octave in draws]


def test_one_direction_and_length_is_one_bin_and_no_diversity() -> None:
    measured = patterns_of([uniform(94, 10), uniform(94, 10)])
    assert measured.orientation == tuple(float(place == 9) for place in range(36))
    # The bin from 8 to 11.3 px: four octaves and nothing above half a pixel.
    assert measured.magnitude == tuple(float(place == 8) for place in range(16))
    assert measured.relative_magnitude == tuple(float(place == 29) for place in range(30))
    assert measured.joint[9][8] == 1
    assert measured.diversity == measured.orientation_entropy == measured.magnitude_entropy == 0
    assert measured.median_px == measured.percentile_90_px == measured.largest_px == pytest.approx(10)
    assert (measured.images, measured.global_images) == (2, 2)


@pytest.mark.parametrize(("degrees", "place"), [(1, 0), (89, 8), (91, 9), (181, 18), (271, 27), (359, 35), (-1, 35)])
def test_orientation_runs_from_right_over_down(degrees: float, place: int) -> None:
    assert patterns_of([uniform(degrees, 10)]).orientation[place] == 1


def test_motion_is_the_end_minus_the_start() -> None:
    right, down = torch.zeros(2, 3, 4), torch.zeros(2, 3, 4)
    right[0], down[1] = 6.0, 8.0
    measured = collect_patterns([measure_motion(right, right + down + 0.01)])
    assert measured.orientation[8] == 1
    assert measured.largest_px == pytest.approx(math.hypot(0.01, 8.01))


def test_random_directions_and_lengths_are_flat() -> None:
    measured = patterns_of(random_motions(60, size=40))
    assert max(measured.orientation) < 1.15 / 36
    assert min(measured.orientation) > 0.85 / 36
    assert measured.orientation_entropy > 0.999
    assert measured.magnitude_entropy > 0.999
    # Within an image points weigh by length, so that half an octave more is the square root of two as heavy.
    octaves = compute_normalised_entropy([2 ** (place / 2) for place in range(16)]) * math.log(16)
    assert measured.diversity == pytest.approx((math.log(36) + octaves) / math.log(36 * 16), abs=0.003)


def test_diversity_is_near_its_maximum_when_images_differ_in_length() -> None:
    lengths_px = 0.5 * 256 ** ((torch.arange(160, dtype=torch.float64) + 0.5) / 160)
    angles = 360 * torch.rand(160, 12, 12, generator=torch.Generator().manual_seed(0))
    assert patterns_of(map(field, angles, lengths_px)).diversity > 0.99


@pytest.mark.parametrize("factor", [0.5, 3.7, 40])
def test_the_relative_histogram_is_invariant_to_scale(factor: float) -> None:
    motions = random_motions(5)
    measured, scaled = patterns_of(motions), patterns_of([motion * factor for motion in motions])
    assert scaled.relative_magnitude == pytest.approx(measured.relative_magnitude, abs=1 / (5 * 256))
    assert scaled.largest_px == pytest.approx(measured.largest_px * factor)
    assert scaled.median_px == pytest.approx(measured.median_px * factor)


def test_two_octaves_move_the_absolute_histogram_by_four_bins() -> None:
    short = [uniform(5, length) for length in (0.6, 2.0, 3.1, 30)]
    measured, scaled = patterns_of(short), patterns_of([4 * motion for motion in short])
    assert scaled.magnitude[4:] == measured.magnitude[:-4]
    assert scaled.magnitude_entropy == pytest.approx(measured.magnitude_entropy)


def test_ten_degrees_more_move_the_orientation_by_one_bin() -> None:
    generator = torch.Generator().manual_seed(0)
    # Away from the edges of bins, where rounding decides.
    angles = 10 * torch.randint(36, (4, 9, 7), generator=generator) ** 2 // 36 + 5
    lengths_px = 1 + 9 * torch.rand(4, 9, 7, generator=generator)
    measured, turned = (
        patterns_of(map(field, angles + more, lengths_px)) for more in (torch.tensor(0), torch.tensor(10))
    )
    assert turned.orientation == pytest.approx(measured.orientation[-1:] + measured.orientation[:-1], abs=1e-9)
    assert turned.orientation != pytest.approx(measured.orientation, abs=1e-3)
    assert turned.diversity == pytest.approx(measured.diversity)


def test_the_order_of_images_changes_no_digit() -> None:
    motions = [*random_motions(8, size=5), *random_motions(8, size=23), torch.zeros(2, 4, 4), uniform(3, 90)]
    measured = patterns_of(motions)
    for seed in range(3):
        random.Random(seed).shuffle(motions)
        assert patterns_of(motions) == measured


def test_each_image_counts_once_whatever_its_size_and_length() -> None:
    measured = patterns_of([uniform(5, 1, size=4), uniform(95, 50, size=40)])
    assert measured.orientation[0] == measured.orientation[9] == 0.5
    assert sorted(measured.magnitude)[-2:] == [0.5, 0.5]
    assert measured.relative_magnitude[0] == measured.relative_magnitude[29] == 0.5
    assert measured.median_px == pytest.approx(1)
    assert measured.percentile_90_px == pytest.approx(50)


def test_within_an_image_orientation_weighs_by_magnitude() -> None:
    motion = uniform(5, 3)
    motion[:, :4] = uniform(95, 9)[:, :4]
    measured = patterns_of([motion])
    assert measured.orientation[0] == pytest.approx(0.25)
    assert measured.orientation[9] == pytest.approx(0.75)
    assert sum(share == pytest.approx(0.5) for share in measured.magnitude) == 2


def test_images_without_motion_are_counted_apart() -> None:
    measured = patterns_of([torch.zeros(2, 8, 8), uniform(40, 0.4), uniform(5, 10)])
    assert (measured.images, measured.still_images, measured.global_images) == (3, 2, 1)
    alone = patterns_of([uniform(5, 10)])
    assert measured.median_px == alone.median_px
    assert measured.orientation == alone.orientation


def test_no_motion_anywhere_is_zero_and_not_nan() -> None:
    measured = patterns_of([torch.zeros(2, 8, 8)] * 3)
    assert (measured.images, measured.still_images) == (3, 3)
    assert measured.diversity == measured.largest_px == measured.median_px == 0
    assert set(measured.orientation + measured.magnitude + measured.relative_magnitude) == {0.0}
    # Strict JSON has no NaN.
    json.loads(to_json(measured), parse_constant=pytest.fail)


def test_a_still_background_has_no_direction() -> None:
    motion = torch.randn(2, 30, 30, generator=torch.Generator().manual_seed(0)) * 0.1
    motion[:, 0, 0] = torch.tensor([10.0, 1.0])
    assert patterns_of([motion]).orientation[0] == 1


def beside(left: Tensor, right: Tensor, columns: int = 10) -> Tensor:
    """The left motion in so many of 20 columns, the right one in the others."""
    return torch.cat([left.expand(2, 20, columns), right.expand(2, 20, 20 - columns)], dim=2)


SHARP, SHORT, LONG = (torch.tensor([x, 0.0]).view(2, 1, 1) for x in (0.0, 5.0, 25.0))


@pytest.mark.parametrize(
    ("motion", "kind"),
    [
        (uniform(30, 10), "global"),
        (beside(SHARP, LONG), "local"),
        (beside(SHARP, LONG, columns=18), "local"),
        (beside(LONG, SHARP, columns=19), "global"),
        # All of it moves, but not alike.
        (beside(SHORT, LONG), "local"),
        (beside(SHORT, LONG / 2), "global"),
        # By the letter of the definition.
        (uniform(30, 1.5), "local"),
        (uniform(30, 0.4), "still"),
    ],
)
def test_global_local_and_still(motion: Tensor, kind: str) -> None:
    assert measure_motion(-motion / 2, motion / 2).kind == kind


def test_a_roll_is_every_direction_and_mostly_one_image() -> None:
    y, x = torch.meshgrid(torch.linspace(-1, 1, 61), torch.linspace(-1, 1, 61), indexing="ij")
    measured = patterns_of([20 * torch.stack([-y, x])])
    assert measured.orientation_entropy > 0.98
    assert measured.global_images == 1


def test_extents_give_the_magnitude_where_paths_turn_back() -> None:
    start = torch.zeros(2, 8, 8)
    loop = collect_patterns([measure_motion(start, start, torch.full((8, 8), 20.0))])
    assert (loop.global_images, loop.median_px) == (1, 20)
    assert set(loop.orientation) == {0.0}
    hook = collect_patterns([measure_motion(start, uniform(45, 3).float(), torch.full((8, 8), 20.0))])
    assert hook.joint[4][loop.magnitude.index(1)] == 1


def test_many_points_are_stored_as_quantiles() -> None:
    lengths_px = torch.linspace(1, 100, 90 * 120).view(90, 120)
    measured = patterns_of([field(torch.full((90, 120), 33), lengths_px)])
    assert measured.relative_magnitude[1:] == pytest.approx([1 / 29.7] * 29, abs=1 / 256)
    assert measured.median_px == pytest.approx(50.5, abs=0.5)
    assert measured.percentile_90_px == pytest.approx(90.1, abs=0.5)


@pytest.mark.parametrize(
    ("histogram", "entropy"),
    [
        ([1, 1, 1, 1], 1),
        ([7, 0, 0, 0], 0),
        ([0.5, 0.5, 0, 0], 0.5),
        ([2, 1, 1, 0], 0.75),
        ([0, 0, 0], 0),
        ([1] * 36, 1),
        ([0.25, 0.75], -(0.25 * math.log2(0.25) + 0.75 * math.log2(0.75))),
    ],
)
def test_entropies_known_by_hand(histogram: list[float], entropy: float) -> None:
    assert compute_normalised_entropy(histogram) == pytest.approx(entropy, abs=1e-12)
    assert 0 <= compute_normalised_entropy(histogram) <= 1
    assert math.copysign(1, compute_normalised_entropy(histogram)) == 1


def test_diversity_of_four_equal_cells() -> None:
    measured = patterns_of([uniform(degrees, length) for degrees in (5, 95) for length in (3, 30)])
    assert measured.diversity == pytest.approx(math.log(4) / math.log(36 * 16))
    assert measured.orientation_entropy == pytest.approx(math.log(2) / math.log(36))
    assert measured.magnitude_entropy == pytest.approx(math.log(2) / math.log(16))


def test_breadth_compares_every_entropy() -> None:
    directions = patterns_of([uniform(degrees, 10) for degrees in range(5, 360, 10)])
    lengths = patterns_of([uniform(5, 0.6 * 2**octave) for octave in range(8)])
    breadth = compare_breadth(directions, lengths)
    assert breadth.orientation == pytest.approx(1)
    assert breadth.magnitude == pytest.approx(-math.log(8) / math.log(16))
    assert compare_breadth(lengths, directions).orientation == -breadth.orientation
    assert compare_breadth(lengths, lengths).magnitude == 0


def test_edges_of_the_absolute_axis() -> None:
    edges = compute_magnitude_edges_px()
    assert (len(edges), edges[0], edges[-1]) == (17, 0.5, 128)
    for place, (low, high) in enumerate(pairwise(edges)):
        assert patterns_of([uniform(5, math.sqrt(low * high))]).magnitude[place] == 1
    assert patterns_of([uniform(5, 1000)]).magnitude[-1] == 1


def test_written_and_read_back() -> None:
    measured = patterns_of(random_motions(3))
    assert from_json(to_json(measured), BlurPatterns) == measured


def test_histograms_sum_to_one() -> None:
    measured = patterns_of([*random_motions(7, size=11), uniform(5, 10)])
    for histogram in (measured.orientation, measured.magnitude, measured.relative_magnitude, map(sum, measured.joint)):
        assert sum(histogram) == pytest.approx(1)
    assert [sum(row) for row in measured.joint] == pytest.approx(measured.orientation)


GOOD = torch.zeros(2, 3, 4)


@pytest.mark.parametrize(
    ("start", "end", "extent_px", "said"),
    [
        (GOOD, torch.zeros(2, 4, 3), None, r"\(2, 3, 4\) and \(2, 4, 3\)"),
        (torch.zeros(3, 3, 4), torch.zeros(3, 3, 4), None, r"\(3, 3, 4\)"),
        (GOOD[None], GOOD[None], None, r"\(1, 2, 3, 4\)"),
        (torch.zeros(2, 0, 4), torch.zeros(2, 0, 4), None, r"\(2, 0, 4\)"),
        (GOOD.int(), GOOD.int(), None, "int32"),
        (GOOD, GOOD / 0, None, "not finite"),
        (GOOD + math.inf, GOOD, None, "not finite"),
        (GOOD, GOOD, torch.zeros(4, 3), r"extents of shape \(4, 3\)"),
        (GOOD, GOOD, torch.full((3, 4), math.nan), "Path extents hold numbers that are not finite"),
        (GOOD, GOOD, torch.full((3, 4), -1.0), "negative"),
    ],
)
def test_invalid_motion_is_refused(start: Tensor, end: Tensor, extent_px: Tensor | None, said: str) -> None:
    with pytest.raises(UnblurError, match=said):
        measure_motion(start, end, extent_px)


def test_no_images_have_no_patterns() -> None:
    with pytest.raises(UnblurError, match="need images"):
        collect_patterns([])
