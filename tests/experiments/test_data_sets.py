"""Words on the command line name presets, folders, or folders with a name; pairs for measuring are held out."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from experiments.data_sets import BenchmarkSet, find_training_source, open_benchmark_sets
from experiments.dataset_rows import make_row_recipe
from unblur.blur.presets import find_preset
from unblur.datasets import PairFolder, PairSet, SimulatedBlur
from unblur.errors import UnblurError
from unblur.evaluation.motion_sources import holds_known_motion
from unblur.photos.photo import Photo
from unblur.photos.writing import write_photo


def sets(*texts: str, written_to: Path, held_out: Path | None = None, pairs: int | None = None) -> list[BenchmarkSet]:
    return open_benchmark_sets(texts, held_out=held_out, written_to=written_to, pairs=pairs, size_px=48)


def test_a_preset_is_simulated_and_its_pairs_are_written_once(photos: Path, tmp_path: Path) -> None:
    (one,) = sets("gopro", written_to=tmp_path / "sets", held_out=photos, pairs=3)
    assert one.source == SimulatedBlur(camera=find_preset("gopro"), share=1.0)
    assert [named.image for named in one.measured.files] == ["0000.png", "0001.png", "0002.png"]
    assert holds_known_motion(tmp_path / "sets" / "gopro")
    assert {pair.sharp.shape for pair in PairFolder(tmp_path / "sets" / "gopro")} == {(3, 48, 48)}
    first = tmp_path / "sets" / "gopro" / "blurry" / "0000.png"
    written = first.stat().st_mtime_ns
    sets("gopro", written_to=tmp_path / "sets", held_out=photos, pairs=3)
    assert first.stat().st_mtime_ns == written
    with pytest.raises(UnblurError, match="other photographs or settings"):
        sets("gopro", written_to=tmp_path / "sets", held_out=photos, pairs=4)
    with pytest.raises(UnblurError, match="--photos and --held-out"):
        sets("gopro", written_to=tmp_path / "sets")


def test_of_a_set_without_splits_the_last_fifth_is_measured(pairs: Path, tmp_path: Path) -> None:
    (one,) = sets(str(pairs), written_to=tmp_path / "sets")
    assert one.name == "real"
    assert isinstance(one.source, PairSet)
    assert [files.name for files in one.source.find_training_files()] == [f"{number}.png" for number in range(8)]
    assert [named.image for named in one.measured.files] == ["8.png", "9.png"]
    (fewer,) = sets(f"{pairs}@folder", written_to=tmp_path / "sets", pairs=1)
    assert (fewer.name, len(fewer.measured.files)) == ("folder", 1)


def test_a_set_with_splits_is_used_as_its_authors_split_it(tmp_path: Path) -> None:
    for split in ("train", "test"):
        scene = tmp_path / "data" / split / "GOPR0372_07_00"
        for side in ("blur", "sharp"):
            (scene / side).mkdir(parents=True)
            write_photo(Photo(pixels=np.zeros((20, 20, 3), np.uint8)), scene / side / f"{split}.png")
    (one,) = sets(f"{tmp_path / 'data'}", written_to=tmp_path / "sets")
    assert isinstance(one.source, PairSet)
    assert one.source.holdout == 0
    assert [named.image for named in one.measured.files] == ["GOPR0372_07_00-test.png"]
    assert one.measured.protocol.name == "gopro"
    for file in (tmp_path / "data" / "train").rglob("*.png"):
        file.unlink()
    assert find_training_source(str(tmp_path / "data")) is None


def test_unknown_data_sets_are_refused_in_one_sentence(pairs: Path, tmp_path: Path) -> None:
    for text in ("nikon", f"{tmp_path / 'gone'}@gopro"):
        with pytest.raises(UnblurError, match="neither a folder here nor a preset"):
            sets(text, written_to=tmp_path)
    with pytest.raises(UnblurError, match="There is no data set nikon"):
        sets(f"{pairs}@nikon", written_to=tmp_path)
    with pytest.raises(UnblurError, match="Two data sets are called real"):
        sets(str(pairs), str(pairs), written_to=tmp_path)
    with pytest.raises(UnblurError, match="0 pairs"):
        sets(str(pairs), written_to=tmp_path, pairs=0)
    for file in (pairs / "sharp").iterdir():
        file.unlink()
    (pairs / "sharp").rmdir()
    with pytest.raises(UnblurError, match="no sharp twins"):
        sets(str(pairs), written_to=tmp_path)


def test_networks_differ_in_more_than_their_name() -> None:
    recipes = [
        make_row_recipe(name, steps=50, patch_px=32, batch=2, seed=1) for name in ("small", "bundled", "restormer")
    ]
    assert len({recipe.model for recipe in recipes}) == 3
    assert {
        (recipe.schedule.steps, recipe.data.sampling.patch_px, recipe.schedule.batch, recipe.seed) for recipe in recipes
    } == {(50, 32, 2, 1)}
    assert all(recipe.schedule.warmup_steps <= recipe.schedule.steps // 10 for recipe in recipes)
    assert replace(recipes[0], schedule=replace(recipes[0].schedule, steps=60)) != recipes[0]
