"""Shards of seven simulated pairs."""

from pathlib import Path

import numpy as np
import pytest
from made_shards import settings_for, write_missing

from unblur.datasets import PhotoFolder, SimulatedPairs
from unblur.photos.photo import Photo
from unblur.photos.writing import write_photo


@pytest.fixture
def shard_photos(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    coarse = np.random.default_rng(0).integers(0, 255, (8, 9, 3), dtype=np.uint8)
    write_photo(Photo(pixels=coarse.repeat(10, 0).repeat(10, 1)), tmp_path / "photos" / "0.png")
    return tmp_path / "photos"


@pytest.fixture
def pairs(shard_photos: Path) -> SimulatedPairs:
    settings = settings_for(shard_photos)
    return SimulatedPairs(PhotoFolder(shard_photos), settings.camera, settings.sampling, settings.seed)


@pytest.fixture
def shards(tmp_path: Path, shard_photos: Path, pairs: SimulatedPairs) -> Path:
    """Seven pairs, four in a shard."""
    write_missing(tmp_path / "shards", settings_for(shard_photos), pairs.__getitem__)
    return tmp_path / "shards"
