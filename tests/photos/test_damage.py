"""Damage is refused with the share that is missing, oddities are read, and kinds that are not read are named."""

import io
import re
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from made_files import chunk, jpeg, png, segment, tiff, with_segments
from PIL import Image
from smooth_picture import smooth

from unblur.app.jobs import LONGEST_NAME_BYTES, make_result_name
from unblur.errors import UnblurError
from unblur.photos.photo import Photo
from unblur.photos.reading import read_photo
from unblur.photos.writing import write_photo

NOISE = np.random.default_rng(0).integers(0, 256, (200, 240, 3), np.uint8)
END = b"\xff\xd9"


def refusal(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    with pytest.raises(UnblurError) as caught:
        read_photo(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def missing_percent(said: str) -> int:
    found = re.search(r"about (\d+) % of it is missing", said)
    assert found, said
    return int(found[1])


@pytest.mark.parametrize("progressive", [False, True], ids=["baseline", "progressive"])
@pytest.mark.parametrize("share", [0.1, 0.4, 0.7, 0.95])
@pytest.mark.parametrize("end", [b"", END], ids=["open", "closed"])
def test_a_jpeg_cut_in_the_middle_is_damaged(tmp_path: Path, progressive: bool, share: float, end: bytes) -> None:
    data = jpeg(NOISE, progressive=progressive)
    said = refusal(tmp_path / "cut.jpg", data[: int(len(data) * share)] + end)
    assert "is damaged or cut short" in said
    if not progressive:
        assert missing_percent(said) == pytest.approx(100 * (1 - share), abs=10)
    else:
        assert 1 <= missing_percent(said) <= 100


def test_a_jpeg_cut_between_two_scans_is_damaged(tmp_path: Path) -> None:
    data = jpeg(NOISE, progressive=True)
    scans = [found.start() for found in re.finditer(rb"\xff\xda", data)]
    shares = [missing_percent(refusal(tmp_path / "cut.jpg", data[:scan] + END)) for scan in scans[1:]]
    assert shares == sorted(shares, reverse=True)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("lacking", [1, 2])
def test_a_jpeg_without_its_end_marker_is_complete(tmp_path: Path, progressive: bool, lacking: int) -> None:
    data = jpeg(NOISE, progressive=progressive)
    (tmp_path / "whole.jpg").write_bytes(data)
    whole = read_photo(tmp_path / "whole.jpg").pixels
    (tmp_path / "open.jpg").write_bytes(data[:-lacking])
    assert np.array_equal(read_photo(tmp_path / "open.jpg").pixels, whole)


def with_header(data: bytes, marker: int, old: bytes, new: bytes) -> bytes:
    place = data.index(bytes([0xFF, marker]))
    end = place + 2 + int.from_bytes(data[place + 2 : place + 4])
    assert old in data[place:end]
    return data[:place] + data[place:end].replace(old, new, 1) + data[end:]


ODD = {
    "zeros before the end": lambda d: d[:-2] + bytes(40) + END,
    "bytes between segments": lambda d: d[:2] + segment(0xE5, b"x") + b"junk" + d[2:],
    "bytes behind the end": lambda d: d + b"trailer" * 100,
    "fill bytes": lambda d: d[:2] + b"\xff" * 500 + d[2:],
    "unknown JFIF revision": lambda d: with_header(d, 0xE0, b"JFIF\0\1\1", b"JFIF\0\7\7"),
    "wrong spectral selection": lambda d: with_header(d, 0xDA, b"\0\x3f\0", b"\0\x00\0"),
    "unknown Adobe transform": lambda d: with_segments(d, segment(0xEE, b"Adobe\0\x64\0\0\0\0\x09")),
    "a damaged profile": lambda d: with_segments(d, segment(0xE2, b"ICC_PROFILE\0\1\2" + b"x" * 300)),
    "a damaged EXIF": lambda d: with_segments(d, segment(0xE1, b"Exif\0\0II*\0" + b"\xff" * 20)),
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("progressive", [False, True])
def test_an_odd_jpeg_is_read(tmp_path: Path, name: str, progressive: bool) -> None:
    if progressive and name == "wrong spectral selection":
        pytest.skip("there it has a meaning")
    data = jpeg(NOISE, progressive=progressive)
    (tmp_path / "whole.jpg").write_bytes(data)
    (tmp_path / "odd.jpg").write_bytes(ODD[name](data))
    assert np.array_equal(read_photo(tmp_path / "odd.jpg").pixels, read_photo(tmp_path / "whole.jpg").pixels)


def test_a_wrong_restart_marker_is_damage(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.fromarray(NOISE).save(file, "JPEG", restart_marker_blocks=20)
    data = file.getvalue()
    assert b"\xff\xd3" in data
    assert "is damaged" in refusal(tmp_path / "restart.jpg", data.replace(b"\xff\xd3", b"\xff\xd6", 1))


def test_a_png_that_is_cut_and_closed_is_damaged(tmp_path: Path) -> None:
    whole = png(pixels=NOISE)
    rows = b"".join(b"\0" + row.tobytes() for row in NOISE[:100])
    body = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    assert missing_percent(refusal(tmp_path / "cut.png", whole[:33] + body)) == pytest.approx(50, abs=5)


def lzma_tiff() -> bytes:
    file = io.BytesIO()
    Image.fromarray(smooth()).save(file, "TIFF", compression="lzma")
    return file.getvalue()


def cielab_tiff() -> bytes:
    file = io.BytesIO()
    Image.fromarray(smooth(), "LAB").save(file, "TIFF")
    return file.getvalue()


WHOLE_BUT_UNREADABLE = {
    "cielab.tif": (lambda: tiff(((262, 3, 1, b"\x08\0"),)), "lab|CIELAB"),
    "pillow_lab.tif": (cielab_tiff, "lab|CIELAB"),
    "lzma.tif": (lzma_tiff, "LZMA"),
    "old_jpeg.tif": (lambda: tiff(((259, 3, 1, b"\x06\0"),)), "old-style JPEG"),
    "12_bits.tif": (lambda: tiff(((258, 3, 3, struct.pack("<HHH", 12, 12, 12)),)), "12 bits"),
    "planar_tiles.tif": (
        lambda: tiff(((284, 3, 1, b"\2\0"), (322, 3, 1, b"\x40\0"), (323, 3, 1, b"\x40\0"))),
        "planar|tiles",
    ),
    "jpeg_xl.tif": (lambda: tiff(((259, 3, 1, struct.pack("<H", 50002)),)), "JPEG XL"),
    "unknown.tif": (lambda: tiff(((259, 3, 1, struct.pack("<H", 777)),)), "method 777"),
    "12_bits.jpg": (
        lambda: jpeg().replace(b"\xff\xc0\0\x11\x08", b"\xff\xc1\0\x11\x0c"),
        "12 bits",
    ),
    "lossless.jpg": (lambda: jpeg().replace(b"\xff\xc0", b"\xff\xc3"), "lossless JPEG"),
    "hierarchical.jpg": (lambda: jpeg().replace(b"\xff\xc0", b"\xff\xc5"), "hierarchical JPEG"),
}


@pytest.mark.parametrize("name", WHOLE_BUT_UNREADABLE)
def test_unsupported_kinds_are_named_and_not_reported_as_damaged(tmp_path: Path, name: str) -> None:
    make, reason = WHOLE_BUT_UNREADABLE[name]
    said = refusal(tmp_path / name, make())
    assert re.search(reason, said.replace(str(tmp_path), ""))
    assert "damaged" not in said


def test_messages_of_one_photograph_never_quote_another(tmp_path: Path) -> None:
    noisy = with_segments(jpeg(NOISE), segment(0xE2, b"ICC_PROFILE\0\1\1" + b"\xff" * 400))
    data = jpeg(NOISE)
    cut = data[: len(data) // 2]
    alone = refusal(tmp_path / "cut.jpg", cut)
    for other in (noisy, b"\xff\xd8\xff\xe0", png()[:60], tiff()[:200]):
        (tmp_path / "other").write_bytes(other)
        with suppress(UnblurError):
            read_photo(tmp_path / "other")
        assert refusal(tmp_path / "cut.jpg", cut) == alone


# --- names ---------------------------------------------------------------------------------------------------

LETTERS = {"ascii": "x", "german": "ü", "chinese": "写", "emoji": "🌊", "combined": "e\u0301"}


@pytest.mark.parametrize("letter", LETTERS.values(), ids=LETTERS.keys())
def test_names_of_255_bytes_work(tmp_path: Path, letter: str) -> None:
    for ending in (".png", ".jpg"):
        stem = letter * ((LONGEST_NAME_BYTES - len(ending)) // len(letter.encode()))
        path = tmp_path / f"{stem}{ending}"
        write_photo(Photo(pixels=smooth()), path)
        assert read_photo(path).pixels.shape == (40, 60, 3)
        result = tmp_path / make_result_name(stem, f"_unblurred{ending}")
        write_photo(Photo(pixels=smooth()), result)
        assert result.name.endswith(f"_unblurred{ending}")
        assert len(result.name.encode()) <= LONGEST_NAME_BYTES
    assert len(list(tmp_path.iterdir())) == 4


def test_long_names_remain_distinct_and_short_ones_unchanged() -> None:
    assert make_result_name("photo", "_unblurred.jpg") == "photo_unblurred.jpg"
    names = {make_result_name("写" * 80 + end, "_unblurred.jpg") for end in ("a", "b", "c")}
    assert len(names) == 3
