"""Measurements against scikit-image, and the table that is made of them."""

import csv
import io
import math

import numpy as np
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from unblur.datasets import Pair
from unblur.evaluation.measure import PROTOCOL, measure, summary, to_csv


def pair(name: str, noise: float, seed: int = 0) -> Pair:
    generator = torch.Generator().manual_seed(seed)
    sharp = torch.rand(3, 40, 50, generator=generator)
    blurry = (sharp + noise * torch.randn(3, 40, 50, generator=generator)).clamp(0, 1)
    return Pair(blurry=blurry, sharp=sharp, name=name)


def brighter(pixels: np.ndarray) -> np.ndarray:
    return np.minimum(pixels.astype(int) + 3, 255).astype(np.uint8)


def as_bytes(picture: torch.Tensor) -> np.ndarray:
    return (picture * 255).round().byte().permute(1, 2, 0).numpy()


def test_rows_agree_with_scikit_image() -> None:
    example = pair("light_a.png", 0.05)
    (row,) = measure([example], brighter, "hash")
    blurry, sharp = as_bytes(example.blurry), as_bytes(example.sharp)
    assert math.isclose(row.psnr_before_db, peak_signal_noise_ratio(sharp, blurry), rel_tol=1e-5)
    assert math.isclose(row.psnr_after_db, peak_signal_noise_ratio(sharp, brighter(blurry)), rel_tol=1e-5)
    options = {"channel_axis": 2, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    reference = structural_similarity(sharp, brighter(blurry), data_range=255, **options)
    assert math.isclose(row.ssim_after, reference, abs_tol=1e-4)
    assert (row.height, row.width, row.protocol, row.checkpoint) == (40, 50, PROTOCOL, "hash")


def test_a_perfect_restoration_is_infinitely_good() -> None:
    example = pair("a.png", 0.05)
    (row,) = measure([example], lambda _: as_bytes(example.sharp), "hash")
    assert math.isinf(row.psnr_after_db)
    assert math.isclose(row.ssim_after, 1.0, abs_tol=1e-6)


def test_the_csv_holds_every_row() -> None:
    rows = list(measure([pair("light_a.png", 0.05), pair("severe_a.png", 0.2)], brighter, "hash"))
    read = list(csv.DictReader(io.StringIO(to_csv(rows))))
    assert [line["image"] for line in read] == ["light_a.png", "severe_a.png"]
    assert math.isclose(float(read[1]["psnr_after_db"]), rows[1].psnr_after_db, abs_tol=1e-4)


def test_the_table_has_a_line_a_group_and_one_for_all() -> None:
    pairs = [pair("light_a.png", 0.02), pair("light_b.png", 0.02, 1), pair("severe_a.png", 0.2)]
    rows = list(measure(pairs, lambda pixels: pixels, "hash"))
    lines = summary(rows).splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["light", "severe", "all"]
    assert [line.split("|")[2].strip() for line in lines[2:]] == ["2", "1", "3"]
    assert lines[-1].split("|")[5].strip() == "+0.00"
    mean = sum(row.psnr_before_db for row in rows) / 3
    assert lines[-1].split("|")[3].strip() == f"{mean:.2f}"
