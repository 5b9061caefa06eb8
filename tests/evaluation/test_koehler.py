"""Koehler's protocol: the best of all moments of an exposure, against the benchmark's own steps written with NumPy."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch

from unblur.datasets.pair_files import PairFiles, Picture, read_frames
from unblur.datasets.recognition import find_data_set
from unblur.errors import UnblurError
from unblur.evaluation.alignment import align_by_whole_pixels
from unblur.evaluation.measure import NamedFiles, make_conditions, measure_files
from unblur.evaluation.method import from_function
from unblur.evaluation.metric import LUMA_PSNR, FullReferenceMetric
from unblur.evaluation.protocol import KOEHLER
from unblur.metrics import psnr
from unblur.photos.photo import Photo
from unblur.photos.writing import write_photo


def smooth(seed: int, height: int = 180, width: int = 191) -> np.ndarray:
    """(H, W, 3) uint8 with structures of eight pixels."""
    rows, columns = height // 8 + 1, width // 8 + 1
    coarse = np.random.default_rng(seed).integers(30, 220, (rows, columns, 3), dtype=np.uint8)
    return coarse.repeat(8, 0).repeat(8, 1)[:height, :width]


def tensor(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1).float() / 255


def shifted(picture: np.ndarray, down: int, right: int) -> np.ndarray:
    return np.roll(picture, (down, right), (0, 1))


def psnr_of_the_benchmark(sharp: np.ndarray, restored: np.ndarray) -> float:
    """eval_image.m for one moment: levels from 0 to 255, shifted one row and column at a time."""
    x, z = sharp.astype(float), restored.astype(float)
    z = (x * z).sum() / (z * z).sum() * z
    correlation = np.fft.ifft2(np.fft.fft2(x.mean(2)) * np.fft.fft2(z.mean(2)).conj()).real
    down, right = (int(at) for at in np.unravel_index(correlation.argmax(), correlation.shape))
    height, width = correlation.shape
    # Rows and columns counted from 1, as MATLAB does.
    down = down + 1 - height - 1 if down + 1 > height // 2 else down
    right = right + 1 - width - 1 if right + 1 > width // 2 else right
    moved, inside = np.zeros_like(z), np.zeros((height, width, 1))
    for row in range(height):
        for column in range(width):
            if 0 <= row - down < height and 0 <= column - right < width:
                moved[row, column] = z[row - down, column - right]
                inside[row, column] = 1
    error = (x * inside - moved) @ [0.299, 0.587, 0.114]
    return float(10 * np.log10(255**2 / (error**2).mean()))


@pytest.mark.parametrize(("down", "right"), [(0, 0), (3, -5), (-11, 2), (-1, -30)])
@pytest.mark.parametrize("size", [(180, 191), (177, 176)])
def test_one_moment_is_measured_as_the_benchmark_does(down: int, right: int, size: tuple[int, int]) -> None:
    sharp = smooth(0, *size)
    noise = np.random.default_rng(1).normal(0, 12, sharp.shape)
    restored = np.clip(shifted(sharp, down, right) * 0.8 + noise, 0, 255).astype(np.uint8)
    numbers, aligned = KOEHLER.scores(tensor(restored), tensor(sharp), "after")
    assert aligned == "yes"
    assert numbers["psnr_after_db"] == pytest.approx(psnr_of_the_benchmark(sharp, restored), abs=1e-3)


def test_pixels_from_outside_are_zero_in_both_pictures() -> None:
    sharp = tensor(smooth(2))
    found = align_by_whole_pixels(sharp.roll((4, -7), (1, 2)), sharp)
    assert (~found.valid).sum() == 4 * 191 + 7 * 180 - 4 * 7
    assert not found.picture[:, ~found.valid].any()
    assert not found.sharp[:, ~found.valid].any()
    # The brightness is matched before the shift is known, as in eval_image.m.
    assert torch.corrcoef(torch.stack([found.picture[:, found.valid][0], found.sharp[:, found.valid][0]]))[0, 1] > 0.999


def test_each_number_is_that_of_its_best_frame() -> None:
    sharp = smooth(3)
    moments = [tensor(shifted(sharp, 0, place) // 2 + shifted(sharp, 0, 2 * place) // 2) for place in range(4)]
    picture = tensor(np.clip(smooth(3) + 4.0, 0, 255).astype(np.uint8))
    each = [KOEHLER.scores(picture, moment, "after")[0] for moment in moments]
    best, _ = KOEHLER.best_scores(picture, moments, "after")
    assert best == {column: max(numbers[column] for numbers in each) for column in each[0]}
    assert best["psnr_after_db"] == each[0]["psnr_after_db"] > each[3]["psnr_after_db"]
    assert best["unaligned_psnr_after_db"] == pytest.approx(max(float(psnr(picture[None], m[None])) for m in moments))


@pytest.fixture
def frames() -> np.ndarray:
    """(H, W, 3, 31) uint8: the way of a camera that moves evenly to the right."""
    return np.stack([shifted(smooth(4, 40, 44), 0, place) for place in range(31)], axis=3)


@pytest.mark.parametrize(("kernel", "left_out"), [(3, 1), (4, 0)])
def test_a_tree_is_measured_without_the_moments_that_the_benchmark_leaves_out(
    frames: np.ndarray, kernel: int, left_out: int, tmp_path: Path
) -> None:
    blurry = frames.mean(3).astype(np.uint8)
    # The benchmark passes over the 30th moment of picture 1 with kernel 3: it must not matter that it fits perfectly.
    frames[..., 29] = blurry
    for folder in ("BlurryImages", "groundTruthMatFiles"):
        (tmp_path / folder).mkdir()
    write_photo(Photo(pixels=blurry), tmp_path / "BlurryImages" / f"Blurry1_{kernel}.png")
    scipy.io.savemat(tmp_path / "groundTruthMatFiles" / f"GroundTruth1_{kernel}.mat", {"GroundTruth": frames})
    (pair,) = find_data_set(tmp_path).listing.splits[0].pairs
    assert len(read_frames(pair)[1]) == 31 - left_out
    # MSSIM needs larger pictures.
    protocol = replace(KOEHLER, metrics=(LUMA_PSNR,))
    identity = from_function("identity", lambda pixels: pixels)
    row = measure_files(
        NamedFiles(image=pair.name, files=pair), identity, protocol, make_conditions(identity, protocol)
    )
    if left_out:
        expected = max(psnr_of_the_benchmark(frames[..., place], blurry) for place in range(31) if place != 29)
        assert row.scores["psnr_after_db"] == pytest.approx(expected, abs=1e-3)
    assert math.isfinite(row.scores["psnr_after_db"]) == bool(left_out)
    assert row.scores["psnr_after_db"] == row.scores["psnr_before_db"]
    assert row.conditions.protocol == "koehler-v1"


def test_moments_in_files_of_their_own_are_left_out_by_their_numbers(tmp_path: Path) -> None:
    for name in ("Blurry1_3", "GroundTruth1_3_29", "GroundTruth1_3_30", "GroundTruth1_3_31", "GroundTruth1_3_199"):
        write_photo(Photo(pixels=smooth(5, 16, 16)), tmp_path / f"{name}.png")
    (pair,) = find_data_set(tmp_path).listing.splits[0].pairs
    assert [picture.path.stem for picture in pair.sharps] == ["GroundTruth1_3_29", "GroundTruth1_3_31"]
    assert len(read_frames(pair)[1]) == 2


def test_moments_of_unequal_size_and_missing_ones_are_refused(tmp_path: Path) -> None:
    for side in (16, 24):
        write_photo(Photo(pixels=smooth(6, side, 16)), tmp_path / f"{side}.png")
    small, large = (Picture(path=tmp_path / f"{side}.png") for side in (16, 24))
    with pytest.raises(UnblurError, match="differ in size"):
        read_frames(PairFiles(name="a", blurry=small, sharps=(small, large)))
    with pytest.raises(UnblurError, match="differ in size"):
        read_frames(PairFiles(name="a", blurry=large, sharps=(small, small)))
    with pytest.raises(UnblurError, match="no sharp twin"):
        read_frames(PairFiles(name="a", blurry=small))


def test_pictures_too_small_for_five_scales_have_no_mssim() -> None:
    numbers, _ = KOEHLER.best_scores(tensor(smooth(7, 100, 100)), [tensor(smooth(8, 100, 100))] * 2, "after")
    assert math.isnan(numbers["mssim_after"])
    assert math.isfinite(numbers["psnr_after_db"])


def test_the_least_is_best_where_less_is_better() -> None:
    picture, near, far = (tensor(smooth(seed, 64, 64)) for seed in (1, 2, 3))
    off = FullReferenceMetric(
        name="off", measure=lambda pictures: float((pictures.picture - pictures.sharp).abs().mean())
    )
    less = replace(off, name="less", lower_is_better=True)
    singles = [KOEHLER.scores(picture, moment, "after", (off,))[0]["off_after"] for moment in (near, far)]
    numbers, _ = KOEHLER.best_scores(picture, [near, far], "after", (off, less))
    assert (numbers["off_after"], numbers["less_after"]) == (max(singles), min(singles))
