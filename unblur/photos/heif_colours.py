"""Colours of photographs by code points: those of HEIC, AVIF and PNG without an ICC profile.

Neither libvips nor the formats that are written know them. Boxes are those of ISO/IEC 14496-12 and 23008-12 (HEIF),
code points those of ITU-T H.273, tables 2 and 3.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

from unblur.errors import UnblurError

UNSPECIFIED = 2
_SRGB_PRIMARIES = {1, UNSPECIFIED}
_DISPLAY_P3_PRIMARIES = 12
# Cameras call the curve of sRGB that of BT.709 or BT.601 too, and viewers show all of them alike.
_SRGB_TRANSFERS = {1, UNSPECIFIED, 6, 13}
_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}


def is_display_p3(path: Path, primaries: int, transfer: int) -> bool:
    """Return whether the colours are those of Display P3; else they are those of sRGB.

    Raises UnblurError, about the photograph `path`, when they are neither, such as those of HDR.
    """
    refuse_hdr(path, transfer)
    if primaries not in _SRGB_PRIMARIES | {_DISPLAY_P3_PRIMARIES} or transfer not in _SRGB_TRANSFERS:
        raise UnblurError(
            f"{path} has colours that are not supported (primaries {primaries}, transfer {transfer} of H.273); "
            "export it as JPEG or TIFF first."
        )
    return primaries == _DISPLAY_P3_PRIMARIES


def refuse_hdr(path: Path, transfer: int) -> None:
    """Raise UnblurError, about the photograph `path`, for the transfer functions of HDR."""
    if transfer in _HDR_TRANSFERS:
        raise UnblurError(
            f"{path} is an HDR photograph ({_HDR_TRANSFERS[transfer]}), which is not supported; "
            "export it as JPEG or TIFF first."
        )


def read_code_points(data: bytes) -> tuple[int, int]:
    """Return primaries and transfer of the photograph itself, not of thumbnails or gain maps; UNSPECIFIED if absent."""
    try:
        # `meta`, `pitm` and `ipma` are full boxes: a version and flags come before what they hold.
        meta, end = next(_find_inside(data, 0, len(data), b"meta"))
        pitm, _ = next(_find_inside(data, meta + 4, end, b"pitm"))
        iprp = next(_find_inside(data, meta + 4, end, b"iprp"))
        properties = list(boxes(data, *next(_find_inside(data, *iprp, b"ipco"))))
        primary = _primary_item(data, pitm)
        numbers = [
            number
            for ipma, _ in _find_inside(data, *iprp, b"ipma")
            for item, number in _read_associations(data, ipma)
            if item == primary and number
        ]
        for kind, inside, _ in (properties[number - 1] for number in numbers):
            if kind == b"colr" and data[inside : inside + 4] == b"nclx":
                primaries, transfer = struct.unpack_from(">HH", data, inside + 4)
                return primaries, transfer
    except (struct.error, StopIteration, IndexError, ValueError):
        pass  # Decoders say what is wrong with the file, if they cannot read it either.
    return UNSPECIFIED, UNSPECIFIED


def boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, beginning and end of the content of each box between `start` and `end`."""
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, start)
        inside = start + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, inside)
            inside += 8
        after = end if size == 0 else start + size
        if not inside <= after <= end:
            raise ValueError(f"a box of {size} bytes at {start} does not fit in {end}")
        yield kind, inside, after
        start = after


def _find_inside(data: bytes, start: int, end: int, kind: bytes) -> Iterator[tuple[int, int]]:
    return ((inside, after) for found, inside, after in boxes(data, start, end) if found == kind)


def _primary_item(data: bytes, start: int) -> int:
    item: int = struct.unpack_from(">H" if data[start] == 0 else ">I", data, start + 4)[0]
    return item


def _read_associations(data: bytes, start: int) -> Iterator[tuple[int, int]]:
    """Return each item with the number of each of its properties, counted from 1."""
    (version_and_flags, items) = struct.unpack_from(">II", data, start)
    wide_items, wide_numbers = version_and_flags >> 24 > 0, version_and_flags & 1
    place = start + 8
    for _ in range(items):
        (item, count) = struct.unpack_from(">IB" if wide_items else ">HB", data, place)
        place += 5 if wide_items else 3
        for _ in range(count):
            # The first bit says whether a reader has to know the property.
            number = struct.unpack_from(">H", data, place)[0] & 0x7FFF if wide_numbers else data[place] & 0x7F
            place += 2 if wide_numbers else 1
            yield item, number
