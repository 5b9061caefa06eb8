"""Alignment against OpenCV's, and against homographies and shifts that are known.

The golden numbers were made once by OpenCV 5.0.0 and 4.5.5, which agree within .004 dB and .03 px with each other, by
RealBlur's steps on the pictures of `cases` as float32:

    zs = (sum(x * z) / sum(z * z)) * z
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 100, 0)
    _, w = cv2.findTransformECC(gray(x), gray(zs), eye(3), cv2.MOTION_HOMOGRAPHY, criteria, None, 5)
    zr = cv2.warpPerspective(zs, w, size, flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT)
    cr = cv2.warpPerspective(ones, w, size, flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP)
    10 * log10(cr.sum() / ((zr * cr - x * cr) ** 2).sum())
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity
from torch import Tensor

from unblur.datasets.pair_files import read_rgb
from unblur.evaluation.alignment import Aligned, align_by_homography, align_by_shift, match_brightness
from unblur.evaluation.ecc import find_homography, project
from unblur.evaluation.metric import PSNR, SSIM
from unblur.metrics import psnr, ssim

EXAMPLES = Path(__file__).parents[2] / "examples"


@dataclass(frozen=True, kw_only=True)
class Golden:
    picture: Tensor
    sharp: Tensor
    corners: tuple[tuple[float, float], ...]
    """OpenCV 5.0.0's, of the reference in the picture: left top, right top, left bottom, right bottom."""
    psnr_db: tuple[float, float]
    """OpenCV 5.0.0's and 4.5.5's."""
    observed: float


def cases() -> dict[str, Golden]:
    sharp, blurry = (read_rgb(EXAMPLES / f"reds_{kind}.png") / 255 for kind in ("sharp", "blurry"))
    return {
        "whole": Golden(
            picture=blurry,
            sharp=sharp,
            corners=((-0.175, -0.016), (637.098, 1.326), (-1.265, 447.167), (639.095, 446.642)),
            psnr_db=(21.5755, 21.5756),
            observed=0.99890,
        ),
        "darker and elsewhere": Golden(
            picture=0.9 * blurry[:, 58 : 58 + 256, 103 : 103 + 320],
            sharp=sharp[:, 60 : 60 + 256, 100 : 100 + 320],
            corners=((-3.145, 0.803), (315.737, 1.626), (-3.798, 257.289), (315.267, 257.347)),
            psnr_db=(20.0857, 20.0856),
            observed=0.98152,
        ),
        "sharp elsewhere": Golden(
            picture=sharp[:, 50 : 50 + 200, 200 : 200 + 300],
            sharp=sharp[:, 53 : 53 + 200, 196 : 196 + 300],
            corners=((-3.984, 3.020), (294.976, 3.042), (-4.021, 201.994), (295.004, 201.995)),
            psnr_db=(26.3600, 26.3637),
            observed=0.97187,
        ),
    }


def corners(homography: Tensor, height: int, width: int) -> Tensor:
    x, y = (axis.reshape(height, width) for axis in project(homography, height, width))
    at = [(0, 0), (0, -1), (-1, 0), (-1, -1)]
    return torch.tensor([[x[place], y[place]] for place in at])


def gray(picture: Tensor) -> Tensor:
    return torch.einsum("chw,c->hw", picture.double(), torch.tensor([0.299, 0.587, 0.114]).double())


def waves(x: Tensor, y: Tensor) -> Tensor:
    """A picture known at every place, not only at pixels: (3, H, W)."""
    turns = [(0.11, 0.05, 0.3), (-0.04, 0.13, 1.1), (0.07, -0.09, 2.0), (0.021, 0.017, 0.5)]
    grey = sum((torch.sin(across * x + down * y + phase) for across, down, phase in turns), torch.zeros_like(x))
    return (0.5 + 0.1 * grey).expand(3, -1, -1)


def moved_waves(homography: Tensor, height: int = 200, width: int = 260) -> tuple[Tensor, Tensor]:
    """A picture, and the reference that shows at each pixel what the picture shows where `homography` takes it."""
    y, x = torch.meshgrid(torch.arange(height).double(), torch.arange(width).double(), indexing="ij")
    there_x, there_y = (axis.reshape(height, width) for axis in project(homography, height, width))
    return waves(x, y), waves(there_x, there_y)


@pytest.mark.parametrize("name", cases())
def test_the_homography_and_the_psnr_equal_those_of_opencv(name: str) -> None:
    case = cases()[name]
    height, width = case.sharp.shape[1:]
    found = find_homography(gray(case.sharp), gray(match_brightness(case.picture, case.sharp)))
    assert found is not None
    assert (corners(found, height, width) - torch.tensor(case.corners)).abs().max() < 0.01
    aligned = align_by_homography(case.picture, case.sharp, clip=False)
    assert PSNR.measure(aligned) == pytest.approx(case.psnr_db[0], abs=0.001)
    assert PSNR.measure(aligned) == pytest.approx(case.psnr_db[1], abs=0.005)
    assert float(aligned.valid.double().mean()) == pytest.approx(case.observed, abs=1e-4)


@pytest.mark.parametrize(
    "entries",
    [
        ((1.0, 0, 2.6), (0, 1, -1.7), (0, 0, 1)),
        ((0.995, 0.012, -1.2), (-0.009, 1.008, 2.1), (0, 0, 1)),
        ((1.01, 0.004, -2.3), (-0.006, 0.99, 1.7), (6e-5, -4e-5, 1)),
    ],
    ids=["shift", "affine", "projective"],
)
def test_a_known_homography_is_estimated(entries: tuple[tuple[float, ...], ...]) -> None:
    true = torch.tensor(entries, dtype=torch.float64)
    picture, reference = moved_waves(true)
    # Brightness and contrast change nothing: that is the point of the correlation coefficient.
    found = find_homography(0.4 * gray(reference) + 0.2, gray(picture))
    assert found is not None
    # The rest is the edge's doing, the same in OpenCV.
    assert (corners(found, 200, 260) - corners(true, 200, 260)).abs().max() < 0.1
    aligned = align_by_homography(picture, reference, clip=False)
    assert PSNR.measure(aligned) > 45
    assert not aligned.failed


def test_edges_are_weighted_as_in_opencv() -> None:
    """So weak a texture makes visible what interpolation beyond the edge does; corners by OpenCV 5.0.0, in float32."""
    true = torch.tensor(((0.995, 0.012, -1.2), (-0.009, 1.008, 2.1), (0, 0, 1)), dtype=torch.float64)
    picture, reference = moved_waves(true, 90, 120)
    found = find_homography(gray(reference), gray(picture))
    golden = torch.tensor(((-1.0305, 2.1420), (116.9002, 1.3621), (-0.3952, 91.8224), (118.8995, 91.1750)))
    assert found is not None
    assert (corners(found, 90, 120) - golden).abs().max() < 1e-3


def test_aligned_pictures_are_unchanged() -> None:
    _, picture = moved_waves(torch.eye(3).double())
    found = find_homography(gray(picture), gray(picture))
    assert found is not None
    assert (found - torch.eye(3)).abs().max() < 1e-9
    aligned = align_by_homography(picture, picture, clip=True)
    assert bool(aligned.valid.all())
    assert torch.allclose(aligned.picture, picture, atol=1e-6)


@pytest.mark.parametrize("flat", ["picture", "sharp"])
def test_a_failed_alignment_is_reported_and_leaves_the_picture_unchanged(flat: str) -> None:
    _, shown = moved_waves(torch.eye(3).double())
    plain = torch.full_like(shown, 0.5)
    picture, sharp = (plain, shown) if flat == "picture" else (shown, plain)
    aligned = align_by_homography(picture, sharp, clip=False)
    assert aligned.failed
    assert bool(aligned.valid.all())
    assert torch.equal(aligned.picture, match_brightness(picture, sharp))


def test_the_negative_of_a_picture_cannot_be_aligned_to_it() -> None:
    _, shown = moved_waves(torch.eye(3).double())
    assert align_by_homography(1 - shown, shown, clip=False).failed


def test_brightness_is_matched_and_a_black_picture_stays_black() -> None:
    _, shown = moved_waves(torch.eye(3).double())
    assert torch.allclose(match_brightness(0.3 * shown, shown), shown)
    assert not match_brightness(0 * shown, shown).any()


def test_masked_metrics_ignore_invalid_pixels_and_equal_plain_ones_without() -> None:
    case = cases()["darker and elsewhere"]
    picture, sharp = case.picture[:, :64, :80].double(), case.sharp[:, :64, :80].double()
    observed = torch.ones(64, 80, dtype=torch.bool)
    whole = Aligned(picture=picture, sharp=sharp, valid=observed)
    assert PSNR.measure(whole) == float(psnr(picture[None], sharp[None]))
    assert SSIM.measure(whole) == float(ssim(picture[None], sharp[None]))
    observed[:20] = False
    masked = Aligned(picture=picture * observed, sharp=sharp * observed, valid=observed)
    assert PSNR.measure(masked) == pytest.approx(float(psnr(picture[None, :, 20:], sharp[None, :, 20:])))
    options = {"channel_axis": 2, "gaussian_weights": True, "use_sample_covariance": False, "data_range": 1}
    arrays = (one.permute(1, 2, 0).numpy() for one in (masked.picture, masked.sharp))
    _, similarity = structural_similarity(*arrays, full=True, **options)
    weight = np.repeat(observed.numpy()[5:-5, 5:-5, None], 3, axis=2)
    per_channel = (similarity[5:-5, 5:-5] * weight).sum((0, 1)) / weight.sum((0, 1))
    assert SSIM.measure(masked) == pytest.approx(per_channel.mean(), abs=1e-9)


@pytest.mark.parametrize(("right", "down"), [(0, 0), (3, -5), (-4.75, 2.25), (0.5, 5)])
def test_a_known_shift_is_undone(right: float, down: float) -> None:
    y, x = torch.meshgrid(torch.arange(70).double(), torch.arange(80).double(), indexing="ij")
    sharp = waves(x, y)
    moved = waves(x - right, y - down)
    aligned = align_by_shift(moved, sharp, farthest_px=5, step_px=0.25, border_px=15)
    assert aligned.picture.shape == aligned.sharp.shape == (3, 40, 50)
    assert torch.equal(aligned.sharp, sharp[:, 15:-15, 15:-15])
    # Linear interpolation between pixels rounds the waves off a little; at whole pixels there is none.
    whole = right == round(right) and down == round(down)
    assert (aligned.picture - aligned.sharp).abs().max() < (1e-12 if whole else 3e-3)


def test_a_shift_beyond_the_farthest_is_not_undone() -> None:
    y, x = torch.meshgrid(torch.arange(70).double(), torch.arange(80).double(), indexing="ij")
    aligned = align_by_shift(waves(x - 9, y), waves(x, y), farthest_px=5, step_px=0.25, border_px=15)
    assert PSNR.measure(aligned) < 40
