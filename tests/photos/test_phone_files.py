"""Extra contents of telephones' files are left behind and named, and the metadata no longer claim them."""

import io
import struct
from pathlib import Path

import numpy as np
import pillow_heif  # noqa: TID253 - makes what is read
import pytest
from made_files import (
    XMP_HEADER,
    box,
    coded_picture,
    full_box,
    grid,
    heif,
    jpeg,
    packet,
    segment,
    size_property,
    with_segments,
)
from PIL import Image
from smooth_picture import smooth

from unblur.photos.reading import read_photo
from unblur.photos.writing import list_left_behind, write_photo

GAIN_MAP_ATTRIBUTES = 'hdrgm:Version="1.0" hdrgm:GainMapMin="0" hdrgm:GainMapMax="2" hdrgm:HDRCapacityMax="2"'
DIRECTORY = (
    '<Container:Directory><rdf:Seq><rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="Primary" '
    'Item:Mime="image/jpeg"/></rdf:li><rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="{}" '
    'Item:Mime="x" Item:Length="10"/></rdf:li></rdf:Seq></Container:Directory>'
)
VIDEO = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(2000)
HEVC, AV1 = b"hvc1", b"av01"


def multi_picture(first: bytes, second: bytes) -> bytes:
    """Two JPEGs one behind the other, and an index of them in the first."""
    pictures = struct.pack("<IIIHH", 0x030000, len(first), 0, 0, 0) + struct.pack("<IIIHH", 0, len(second), 0, 0, 0)
    index = b"MPF\0II*\0" + struct.pack("<IH", 8, 3)
    index += struct.pack("<HHI", 0xB000, 7, 4) + b"0100" + struct.pack("<HHII", 0xB001, 4, 1, 2)
    index += struct.pack("<HHII", 0xB002, 7, 32, 50) + bytes(4) + pictures
    return with_segments(first, segment(0xE2, index)) + second


def xmp_segment(xmp: bytes) -> bytes:
    return segment(0xE1, XMP_HEADER + xmp)


def gain_map() -> bytes:
    return with_segments(jpeg(smooth(20, 30)[:, :, 0]), xmp_segment(packet(GAIN_MAP_ATTRIBUTES)))


def ultra_hdr() -> bytes:
    described = packet('hdrgm:Version="1.0"', DIRECTORY.format("GainMap"))
    return multi_picture(with_segments(jpeg(), xmp_segment(described)), gain_map())


def ultra_hdr_of_iso() -> bytes:
    iso = segment(0xE2, b"urn:iso:std:iso:ts:21496:-1\0" + bytes(4))
    return multi_picture(with_segments(jpeg(), iso), with_segments(jpeg(), iso))


def motion_photo() -> bytes:
    claims = 'GCamera:MotionPhoto="1" GCamera:MicroVideo="1" GCamera:MicroVideoOffset="2024"'
    described = packet(claims, DIRECTORY.format("MotionPhoto"))
    return with_segments(jpeg(), xmp_segment(described)) + VIDEO


def ultra_hdr_in_motion() -> bytes:
    described = packet('hdrgm:Version="1.0" GCamera:MotionPhoto="1"', DIRECTORY.format("GainMap"))
    return multi_picture(with_segments(jpeg(), xmp_segment(described)), gain_map()) + VIDEO


def samsung_motion_photo() -> bytes:
    return jpeg() + b"\0\0\x30\x0a\x10\0\0\0MotionPhoto_Data" + VIDEO + b"SEFT"


def depth() -> bytes:
    long = b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 32 + struct.pack(">II", 3000, 0) + bytes(3000)
    claims = 'xmlns:GDepth="http://ns.google.com/photos/1.0/depthmap/" GDepth:Format="RangeInverse" '
    claims += f'xmlns:xmpNote="http://ns.adobe.com/xmp/note/" xmpNote:HasExtendedXMP="{"0" * 32}"'
    return with_segments(jpeg(), xmp_segment(packet(claims)), segment(0xE1, long))


JPEGS = {
    "ultra_hdr": (ultra_hdr, {"the gain map"}),
    "ultra_hdr_of_iso": (ultra_hdr_of_iso, {"the gain map"}),
    "mpo": (lambda: multi_picture(jpeg(), jpeg(255 - smooth())), {"the other pictures"}),
    "motion": (motion_photo, {"the video"}),
    "both": (ultra_hdr_in_motion, {"the gain map", "the video"}),
    "samsung": (samsung_motion_photo, {"the video"}),
    "depth": (depth, {"the depth map", "the extended XMP packet"}),
}
CLAIMS = (b"hdrgm:", b"MotionPhoto", b"MicroVideo", b"Container:", b"GDepth:", b"HasExtendedXMP")


@pytest.mark.parametrize("name", JPEGS)
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_only_the_photograph_is_read(tmp_path: Path, name: str, suffix: str) -> None:
    make, beside = JPEGS[name]
    (tmp_path / "in.jpg").write_bytes(make())
    photo = read_photo(tmp_path / "in.jpg")
    with Image.open(io.BytesIO(jpeg())) as image:
        assert np.abs(photo.pixels.astype(int) - np.asarray(image)).max() <= 2
    assert set(photo.metadata.left_behind) == beside
    write_photo(photo, tmp_path / f"out{suffix}")
    written = (tmp_path / f"out{suffix}").read_bytes()
    # Namespaces may stay declared; nothing is said in them.
    said = written.replace(b"xmlns:hdrgm=", b"").replace(b"xmlns:Container=", b"").replace(b"xmlns:GDepth=", b"")
    assert [claim for claim in CLAIMS if claim in said] == []
    assert (b'dc:format="image/jpeg"' in written) == (photo.metadata.xmp is not None)
    again = read_photo(tmp_path / f"out{suffix}")
    assert again.metadata.left_behind == ()
    assert list_left_behind(again, tmp_path / f"out{suffix}") == ()


def test_a_plain_photograph_has_no_extra_contents(tmp_path: Path) -> None:
    plain = packet('dc:title="Hafen"')
    (tmp_path / "in.jpg").write_bytes(with_segments(jpeg(), xmp_segment(plain)))
    photo = read_photo(tmp_path / "in.jpg")
    assert photo.metadata.left_behind == ()
    assert photo.metadata.xmp == plain


# --- HEIC and AVIF -------------------------------------------------------------------------------------------


def encoded(pixels: np.ndarray, kind: bytes) -> tuple[bytes, bytes]:
    """Decoder's configuration and data of one picture."""
    file = io.BytesIO()
    if kind == HEVC:
        pillow_heif.from_pillow(Image.fromarray(pixels)).save(file, quality=90, chroma=444)
    else:
        Image.fromarray(pixels).save(file, "AVIF", quality=90)
    return coded_picture(file.getvalue(), kind)


def of_tiles(kind: bytes, rows: int, columns: int, tile: np.ndarray, hidden: bool = True) -> bytes:
    config, data = encoded(tile, kind)
    height, width = tile.shape[0] * rows, tile.shape[1] * columns
    tiles = [(kind, data, [config, size_property(tile.shape[1], tile.shape[0])], b"\0")] * (rows * columns)
    whole = (b"grid", grid(rows, columns, width, height), [size_property(width, height)], b"\0")
    names = list(range(2, 2 + rows * columns))
    return heif(b"heic" if kind == HEVC else b"avif", [whole, *tiles], ((b"dimg", 1, names),), hidden=hidden)


def with_auxiliary(kind: bytes, auxiliary: bytes) -> bytes:
    config, data = encoded(smooth(64, 64), kind)
    small, small_data = encoded(smooth(64, 64)[:, :, :1].repeat(3, 2), kind)
    own = [small, size_property(64, 64), full_box(b"auxC", auxiliary + b"\0")]
    items = [(kind, data, [config, size_property(64, 64)], b"\0"), (kind, small_data, own, b"\0")]
    return heif(b"heic" if kind == HEVC else b"avif", items, ((b"auxl", 2, [1]),))


def with_tone_map(kind: bytes, hidden: bool) -> bytes:
    """A gain map as ISO 21496-1 has it: an item derived from both, in a group of alternatives with the photograph."""
    config, data = encoded(smooth(64, 64), kind)
    plain = [config, size_property(64, 64)]
    items = [
        (kind, data, plain, b"\0"),
        (kind, data, plain, b"\0"),
        (b"tmap", bytes(62), [size_property(64, 64)], b"\0"),
    ]
    group = box(b"grpl", full_box(b"altr", struct.pack(">IIII", 100, 2, 3, 1)))
    brand = b"heic" if kind == HEVC else b"avif"
    return heif(brand, items, ((b"dimg", 3, [1, 2]),), groups=group, hidden=hidden)


HIDDEN = pytest.mark.parametrize("hidden", [True, False], ids=["hidden", "visible"])


@pytest.mark.parametrize("kind", [HEVC, AV1])
@pytest.mark.parametrize(
    ("auxiliary", "name"),
    [
        (b"urn:com:apple:photo:2020:aux:hdrgainmap", "the gain map"),
        (b"urn:mpeg:hevc:2015:auxid:2", "the depth map"),
        (b"urn:mpeg:mpegB:cicp:systems:auxiliary:depth", "the depth map"),
        (b"urn:com:apple:photo:2018:aux:portraiteffectsmatte", "the mattes"),
    ],
)
def test_auxiliary_pictures_are_reported_as_left_behind(
    tmp_path: Path, kind: bytes, auxiliary: bytes, name: str
) -> None:
    (tmp_path / "photo.heic").write_bytes(with_auxiliary(kind, auxiliary))
    photo = read_photo(tmp_path / "photo.heic")
    assert np.abs(photo.pixels.astype(int) - smooth(64, 64)).max() <= 20
    assert photo.metadata.left_behind == (name,)


@HIDDEN
@pytest.mark.parametrize("kind", [HEVC, AV1])
def test_hdr_by_a_tone_map_is_read_as_its_base(tmp_path: Path, kind: bytes, hidden: bool) -> None:
    (tmp_path / "photo.avif").write_bytes(with_tone_map(kind, hidden))
    photo = read_photo(tmp_path / "photo.avif")
    assert np.abs(photo.pixels.astype(int) - smooth(64, 64)).max() <= 20
    assert photo.metadata.left_behind == ("the gain map",)


@HIDDEN
@pytest.mark.parametrize("kind", [HEVC, AV1])
def test_tiles_are_assembled(tmp_path: Path, kind: bytes, hidden: bool) -> None:
    (tmp_path / "photo.heic").write_bytes(of_tiles(kind, 3, 4, smooth(64, 64), hidden))
    photo = read_photo(tmp_path / "photo.heic")
    assert photo.pixels.shape == (192, 256, 3)
    assert np.abs(photo.pixels[64:128, 128:192].astype(int) - smooth(64, 64)).max() <= 20


@pytest.mark.slow
def test_48_megapixels_of_tiles_are_read(tmp_path: Path) -> None:
    """Telephones write 192 tiles of 512 pixels a side."""
    (tmp_path / "photo.heic").write_bytes(of_tiles(HEVC, 12, 16, smooth(512, 512)))
    assert read_photo(tmp_path / "photo.heic").pixels.shape == (6144, 8192, 3)


def test_a_video_in_a_heic_is_reported_as_left_behind(tmp_path: Path) -> None:
    config, data = encoded(smooth(64, 64), HEVC)
    photo = heif(b"heic", [(HEVC, data, [config, size_property(64, 64)], b"\0")])
    (tmp_path / "photo.heic").write_bytes(photo + box(b"mpvd", VIDEO))
    assert read_photo(tmp_path / "photo.heic").metadata.left_behind == ("the video",)
