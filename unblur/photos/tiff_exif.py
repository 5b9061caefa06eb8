"""EXIF in TIFF files, which libvips neither reads nor writes.

A TIFF file and an EXIF block are built alike: directories of tagged values. Here the directories that describe
the photograph (camera, exposure, place, copyright) are lifted out of a TIFF file into an EXIF block as JPEG has
it, and put back. Layout: TIFF 6.0, section 2, and EXIF 2.32, section 4.6.
"""

import struct
from dataclasses import dataclass

from unblur.photos.photo import Metadata

EXIF_HEADER = b"Exif\0\0"
_SUBDIRECTORIES = (0x8769, 0x8825, 0xA005)
"""EXIF, GPS and interoperability: tags whose value is the place of another directory."""
_DESCRIPTIVE = frozenset({0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x013C, 0x8298})
"""Description, make, model, software, date, artist, host computer, copyright. All else in a TIFF file's first
directory says how its pixels are stored, and belongs to the file and not to the photograph."""
_PIXEL_X, _PIXEL_Y = 0xA002, 0xA003
_WIDTH, _HEIGHT = 0x0100, 0x0101

_VALUE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_SWAPPED_BYTES = {3: 2, 4: 4, 5: 4, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 13: 4}
"""By TIFF type: bytes of a value, and of the numbers in it that the byte order turns around."""


@dataclass(frozen=True, kw_only=True)
class _Value:
    kind: int
    count: int
    data: bytes


_Directory = dict[int, "_Value | _Directory"]


def exif_of_tiff(tiff: bytes) -> bytes | None:
    """The EXIF block of a TIFF file, as a JPEG file would hold it; None if there is none or it is damaged."""
    try:
        order = byte_order(tiff)
        directory = _parse(tiff, order, struct.unpack_from(f"{order}I", tiff, 4)[0])
    except (struct.error, ValueError):
        return None
    described = {tag: value for tag, value in directory.items() if tag in _DESCRIPTIVE or isinstance(value, dict)}
    if not described:
        return None
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return EXIF_HEADER + mark + struct.pack(f"{order}I", 8) + _serialise(described, order, 8)


def tiff_with_exif(tiff: bytes, metadata: Metadata) -> bytes:
    """The TIFF file with the description in the EXIF block added; unchanged where there is none to add.

    Only the first directory is written anew, at the end of the file: pixels stay where they are.
    """
    if metadata.exif is None:
        return tiff
    block = metadata.exif.removeprefix(EXIF_HEADER)
    try:
        order, block_order = byte_order(tiff), byte_order(block)
        directory = _parse(tiff, order, struct.unpack_from(f"{order}I", tiff, 4)[0])
        described = _parse(block, block_order, struct.unpack_from(f"{block_order}I", block, 4)[0])
    except (struct.error, ValueError):
        return tiff
    if order != block_order:
        described = _swapped(described)
    for tag, value in described.items():
        if tag in _DESCRIPTIVE or isinstance(value, dict):
            directory.setdefault(tag, value)
    exif = directory.get(_SUBDIRECTORIES[0])
    if isinstance(exif, dict):
        # They may say what the photograph measured before it was turned upright.
        exif.update({x: directory[y] for x, y in ((_PIXEL_X, _WIDTH), (_PIXEL_Y, _HEIGHT)) if x in exif})
    start = len(tiff) + len(tiff) % 2
    written = tiff.ljust(start, b"\0") + _serialise(directory, order, start)
    return written[:4] + struct.pack(f"{order}I", start) + written[8:]


def byte_order(data: bytes) -> str:
    """The byte order, for `struct`, of a TIFF file or of EXIF without its header. Raises ValueError if neither."""
    match data[:4]:
        case b"II*\0":
            return "<"
        case b"MM\0*":
            return ">"
    raise ValueError("neither TIFF nor EXIF")


def _parse(data: bytes, order: str, offset: int, depth: int = 0) -> _Directory:
    """The directory at `offset`. Raises struct.error or ValueError when it is damaged."""
    directory: _Directory = {}
    for index in range(struct.unpack_from(f"{order}H", data, offset)[0]):
        place = offset + 2 + 12 * index
        tag, kind, count = struct.unpack_from(f"{order}HHI", data, place)
        size = _VALUE_BYTES.get(kind, 0) * count
        if size == 0:
            continue
        if tag in _SUBDIRECTORIES:
            # EXIF nests two deep; a damaged block may nest without end.
            if depth < 3:
                directory[tag] = _parse(data, order, struct.unpack_from(f"{order}I", data, place + 8)[0], depth + 1)
            continue
        start = place + 8 if size <= 4 else struct.unpack_from(f"{order}I", data, place + 8)[0]
        if start + size > len(data):
            raise ValueError("a value lies outside of the file")
        directory[tag] = _Value(kind=kind, count=count, data=data[start : start + size])
    return directory


def _serialise(directory: _Directory, order: str, start: int) -> bytes:
    """The directory and all it holds, to be placed at offset `start`."""
    entries = struct.pack(f"{order}H", len(directory))
    values = b""
    values_start = start + 2 + 12 * len(directory) + 4
    for tag in sorted(directory):
        value = directory[tag]
        place = values_start + len(values)
        if isinstance(value, dict):
            entries += struct.pack(f"{order}HHII", tag, 4, 1, place)
            values += _serialise(value, order, place)
        elif len(value.data) <= 4:
            entries += struct.pack(f"{order}HHI", tag, value.kind, value.count) + value.data.ljust(4, b"\0")
        else:
            entries += struct.pack(f"{order}HHII", tag, value.kind, value.count, place)
            values += value.data
        values += b"\0" * (len(values) % 2)
    return entries + bytes(4) + values


def _swapped(directory: _Directory) -> _Directory:
    """The same values in the other byte order."""
    result: _Directory = {}
    for tag, value in directory.items():
        if isinstance(value, dict):
            result[tag] = _swapped(value)
            continue
        size = _SWAPPED_BYTES.get(value.kind, 1)
        numbers = (value.data[i : i + size][::-1] for i in range(0, len(value.data), size))
        result[tag] = _Value(kind=value.kind, count=value.count, data=b"".join(numbers))
    return result
