"""Colours that the container tells and no profile, judged by pillow-heif and by hand-made bytes."""

import io
import struct
from pathlib import Path

import numpy as np
import pillow_heif  # noqa: TID253 - makes what is read
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from unblur.errors import UnblurError
from unblur.photos.heif_colours import UNSPECIFIED, read_code_points
from unblur.photos.reading import read_photo
from unblur.photos.writing import write_photo

BT_709, BT_2020, DISPLAY_P3 = 1, 9, 12
SRGB, LINEAR, PQ, HLG = 13, 8, 16, 18


def picture() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8))


def heic(primaries: int, transfer: int) -> bytes:
    data = io.BytesIO()
    colours = {"color_primaries": primaries, "transfer_characteristics": transfer}
    pillow_heif.from_pillow(picture()).save(data, save_nclx_profile=True, **colours)
    return data.getvalue()


def avif(primaries: int, transfer: int) -> bytes:
    """Return Pillow's AVIF file with other code points."""
    data = io.BytesIO()
    picture().save(data, "AVIF")
    before, _, after = data.getvalue().partition(b"colrnclx")
    return before + b"colrnclx" + struct.pack(">HH", primaries, transfer) + after[4:]


@pytest.fixture(params=[heic, avif])
def saved(request: pytest.FixtureRequest, tmp_path: Path):
    """Writes a photograph whose container tells its colours; the path."""

    def save(primaries: int, transfer: int) -> Path:
        path = tmp_path / f"photo.{request.param.__name__}"
        path.write_bytes(request.param(primaries, transfer))
        return path

    return save


@pytest.mark.parametrize("transfer", [SRGB, PQ, UNSPECIFIED])
@pytest.mark.parametrize("primaries", [BT_709, BT_2020, DISPLAY_P3])
def test_code_points_are_those_that_pillow_heif_reads(primaries: int, transfer: int) -> None:
    data = heic(primaries, transfer)
    read = pillow_heif.open_heif(io.BytesIO(data)).info["nclx_profile"]
    assert (
        read_code_points(data) == (read["color_primaries"], read["transfer_characteristics"]) == (primaries, transfer)
    )


def test_display_p3_without_a_profile_gets_one(saved, tmp_path: Path) -> None:
    write_photo(read_photo(saved(DISPLAY_P3, SRGB)), tmp_path / "photo.jpg")
    with Image.open(tmp_path / "photo.jpg") as image:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"])).profile
    # Of Apple's Display P3.icc, X and Y.
    assert profile.red_colorant[0][:2] == pytest.approx((0.5151, 0.2412), abs=1e-3)
    assert profile.green_colorant[0][:2] == pytest.approx((0.2920, 0.6922), abs=1e-3)


@pytest.mark.parametrize(("primaries", "transfer"), [(BT_709, SRGB), (UNSPECIFIED, UNSPECIFIED), (BT_709, BT_709)])
def test_colours_of_srgb_need_no_profile(saved, primaries: int, transfer: int) -> None:
    assert read_photo(saved(primaries, transfer)).metadata.icc is None


@pytest.mark.parametrize(
    ("primaries", "transfer", "said"),
    [
        (BT_2020, PQ, "HDR .*PQ"),
        (BT_2020, HLG, "HDR .*HLG"),
        (BT_2020, SRGB, "primaries 9"),
        (BT_709, LINEAR, "transfer 8"),
    ],
)
def test_unsupported_colours_are_refused_in_one_sentence(saved, primaries: int, transfer: int, said: str) -> None:
    path = saved(primaries, transfer)
    with pytest.raises(UnblurError, match=said) as caught:
        read_photo(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_profile_takes_precedence_over_code_points(tmp_path: Path) -> None:
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    colours = {"color_primaries": DISPLAY_P3, "transfer_characteristics": SRGB}
    path = tmp_path / "photo.heic"
    pillow_heif.from_pillow(picture()).save(path, icc_profile=icc, save_nclx_profile=True, **colours)
    assert read_photo(path).metadata.icc == icc


def test_code_points_of_other_pictures_are_ignored() -> None:
    several = pillow_heif.from_pillow(picture())
    several.add_from_pillow(Image.fromarray(255 - np.asarray(picture())))
    data = io.BytesIO()
    several.save(data, primary_index=1, save_nclx_profile=True, color_primaries=DISPLAY_P3)
    first, second, third = data.getvalue().split(b"colrnclx")
    # The first is made HDR, which the primary, the second, is not.
    hdr = b"colrnclx" + struct.pack(">HH", BT_2020, PQ) + second[4:]
    assert read_code_points(first + hdr + b"colrnclx" + third)[0] == DISPLAY_P3


@given(cut=st.integers(0, 400), place=st.integers(0, 400), value=st.integers(0, 255))
def test_damaged_boxes_raise_no_error(cut: int, place: int, value: int) -> None:
    data = bytearray(EXAMPLE)
    data[place] = value
    primaries, transfer = read_code_points(bytes(data[cut:]))
    assert 0 <= primaries < 2**16
    assert 0 <= transfer < 2**16
    assert read_code_points(EXAMPLE[:cut]) in {(UNSPECIFIED, UNSPECIFIED), (DISPLAY_P3, SRGB)}


EXAMPLE = heic(DISPLAY_P3, SRGB)
