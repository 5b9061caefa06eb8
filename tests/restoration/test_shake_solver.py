"""Restoration with solved camera shake: with an untrained fusion network, and the gain with the bundled one."""

from pathlib import Path

import numpy as np
import pytest
import torch

import unblur
from tests.deconvolution.scenes import camera_man, path_kernel, psnr_db
from tests.restoration.test_shake import photograph
from unblur.checkpoints.folder import (
    BUNDLED_KERNEL_ESTIMATOR,
    BUNDLED_RESTORER,
    BUNDLED_SHAKE_FUSION,
    load_checkpoint,
    save_checkpoint,
)
from unblur.deconvolution import make_single_kernel_path
from unblur.evaluation.alignment import align_by_shift
from unblur.models import PlainUNetConfig, ShakeFusion, ShakeFusionConfig
from unblur.photos.color import linear_to_srgb
from unblur.photos.photo import Photo
from unblur.restoration.shake import Shake
from unblur.restoration.shake_solver import SolvedShake, load_shake_solver

CPU = torch.device("cpu")
CONFIG = ShakeFusionConfig(backbone=PlainUNetConfig(channels=(16, 32), blocks=(1, 1)))


def inner(sharp: torch.Tensor, side: int) -> torch.Tensor:
    """Return the part of a scene that a valid convolution with a kernel of that side leaves."""
    half = side // 2
    return sharp[half : sharp.shape[0] - half, half : sharp.shape[1] - half]


def as_tensor(pixels: np.ndarray) -> torch.Tensor:
    """Convert (H, W, 3) uint8 -> (1, 3, H, W) in [0, 1]."""
    return torch.from_numpy(pixels.astype(np.float32) / 255).permute(2, 0, 1)[None]


def best_psnr_db(pixels: np.ndarray, sharp: np.ndarray) -> float:
    """Return the PSNR at the best shift: a photograph does not determine where its kernel lies."""
    one, two = (as_tensor(np.atleast_3d(image).repeat(3, 2)[..., :3])[0] for image in (pixels, sharp))
    aligned = align_by_shift(one, two, farthest_px=2, step_px=0.5, border_px=15)
    return psnr_db(aligned.picture.mean(dim=0), aligned.sharp.mean(dim=0))


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fusion")
    save_checkpoint(folder, ShakeFusion(CONFIG), CONFIG, train_patch_px=64, card="")
    return folder


@pytest.mark.slow
def test_an_untrained_fusion_returns_the_restoration_of_the_network(untrained: Path) -> None:
    photo = Photo(pixels=photograph(14)[0])
    shares: list[float] = []
    alone = unblur.load(shake="off").restore_photo(photo)
    solved = unblur.load(shake_fusion=untrained).restore_photo(photo, progress=shares.append)
    assert solved.shake is not None
    assert solved.shake.length_px > 5
    assert alone.shake is None
    assert np.array_equal(solved.photo.pixels, alone.photo.pixels)
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)


@pytest.fixture(scope="module")
def shaken() -> tuple[np.ndarray, np.ndarray]:
    """Return a shaken photograph and the sharp one, (H, W, 3) uint8."""
    pixels, kernel = photograph(14)
    sharp = inner(camera_man(), len(kernel))
    return pixels, np.repeat((linear_to_srgb(sharp) * 255).round().byte().numpy()[..., None], 3, axis=2)


@pytest.mark.slow
@pytest.mark.usefixtures("remembered_shakes")
def test_solving_shake_raises_the_psnr_of_shaken_photographs(shaken: tuple[np.ndarray, np.ndarray]) -> None:
    blurry, sharp = shaken
    alone = unblur.load(shake="off").restore(blurry)
    solved = unblur.load().restore_photo(Photo(pixels=blurry))
    assert solved.shake is not None
    assert best_psnr_db(solved.photo.pixels, sharp) > best_psnr_db(alone, sharp) + 1
    assert np.array_equal(unblur.load().restore(blurry), solved.photo.pixels)


def test_a_wrong_kernel_lowers_the_psnr_little(shaken: tuple[np.ndarray, np.ndarray]) -> None:
    blurry, sharp = as_tensor(shaken[0]), as_tensor(shaken[1])
    restored = unblur.load(shake="off").apply_network(blurry)
    fusion = load_checkpoint(BUNDLED_SHAKE_FUSION).model
    assert isinstance(fusion, ShakeFusion)
    for seed, confidence in ((1, 0.5), (2, 0.7), (3, 0.9)):
        wrong = make_single_kernel_path(path_kernel(31, seed, 18).rot90())
        shake = Shake(path=wrong, confidence=confidence, residual=0.1, noise=0.003, region_px=(0, 0, 256, 256))
        with torch.inference_mode():
            fused = SolvedShake(shake=shake, fusion=fusion).fuse(blurry, restored, 0, 0)
        before, after = (psnr_db(image[0].mean(dim=0), sharp[0].mean(dim=0)) for image in (restored, fused))
        assert after > before - 0.3


@pytest.mark.slow
def test_the_shake_of_a_sharp_photograph_is_not_solved() -> None:
    sharp = (linear_to_srgb(camera_man()) * 255).round().byte().numpy()
    alone, solved = (unblur.load(shake=choice).restore(sharp) for choice in ("off", "auto"))
    assert best_psnr_db(solved, sharp) > min(40, best_psnr_db(alone, sharp) - 0.5)


def test_fast_mode_and_other_checkpoints_solve_no_shake() -> None:
    photo = Photo(pixels=photograph(14)[0])
    assert unblur.load(mode="fast").restore_photo(photo).shake is None
    assert unblur.load(BUNDLED_RESTORER).restore_photo(photo).shake is None


def test_strength_zero_and_small_pictures_are_not_estimated(untrained: Path) -> None:
    restorer = unblur.load(shake_fusion=untrained)
    assert restorer.restore_photo(Photo(pixels=photograph(14)[0]), strength=0).shake is None
    assert restorer.restore_photo(Photo(pixels=photograph(14)[0][:40])).shake is None


def test_a_folder_with_another_network_is_refused() -> None:
    for folder in (BUNDLED_RESTORER, BUNDLED_KERNEL_ESTIMATOR):
        with pytest.raises(unblur.UnblurError, match="no fusion network"):
            load_shake_solver(CPU, fusion=folder)
