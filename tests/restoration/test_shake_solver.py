"""Restoring with solved camera shake: an untrained fusion network changes nothing, a trained one sees every tile."""

from pathlib import Path

import numpy as np
import pytest
import torch

import unblur
from tests.restoration.test_shake import photograph
from unblur.checkpoints.folder import BUNDLED_KERNEL_ESTIMATOR, BUNDLED_RESTORER, save_checkpoint
from unblur.models import PlainUNetConfig, ShakeFusion, ShakeFusionConfig
from unblur.photos.photo import Photo
from unblur.restoration.shake_solver import load_shake_solver

CPU = torch.device("cpu")
CONFIG = ShakeFusionConfig(backbone=PlainUNetConfig(channels=(16, 32), blocks=(1, 1)))


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fusion")
    save_checkpoint(folder, ShakeFusion(CONFIG), CONFIG, train_patch_px=64, card="")
    return folder


def test_an_untrained_network_returns_what_the_network_alone_restores(untrained: Path) -> None:
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


def test_strength_zero_and_small_pictures_are_not_estimated(untrained: Path) -> None:
    restorer = unblur.load(shake_fusion=untrained)
    assert restorer.restore_photo(Photo(pixels=photograph(14)[0]), strength=0).shake is None
    assert restorer.restore_photo(Photo(pixels=photograph(14)[0][:40])).shake is None


def test_other_networks_are_refused() -> None:
    for folder in (BUNDLED_RESTORER, BUNDLED_KERNEL_ESTIMATOR):
        with pytest.raises(unblur.UnblurError, match="no fusion network"):
            load_shake_solver(CPU, fusion=folder)
