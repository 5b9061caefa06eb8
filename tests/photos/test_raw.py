"""Raw files: developed neutrally, described by their EXIF, written as TIFF or linear DNG, refused in a sentence."""

import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import rawpy  # noqa: TID253 - reads written DNG files back
import tifffile
from PIL import Image

from tests.photos.made_raw import WHITE, make_dng
from unblur.app.cli import main
from unblur.errors import UnblurError
from unblur.photos import dng_file
from unblur.photos.color import decode_16_bits, encode_16_bits
from unblur.photos.exif_block import list_tags
from unblur.photos.marks import COMPOSITE_WITH_GENERATED, mark_metadata
from unblur.photos.reading import read_photo
from unblur.photos.writing import list_left_behind, write_photo

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/></x:xmpmeta>'
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
    photo = read_photo(tmp_path / "a.dng")
    assert photo.pixels.dtype == np.uint8
    with pytest.raises(UnblurError, match="only a raw file of a camera becomes a DNG file"):
        write_photo(photo, tmp_path / "c.dng")
    assert not (tmp_path / "c.dng").exists()


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


# --- linear light and DNG ------------------------------------------------------------------------------------


def develop(path: Path) -> np.ndarray:
    """Develop a file with LibRaw to linear light of 16 bits, as neutrally as can be."""
    with rawpy.imread(str(path)) as raw:
        light = raw.postprocess(
            use_camera_wb=True, no_auto_bright=True, output_bps=16, gamma=(1, 1), adjust_maximum_thr=0
        )
    return light.astype(int)


def read_tags(path: Path) -> dict[str, object]:
    with tifffile.TiffFile(path) as file:
        return {tag.name: tag.value for tag in file.pages[0].tags}


def brighten(path: Path, factor: float) -> Path:
    """Multiply the mosaic of `make_dng`, 96 x 64, up to the sensor's white."""
    data = path.read_bytes()
    mosaic = np.frombuffer(data[-2 * 96 * 64 :], np.uint16)
    path.write_bytes(data[: -2 * 96 * 64] + np.minimum(factor * mosaic, WHITE).astype(np.uint16).tobytes())
    return path


def test_every_value_of_linear_light_survives_the_curve_of_srgb() -> None:
    light = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    values = light.copy()
    encode_16_bits(values)
    assert np.abs(values.ravel() - srgb(light.ravel() / 65535)).max() <= 0.5 + 1e-6
    assert (np.diff(values.ravel().astype(int)) >= 0).all()
    back = decode_16_bits(values)
    assert np.abs(back.astype(int) - light).max() == 1
    assert (back[0, 0], back[-1, -1]) == (0, 65535)


@pytest.mark.parametrize("factor", [1, 1.7, 5])
def test_development_changes_no_brightness(tmp_path: Path, factor: float) -> None:
    path = brighten(make_dng(tmp_path / "a.dng"), factor)
    light = decode_16_bits(read_photo(path).pixels)
    assert np.abs(light - develop(path)).max() <= 1
    # Blue is the same everywhere, and counts twice.
    assert np.abs(light[8:-8, 8:-8, 2] - 65535 * min(1.0, 2 * int(1500 * factor) / WHITE)).max() < 600


@pytest.mark.parametrize("factor", [1, 1.7, 5])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_dng_file_has_the_light_of_the_raw_file(tmp_path: Path, factor: float, orientation: int) -> None:
    path = brighten(make_dng(tmp_path / "a.dng", orientation=orientation), factor)
    assert main([str(path), "--strength", "0", "-o", str(tmp_path / "b.dng")]) == 0
    written = develop(tmp_path / "b.dng")
    assert np.abs(written - develop(path)).max() <= 2
    # Restored once more, it is the same raw file.
    assert main([str(tmp_path / "b.dng"), "--strength", "0", "--format", "dng"]) == 0
    assert np.abs(develop(tmp_path / "b_unblurred.dng") - written).max() <= 2


def test_a_dng_file_says_what_raw_converters_need(tmp_path: Path) -> None:
    write_photo(read_photo(make_dng(tmp_path / "a.dng")), tmp_path / "b.dng")
    tags = read_tags(tmp_path / "b.dng")
    assert (tags["PhotometricInterpretation"], tags["SamplesPerPixel"], tags["BitsPerSample"]) == (34892, 3, (16,) * 3)
    assert (tags["Compression"], tags["Orientation"], tags["NewSubfileType"]) == (1, 1, 0)
    assert tags["DNGVersion"] == bytes([1, 4, 0, 0])
    assert tags["DNGBackwardVersion"] == bytes([1, 1, 0, 0])
    assert tags["UniqueCameraModel"] == "Maker Model linear sRGB"
    assert tags["CalibrationIlluminant1"] == 21
    assert tags["AsShotNeutral"] == (1, 1) * 3
    assert (tags["BlackLevel"], tags["WhiteLevel"]) == ((0,) * 3, (65535,) * 3)
    matrix = np.array(tags["ColorMatrix1"]).reshape(3, 3, 2)
    white = np.array([0.95047, 1, 1.08883])
    assert np.abs(matrix[..., 0] / matrix[..., 1] @ white - 1).max() < 1e-4
    assert "InterColorProfile" not in tags
    assert tags["Software"] == f"unblur {version('unblur')}"
    assert (tags["Make"], tags["Model"], tags["Copyright"]) == ("Maker", "Model", "Somebody")


def test_a_dng_file_has_the_metadata_of_the_raw_file(tmp_path: Path) -> None:
    photo = read_photo(make_dng(tmp_path / "a.dng"))
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0131], exif[0x0112] = "Canon", "Canon EOS 5D Mark III", "Firmware 1.2", 6
    exif.get_ifd(0x8769).update({0x829A: 0.25, 0xA434: "Lens 50 mm", 0x9003: "2024:05:06 07:08:09"})
    described = replace(photo.metadata, exif=exif.tobytes(), xmp=XMP, iptc=b"\x1c\x02\x05\0\1A")
    write_photo(replace(photo, metadata=described), tmp_path / "b.dng")
    tags = read_tags(tmp_path / "b.dng")
    assert tags["UniqueCameraModel"] == "Canon EOS 5D Mark III linear sRGB"
    assert tags["Software"] == f"unblur {version('unblur')}"
    assert tags["Orientation"] == 1
    assert tags["ExifTag"]["ExposureTime"] == 0.25
    assert tags["ExifTag"]["LensModel"] == "Lens 50 mm"
    assert tags["ExifTag"]["DateTimeOriginal"] == "2024:05:06 07:08:09"
    assert tags["XMP"] == XMP
    assert list_left_behind(replace(photo, metadata=described), tmp_path / "b.dng") == ()
    # A camera's name brings no colours of that camera.
    write_photo(photo, tmp_path / "c.dng")
    assert np.array_equal(develop(tmp_path / "b.dng"), develop(tmp_path / "c.dng"))


def test_marks_of_generated_detail_stay_in_a_dng_file(tmp_path: Path) -> None:
    photo = read_photo(make_dng(tmp_path / "a.dng"))
    marked = mark_metadata(photo.metadata, software="unblur 0.1.0, generative", source_type=COMPOSITE_WITH_GENERATED)
    write_photo(replace(photo, metadata=marked), tmp_path / "b.dng")
    tags = read_tags(tmp_path / "b.dng")
    assert tags["Software"] == "unblur 0.1.0, generative"
    assert COMPOSITE_WITH_GENERATED.encode() in tags["XMP"]


def test_a_dng_file_of_a_camera_without_colours_has_three_equal_channels(tmp_path: Path) -> None:
    photo = read_photo(make_dng(tmp_path / "a.dng"))
    grey = replace(photo, pixels=photo.pixels[:, :, 1:2])
    write_photo(grey, tmp_path / "b.dng")
    found = read_photo(tmp_path / "b.dng").pixels
    assert np.abs(found.astype(int) - grey.pixels).max() < 0.005 * 65535


def test_a_dng_file_of_many_pixels_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = read_photo(make_dng(tmp_path / "a.dng"))
    monkeypatch.setattr(dng_file, "MOST_PIXELS", 6000)
    with pytest.raises(UnblurError, match=r"at most 6,000 pixels, not 96 x 64; write \.tif instead"):
        write_photo(photo, tmp_path / "b.dng")


def test_other_photographs_become_no_dng_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (64, 64), "red").save(tmp_path / "photo.png")
    for options in (["-o", str(tmp_path / "out.dng")], ["--format", "dng"]):
        assert main([str(tmp_path / "photo.png"), *options]) == 1
        assert "only a raw file of a camera becomes a DNG file" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["photo.png"]


def test_the_comparison_beside_a_dng_file_is_a_tiff(tmp_path: Path) -> None:
    path = make_dng(tmp_path / "a.dng")
    assert main([str(path), "--strength", "0", "-o", str(tmp_path / "b.dng"), "--compare"]) == 0
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.dng", "b.dng", "b_compare.tif"]
    assert read_photo(tmp_path / "b_compare.tif").width > 2 * 96
