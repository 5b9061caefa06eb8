"""Raw files: developed neutrally, described by their EXIF, refused in a sentence."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.photos.made_raw import WHITE, make_dng
from unblur.app.cli import main
from unblur.errors import UnblurError
from unblur.photos.exif_block import list_tags
from unblur.photos.reading import read_photo
from unblur.photos.writing import write_photo

COPYRIGHT, DNG_VERSION, MOSAIC = 0x8298, 0xC612, 0x828E


def srgb(linear: np.ndarray) -> np.ndarray:
    curved = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return 65535 * np.clip(curved, 0, 1)


def test_a_raw_file_is_developed_with_the_white_of_the_camera(tmp_path: Path) -> None:
    photo = read_photo(make_dng(tmp_path / "a.dng"))
    assert photo.pixels.shape == (64, 96, 3)
    assert photo.pixels.dtype == np.uint16
    rows, columns = np.mgrid[:64, :96]
    # The camera saw white as (0.5, 1, 0.5): red and blue count twice.
    light = np.stack([2 * (500 + columns * 50), 1000 + rows * 100, np.full((64, 96), 3000)], axis=2) / WHITE
    inner = (slice(8, -8), slice(8, -8))
    assert np.abs(photo.pixels[inner] - srgb(light)[inner]).max() < 0.015 * 65535
    assert list_tags(photo.metadata.exif) >= {COPYRIGHT, 0x010F, 0x0110}
    assert not list_tags(photo.metadata.exif) & {DNG_VERSION, MOSAIC}
    assert photo.metadata.icc is not None


def test_a_raw_file_is_turned_upright(tmp_path: Path) -> None:
    lying, standing = (read_photo(make_dng(tmp_path / f"{number}.dng", orientation=number)).pixels for number in (1, 6))
    inner = (slice(8, -8), slice(8, -8))
    assert np.abs(np.rot90(lying, -1)[inner].astype(int) - standing[inner]).max() < 0.01 * 65535


def test_the_result_is_a_tiff_with_16_bits(tmp_path: Path) -> None:
    make_dng(tmp_path / "a.DNG")
    assert main([str(tmp_path), "--strength", "0"]) == 0
    result = read_photo(tmp_path / "a_unblurred.tif")
    assert np.array_equal(result.pixels, read_photo(tmp_path / "a.DNG").pixels)
    assert result.metadata.icc is not None
    with Image.open(tmp_path / "a_unblurred.tif") as image:
        assert image.tag_v2[COPYRIGHT] == "Somebody"
        assert DNG_VERSION not in image.tag_v2


def test_other_files_with_such_a_name_are_what_they_are(tmp_path: Path) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "a.dng", "JPEG")
    assert read_photo(tmp_path / "a.dng").pixels.dtype == np.uint8
    photo = read_photo(make_dng(tmp_path / "b.dng"))
    with pytest.raises(UnblurError, match="no suffix of a photograph"):
        write_photo(photo, tmp_path / "c.dng")


def test_what_cannot_be_developed_is_refused(tmp_path: Path) -> None:
    whole = make_dng(tmp_path / "whole.dng").read_bytes()
    (tmp_path / "cut.dng").write_bytes(whole[:6000])
    (tmp_path / "text.cr3").write_bytes(b"no photograph " * 100)
    make_dng(tmp_path / "bomb.dng", claims=300)
    for name in ("cut.dng", "text.cr3", "bomb.dng"):
        with pytest.raises(UnblurError) as caught:
            read_photo(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_without_rawpy_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rawpy", None)
    with pytest.raises(UnblurError, match=r"pip install 'unblur\[raw\]'"):
        read_photo(make_dng(tmp_path / "a.dng"))
