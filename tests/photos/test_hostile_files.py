"""No file, however small, hangs the program or fills the memory, and pipes and devices are not opened."""

import os
import struct
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_files import (
    blank_png,
    chunk,
    claiming,
    directory,
    entry,
    exif,
    fan,
    jpeg,
    packet,
    png,
    segment,
    tiff,
    with_segments,
)
from PIL import Image
from smooth_picture import smooth

from unblur.errors import UnblurError
from unblur.photos import opening, reading
from unblur.photos.photo import Photo
from unblur.photos.reading import read_photo, read_shortest_side_px
from unblur.photos.tiff_exif import MOST_BYTES
from unblur.photos.writing import write_photo

EXIF_IFD, GPS_IFD, INTEROPERABILITY = 0x8769, 0x8825, 0xA005


def refusal(path: Path) -> str:
    """The sentence that a file is refused with, after at most two seconds."""
    began = time.monotonic()
    with pytest.raises(UnblurError) as caught:
        read_photo(path)
    assert time.monotonic() - began < 2
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- directories ---------------------------------------------------------------------------------------------


def fan_in_a_tiff() -> bytes:
    data = tiff(((EXIF_IFD, 4, 1, bytes(4)),))
    at = len(data)
    return data.replace(struct.pack("<HHI", EXIF_IFD, 4, 1) + bytes(4), entry(EXIF_IFD, 4, 1, at)) + fan(3000, at)


def directories_in_turn() -> bytes:
    """Three directories that each name all three."""
    data = tiff(((EXIF_IFD, 4, 1, bytes(4)),))
    at = [len(data) + 42 * index for index in range(3)]
    turns = directory(
        *(entry(tag, 4, 1, place) for tag, place in zip((EXIF_IFD, GPS_IFD, INTEROPERABILITY), at, strict=True))
    )
    return data.replace(struct.pack("<HHI", EXIF_IFD, 4, 1) + bytes(4), entry(EXIF_IFD, 4, 1, at[0])) + turns * 3


def values_that_are_the_whole_file() -> bytes:
    data = tiff(((EXIF_IFD, 4, 1, bytes(4)),))
    at = len(data)
    shared = directory(*(entry(5000 + index, 7, 500_000, 0) for index in range(30_000)))
    linked = data.replace(struct.pack("<HHI", EXIF_IFD, 4, 1) + bytes(4), entry(EXIF_IFD, 4, 1, at))
    return linked + shared + bytes(500_000)


HOSTILE_DIRECTORIES: dict[str, Callable[[], bytes]] = {
    "fan.jpg": lambda: with_segments(jpeg(), segment(0xE1, exif()[:14] + fan(3000, 8))),
    "fan.png": lambda: png(chunk(b"eXIf", exif()[6:14] + fan(5400, 8))),
    "fan.tif": fan_in_a_tiff,
    "turns.tif": directories_in_turn,
    "shared.tif": values_that_are_the_whole_file,
    "shared.png": lambda: png(
        chunk(
            b"eXIf", exif()[6:14] + directory(*[entry(0x9000 + i, 7, 200_000, 8) for i in range(5000)]) + bytes(200_000)
        )
    ),
    "claims.tif": lambda: tiff(
        ((0x010F, 2, 2**31, struct.pack("<I", 0)), (0x0110, 2, 2**32 - 1, struct.pack("<I", 8)))
    ),
    "elsewhere.jpg": lambda: with_segments(jpeg(), segment(0xE1, exif(entry(EXIF_IFD, 4, 1, 2**32 - 4)))),
}


@pytest.mark.parametrize("name", HOSTILE_DIRECTORIES)
def test_directories_are_visited_once_and_their_values_have_a_limit(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(HOSTILE_DIRECTORIES[name]())
    began = time.monotonic()
    photo = read_photo(tmp_path / name)
    assert photo.pixels.shape == (40, 60, 3)
    assert len(photo.metadata.exif or b"") < MOST_BYTES + 1000
    for suffix in (".jpg", ".png", ".tif", ".webp"):
        write_photo(photo, tmp_path / f"out{suffix}")
        assert read_photo(tmp_path / f"out{suffix}").pixels.shape == (40, 60, 3)
    assert time.monotonic() - began < 3


def test_values_that_are_left_out_are_named(tmp_path: Path) -> None:
    (tmp_path / "shared.tif").write_bytes(values_that_are_the_whole_file())
    assert read_photo(tmp_path / "shared.tif").metadata.left_behind == ("the largest values of EXIF",)


# --- pixels --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(40_000, 20_000), (4000, 3000), (65_500, 15_000)])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpegs_that_claim_more_than_they_hold(tmp_path: Path, size: tuple[int, int], progressive: bool) -> None:
    (tmp_path / "claims.jpg").write_bytes(claiming(jpeg(progressive=progressive), *size))
    said = refusal(tmp_path / "claims.jpg")
    assert "cannot hold a photograph" in said or "about 100 % of it is missing" in said or progressive


def test_pngs_that_claim_more_than_they_hold(tmp_path: Path) -> None:
    data = png()
    header = struct.pack(">II", 6000, 6000) + data[24:29]
    (tmp_path / "claims.png").write_bytes(data[:8] + chunk(b"IHDR", header) + data[33:])
    assert "about 100 % of it is missing" in refusal(tmp_path / "claims.png")


def test_large_empty_pictures_are_refused(tmp_path: Path) -> None:
    (tmp_path / "nothing.png").write_bytes(blank_png(8100, 8100))
    assert "8100 x 8100 pixels in" in refusal(tmp_path / "nothing.png")


@pytest.mark.parametrize("name", ["nothing.webp", "nothing.avif", "nothing.tif"])
def test_empty_pictures_are_refused_in_every_format(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LARGEST_EMPTY_PX", 200_000)
    more = {"compression": "tiff_adobe_deflate"} if name.endswith("tif") else {}
    Image.new("RGB", (700, 600)).save(tmp_path / name, **more)
    assert "cannot hold a photograph" in refusal(tmp_path / name)


def test_free_memory_is_checked_before_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photo.png").write_bytes(png())
    monkeypatch.setattr(reading, "free_memory", lambda: 40 * 60 * 3 * reading.MEMORY_COPIES - 1)
    assert "GB are free; close other programs" in refusal(tmp_path / "photo.png")
    monkeypatch.setattr(reading, "free_memory", lambda: 40 * 60 * 3 * reading.MEMORY_COPIES)
    assert read_photo(tmp_path / "photo.png").pixels.shape == (40, 60, 3)


def test_a_progressive_jpeg_of_endless_scans_is_refused(tmp_path: Path) -> None:
    data = jpeg(progressive=True)
    start = data.index(b"\xff\xda")
    end = data.index(b"\xff", start + 14)
    (tmp_path / "scans.jpg").write_bytes(data[:-2] + data[start:end] * 200 + b"\xff\xd9")
    assert "more than 100 scans" in refusal(tmp_path / "scans.jpg")


def test_compressed_texts_that_expand_too_far_are_left_out(tmp_path: Path) -> None:
    import zlib

    bomb = zlib.compress(bytes(50_000_000), 9)
    (tmp_path / "text.png").write_bytes(png(chunk(b"zTXt", b"Comment\0\0" + bomb)))
    photo = read_photo(tmp_path / "text.png")
    assert photo.metadata.texts == ()
    assert photo.metadata.left_behind == ("some of the texts",)


@pytest.mark.parametrize(
    "xmp",
    [
        b"<a>" * 20_000,
        b"<a>" * 5_000 + b"</a>" * 5_000,
        b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
        + packet("").replace(b"image/jpeg", b"&b;"),
        packet("").decode().replace("<?xpacket", "<!DOCTYPE x []><?xpacket", 1).encode("utf-16"),
    ],
)
def test_packets_that_nest_or_expand_too_far_are_ignored(tmp_path: Path, xmp: bytes) -> None:
    (tmp_path / "photo.png").write_bytes(png(chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)))
    write_photo(read_photo(tmp_path / "photo.png"), tmp_path / "out.tif")
    assert read_photo(tmp_path / "out.tif").pixels.shape == (40, 60, 3)


# --- what is opened ------------------------------------------------------------------------------------------


def test_pipes_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    assert "named pipe" in refusal(tmp_path / "pipe.jpg")
    with pytest.raises(UnblurError, match="named pipe"):
        read_shortest_side_px(tmp_path / "pipe.jpg")


def test_devices_are_not_opened(tmp_path: Path) -> None:
    for name in ("zero", "tty"):
        (tmp_path / f"{name}.jpg").symlink_to(f"/dev/{name}")
        assert "it is a device" in refusal(tmp_path / f"{name}.jpg")


def test_other_files_are_not_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "sparse.jpg").open("wb") as file:
        file.truncate(6 * 10**9)
    assert "not a photograph" in refusal(tmp_path / "sparse.jpg")
    (tmp_path / "video.jpg").write_bytes(b"\0\0\0\x18ftypisom\0\0\0\0isommp42" + bytes(1000))
    assert "is a video and not a photograph" in refusal(tmp_path / "video.jpg")
    with (tmp_path / "huge.jpg").open("wb") as file:
        file.write(jpeg())
        file.truncate(6 * 10**9)
    monkeypatch.setattr(opening, "free_memory", lambda: 5 * 10**9)
    assert "6.0 GB" in refusal(tmp_path / "huge.jpg")


def test_names_that_no_file_can_have(tmp_path: Path) -> None:
    with pytest.raises(UnblurError, match="cannot be read: embedded null"):
        read_photo(tmp_path / "a\0b.jpg")


def test_valid_photographs_are_read_unchanged(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 50, 3), np.uint8)
    write_photo(Photo(pixels=pixels), tmp_path / "good.png")
    assert np.array_equal(read_photo(tmp_path / "good.png").pixels, pixels)
    assert smooth().shape == (40, 60, 3)
