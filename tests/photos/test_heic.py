"""HEIC photographs are read upright and in their depth; files are made by pillow-heif's encoder."""

import io
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pillow_heif  # noqa: TID253 - makes what it reads
import pytest
from PIL import Image, ImageCms, ImageOps
from smooth_picture import smooth

from unblur.errors import UnblurError
from unblur.photos.reading import read_photo, read_shortest_side_px
from unblur.photos.writing import write_photo

ORIENTATION, MAKE, EXIF_IFD, EXPOSURE = 0x0112, 0x010F, 0x8769, 0x829A

scene = partial(smooth, 48, 64)


def save(path: Path, mode: str, pixels: np.ndarray, **more: object) -> Path:
    size = (pixels.shape[1], pixels.shape[0])
    pillow_heif.from_bytes(mode=mode, size=size, data=pixels.tobytes()).save(path, quality=95, chroma=444, **more)
    return path


def test_decoded_pixels_equal_the_encoded(tmp_path: Path) -> None:
    pixels = scene()
    photo = read_photo(save(tmp_path / "photo.heic", "RGB", pixels))
    assert photo.pixels.dtype == np.uint8
    assert np.abs(photo.pixels.astype(int) - pixels).max() <= 8
    assert read_shortest_side_px(tmp_path / "photo.heic") == 48


def test_grey_and_transparency(tmp_path: Path) -> None:
    grey, alpha = scene()[:, :, 0], scene()[:, :, 1]
    photo = read_photo(save(tmp_path / "grey.heic", "L", grey))
    assert photo.pixels.shape == (48, 64, 1)
    assert np.abs(photo.pixels[:, :, 0].astype(int) - grey).max() <= 8
    photo = read_photo(save(tmp_path / "see_through.heic", "RGBA", np.dstack([scene(), alpha])))
    assert photo.alpha is not None
    assert np.abs(photo.alpha.astype(int) - alpha).max() <= 8


def test_ten_bits_are_decoded_as_sixteen(tmp_path: Path) -> None:
    pixels = scene().astype(np.uint16) * 257
    # Steps of a quarter of a level of eight bits, which eight bits would lose.
    pixels[:, :, 0] = np.linspace(30_000, 34_000, 64).astype(np.uint16)
    photo = read_photo(save(tmp_path / "deep.hif", "RGB;16", pixels))
    assert photo.bit_depth == 16
    assert len(np.unique(photo.pixels[:, :, 0])) > 2 * 4_000 / 257
    assert np.abs(photo.pixels.astype(int) - pixels).max() <= 8 * 257


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_are_upright_once(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION], exif[MAKE] = orientation, "Unblur Telephones"
    exif.get_ifd(EXIF_IFD)[EXPOSURE] = 0.25
    # As telephones do: turned by the container, and EXIF says so too, which must not turn it again.
    pillow_heif.from_pillow(Image.fromarray(scene())).save(tmp_path / "photo.heic", quality=95, exif=exif.tobytes())
    lying = Image.fromarray(scene())
    lying.getexif()[ORIENTATION] = orientation
    upright = ImageOps.exif_transpose(lying)
    photo = read_photo(tmp_path / "photo.heic")
    assert np.abs(photo.pixels.astype(int) - np.asarray(upright)).mean() < 3
    write_photo(photo, tmp_path / "photo.jpg")
    with Image.open(tmp_path / "photo.jpg") as written:
        assert written.size == upright.size
        assert written.getexif()[ORIENTATION] == 1
        assert written.getexif()[MAKE] == "Unblur Telephones"
        assert float(written.getexif().get_ifd(EXIF_IFD)[EXPOSURE]) == 0.25


def test_the_colour_profile_is_preserved(tmp_path: Path) -> None:
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(scene())).save(data, icc_profile=icc)
    (tmp_path / "photo.heic").write_bytes(data.getvalue())
    assert read_photo(tmp_path / "photo.heic").metadata.icc == icc


@pytest.mark.parametrize("share", [0.1, 0.3, 0.7, 0.95])
def test_truncated_files_are_refused(tmp_path: Path, share: float) -> None:
    path = save(tmp_path / "photo.heic", "RGB", np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(UnblurError, match=r"photo\.heic .*") as caught:
        read_photo(path)
    assert "\n" not in str(caught.value)


def test_several_pictures_are_refused(tmp_path: Path) -> None:
    one = Image.fromarray(scene())
    several = pillow_heif.from_pillow(one)
    several.add_from_pillow(one)
    several.save(tmp_path / "burst.heic")
    with pytest.raises(UnblurError, match="2 pictures"):
        read_photo(tmp_path / "burst.heic")


def test_without_the_extra_the_error_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "photo.heic", "RGB", scene())
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(UnblurError, match=r"unblur\[heic\]"):
        read_photo(path)


def test_heic_is_not_written(tmp_path: Path) -> None:
    photo = read_photo(save(tmp_path / "photo.heic", "RGB", scene()))
    with pytest.raises(UnblurError, match=r"can be written; use \.avif"):
        write_photo(photo, tmp_path / "again.heic")
    assert not (tmp_path / "again.heic").exists()
