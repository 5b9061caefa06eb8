"""Folders of photographs and of pairs, including those that people really have."""

from pathlib import Path

import numpy as np
import pytest
import torch

from unblur.datasets import PairFolder, PhotoFolder
from unblur.datasets.pair_files import read_rgb
from unblur.datasets.validation import ValidationSet, simulate_validation_pairs
from unblur.errors import UnblurError
from unblur.photos.photo import Photo
from unblur.photos.writing import write_photo


def save(path: Path, height: int = 40, width: int = 60, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    write_photo(Photo(pixels=pixels), path)


def test_pairs_come_in_order_with_equal_names(tmp_path: Path) -> None:
    for side in ("blurry", "sharp"):
        for name in ("b.png", "a.png"):
            save(tmp_path / side / name, seed=len(side))
    (tmp_path / "blurry" / "notes.txt").write_text("not a photograph")
    pairs = list(PairFolder(tmp_path))
    assert [pair.name for pair in pairs] == ["a.png", "b.png"]
    assert pairs[0].blurry.shape == (3, 40, 60)
    assert not torch.equal(pairs[0].blurry, pairs[0].sharp)


def test_faults_of_a_pair_folder_are_described(tmp_path: Path) -> None:
    with pytest.raises(
        UnblurError, match="not have the layout of a known data set; give a folder with blurry/ and sharp/"
    ):
        PairFolder(tmp_path)
    save(tmp_path / "blurry" / "a.png")
    with pytest.raises(UnblurError, match="has no sharp twins to compare with"):
        PairFolder(tmp_path)
    (tmp_path / "sharp").mkdir()
    with pytest.raises(UnblurError, match=r"1 files .* are missing, .* the sharp twin of blurry/a\.png"):
        PairFolder(tmp_path)
    save(tmp_path / "sharp" / "a.png", width=50)
    with pytest.raises(UnblurError, match="differ in size"):
        list(PairFolder(tmp_path))


def test_an_empty_pair_folder_is_refused(tmp_path: Path) -> None:
    for side in ("blurry", "sharp"):
        (tmp_path / side).mkdir()
    with pytest.raises(UnblurError, match="known data set"):
        PairFolder(tmp_path)


def test_grey_and_sixteen_bits_become_rgb_of_eight(tmp_path: Path) -> None:
    grey = np.arange(60, dtype=np.uint16).reshape(6, 10, 1) * 1000
    write_photo(Photo(pixels=grey), tmp_path / "grey.png")
    rgb = read_rgb(tmp_path / "grey.png")
    assert (rgb.shape, rgb.dtype) == ((3, 6, 10), torch.uint8)
    expected = np.round(grey[:, :, 0] / 257).astype(np.uint8)
    assert all(np.array_equal(channel.numpy(), expected) for channel in rgb)


def test_rare_content_is_drawn_more_often_than_its_share(tmp_path: Path) -> None:
    for name in ("a", "b", "c", "d", "text"):
        save(tmp_path / "photos" / f"{name}.png")
    rows = ["file,content", "a.png,nature", "b.png,nature", "c.png,nature", "d.png,nature", "text.png,text"]
    (tmp_path / "photos.csv").write_text("\n".join(rows))
    weights = PhotoFolder(tmp_path / "photos").weights
    torch.testing.assert_close(weights, torch.tensor([1, 1, 1, 1, 2], dtype=torch.float64) / 6)


def test_hidden_files_are_no_photographs(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(tmp_path / "photos" / f"{name}.png", 64, 64, seed=ord(name))
    photos = PhotoFolder(tmp_path / "photos")
    settings = ValidationSet(severities=(("light", 2.0),), size_px=32)
    before = list(simulate_validation_pairs(photos, settings))
    # What macOS leaves beside the files of a disk that is not its own.
    (tmp_path / "photos" / "._a.png").write_bytes(b"\0\5\x16\7")
    (tmp_path / "photos" / "c.png").mkdir()
    again = PhotoFolder(tmp_path / "photos")
    assert again.names == photos.names == ["a.png", "b.png"]
    for was, pair in zip(before, simulate_validation_pairs(again, settings), strict=True):
        assert was.name == pair.name
        assert torch.equal(was.blurry, pair.blurry)
    for name in ("a", "b"):
        (tmp_path / "photos" / f"{name}.png").unlink()
    with pytest.raises(UnblurError, match="no photographs"):
        PhotoFolder(tmp_path / "photos")


def test_without_a_table_all_photographs_are_alike(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(tmp_path / "photos" / f"{name}.png")
    assert PhotoFolder(tmp_path / "photos").weights.tolist() == [0.5, 0.5]


def test_a_folder_without_photographs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnblurError, match="no photographs"):
        PhotoFolder(tmp_path)
    with pytest.raises(UnblurError, match="no folder"):
        PhotoFolder(tmp_path / "missing")


def test_the_validation_set_is_fixed_and_grows_blurrier(tmp_path: Path) -> None:
    for number in range(2):
        coarse = np.random.default_rng(number).integers(0, 255, (20, 24, 3), dtype=np.uint8)
        (tmp_path / "photos").mkdir(exist_ok=True)
        pixels = coarse.repeat(10, 0).repeat(10, 1)
        write_photo(Photo(pixels=pixels), tmp_path / "photos" / f"photo_{number}.png")
    settings = ValidationSet(size_px=96)
    first, again = (list(simulate_validation_pairs(PhotoFolder(tmp_path / "photos"), settings)) for _ in range(2))
    assert len(first) == 2 * len(settings.severities)
    error: dict[str, float] = {}
    for pair, twin in zip(first, again, strict=True):
        assert pair.name == twin.name
        assert torch.equal(pair.blurry, twin.blurry)
        assert pair.blurry.shape == pair.sharp.shape == (3, 96, 96)
        severity = pair.name.split("_")[0]
        error[severity] = error.get(severity, 0) + float((pair.blurry - pair.sharp).square().mean())
    assert [name for name, _ in settings.severities] == sorted(error, key=error.__getitem__)


@pytest.mark.parametrize(
    ("pair", "values"),
    [
        ("light_a", [113, 175, 237, 45, 134, 197, 77, 67, 154, 216, 25, 86, 177, 238, 45, 106]),
        ("moderate_a", [116, 175, 245, 48, 139, 195, 74, 63, 152, 217, 2, 90, 178, 201, 48, 113]),
        ("strong_a", [111, 174, 238, 46, 134, 197, 22, 65, 155, 217, 26, 85, 174, 238, 48, 107]),
        ("severe_a", [113, 174, 238, 46, 132, 196, 161, 69, 151, 217, 27, 88, 173, 233, 45, 107]),
    ],
)
def test_version_2_of_the_validation_set_is_what_it_was(tmp_path: Path, pair: str, values: list[int]) -> None:
    """Every 21st pixel of what the release that introduced version 2 made, noise included."""
    row, column = np.mgrid[:96, :128]
    pixels = np.stack([(3 * column + row) % 256, (column * row // 16) % 256, (2 * row + column) % 256], axis=-1)
    (tmp_path / "photos").mkdir()
    write_photo(Photo(pixels=pixels.astype(np.uint8)), tmp_path / "photos" / "a.png")
    settings = ValidationSet(size_px=64)
    assert settings.version == 2
    blurry = next(
        p.blurry for p in simulate_validation_pairs(PhotoFolder(tmp_path / "photos"), settings) if pair in p.name
    )
    found = (blurry * 255).round().int()[:, ::21, ::21].flatten()[:16]
    # Other processors round a little differently, and JPEG may make two levels of that.
    assert (found - torch.tensor(values)).abs().max() <= 2


@pytest.mark.parametrize("table", [b"\xff\xfe", b"a,b\n1,2\n", b"file\n0.png\n"])
def test_a_table_of_contents_that_is_none(table: bytes, photos: Path) -> None:
    photos.with_suffix(".csv").write_bytes(table)
    with pytest.raises(UnblurError, match=r"photos\.csv does not say what the photographs show"):
        PhotoFolder(photos)
