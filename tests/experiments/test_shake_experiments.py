"""Examples, both trainings and the evidence of camera shake, in sizes that take seconds."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from experiments import shake_evidence, shake_examples, shake_kernels, train_kernel_estimator, train_shake_fusion
from tests.deconvolution.scenes import likeness, path_kernel
from unblur.blur.kernel import compute_path_kernel
from unblur.checkpoints.folder import load_checkpoint
from unblur.deconvolution.kernel import compute_centroid
from unblur.deconvolution.light_streaks import estimate_kernel_by_streaks
from unblur.errors import UnblurError
from unblur.models import KernelEstimator, ShakeFusion
from unblur.photos.color import srgb_to_linear

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    with Image.open(ROOT / "examples" / "reds_sharp.png") as sharp:
        sharp.crop((0, 0, 400, 400)).save(folder / "one.png")
    return folder


@pytest.fixture(scope="module")
def examples(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("examples")
    shake_examples.make(folder, photos=photos, count=2)
    return folder


@pytest.mark.slow
def test_examples_are_whole_and_kernels_are_centred(examples: Path) -> None:
    made = shake_examples.open_examples(examples)
    assert made.finished == 2
    for kernel in map(torch.from_numpy, np.array(made.kernel)):
        assert float(kernel.sum()) == pytest.approx(1, abs=1e-4)
        assert max(map(abs, compute_centroid(kernel))) < 0.6


@pytest.mark.slow
def test_an_interrupted_run_continues(examples: Path, photos: Path) -> None:
    before = np.array(shake_examples.open_examples(examples).edges)
    made = shake_examples.open_examples(examples)
    made.edges[1] = 0
    shake_examples.make(examples, photos=photos, count=2)
    assert np.array_equal(np.array(shake_examples.open_examples(examples).edges), before)


def test_a_kernel_has_the_direction_of_convolution() -> None:
    path = torch.stack([torch.linspace(-4, 4, 9), torch.zeros(9)], dim=1)
    kernel = compute_path_kernel(path)
    assert float(kernel[4].sum()) == pytest.approx(1)


def test_lamps_at_night_draw_the_true_kernel() -> None:
    kernel, likenesses = path_kernel(31, 5, 18), []
    for seed in range(8):
        generator = torch.Generator().manual_seed(seed)
        blurry, sharp = shake_examples.add_lamps(torch.rand(3, 192, 192, generator=generator), kernel, generator)
        assert blurry.shape == sharp.shape == (3, 192, 192)
        # Lamps are clipped, and most of the photograph is dark.
        assert 0.0001 < float((sharp.amax(dim=0) >= 0.99).float().mean()) < 0.2
        assert float(blurry.median()) < 0.4
        found = estimate_kernel_by_streaks(srgb_to_linear(blurry))
        if found is not None:
            likenesses.append(likeness(found, kernel))
    assert len(likenesses) >= 3
    assert min(likenesses) > 0.6


def test_a_folder_without_examples_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnblurError, match="no examples"):
        shake_examples.open_examples(tmp_path)
    with pytest.raises(UnblurError, match="no estimated kernels"):
        shake_kernels.open_kernels(tmp_path)


@pytest.mark.slow
def test_both_networks_are_trained_and_measured(examples: Path, photos: Path, tmp_path: Path) -> None:
    estimator, fusion = tmp_path / "kernel", tmp_path / "fusion"
    train_kernel_estimator.train((examples,), output=estimator, steps=2, batch=2, held_out=1, threads=1)
    assert isinstance(load_checkpoint(estimator).model, KernelEstimator)
    shake_kernels.estimate(examples, estimator=estimator)
    assert shake_kernels.open_kernels(examples).finished == 2
    train_shake_fusion.train((examples,), output=fusion, steps=2, batch=2, patch=64, held_out=1, threads=1)
    assert isinstance(load_checkpoint(fusion).model, ShakeFusion)
    (tmp_path / "small").mkdir()
    with Image.open(photos / "one.png") as sharp:
        sharp.crop((0, 0, 160, 160)).save(tmp_path / "small" / "one.png")
    few = {"photos": tmp_path / "small", "fusion": fusion, "pictures": 1, "pairs": 1, "size": 64}
    assert shake_evidence.measure(tmp_path, only=("validation", "sharp"), **few) == 0
    with (tmp_path / "shake.csv").open() as file:
        names = [line["name"] for line in csv.DictReader(file)]
    assert names == ["validation", "light", "sharp"]
    with pytest.raises(UnblurError, match="no set sharpest"):
        shake_evidence.measure(tmp_path, only=("sharpest",), **few)
