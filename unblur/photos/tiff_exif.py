"""EXIF in TIFF files, which libvips neither reads nor writes.

A TIFF file and an EXIF block are built alike. Here the directories that describe the photograph (camera, exposure,
place, copyright) are lifted out of a TIFF or BigTIFF file into an EXIF block as JPEG has it, and put back.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from unblur.photos.photo import Metadata, Resolution
from unblur.photos.tiff_directories import (
    EXIF,
    EXIF_HEADER,
    RATIONAL,
    RESOLUTION_UNIT,
    SHORT,
    SUBDIRECTORIES,
    X_RESOLUTION,
    Y_RESOLUTION,
    Layout,
    entries,
    read_layout,
    read_resolution,
    read_whole_number,
)

_ABOUT_THE_FILE = frozenset(
    {
        *range(0x00FE, 0x010E),
        *range(0x0111, 0x0131),
        *range(0x013D, 0x0200),
        *range(0x0200, 0x0215),
        *range(0xC612, 0xCE00),  # DNG
        *(0x02BC, 0x828D, 0x828E, 0x80E3, 0x80E4, 0x80E5, 0x80E6, 0x83BB, 0x8649, 0x8773, 0x935C),
    }
)
"""Tags that say how pixels are stored or where other things lie in the file, and XMP, IPTC and the colour profile,
which are copied as such. All else describes the photograph."""
_IPTC, _UNDEFINED = 0x83BB, 7
_PIXEL_X, _PIXEL_Y = 0xA002, 0xA003
_WIDTH, _HEIGHT = 0x0100, 0x0101

_SWAPPED_BYTES = {3: 2, 4: 4, 5: 4, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 13: 4}
"""The bytes of the numbers that the byte order turns around, keyed by TIFF type."""

MOST_BYTES = 4_000_000
"""The largest total size of all values: larger ones are left out."""


@dataclass(frozen=True, kw_only=True)
class _Value:
    kind: int
    count: int
    data: bytes


@dataclass
class _Budget:
    """Bytes that values may still take: many entries of a hostile file share the same large value."""

    left: int = MOST_BYTES
    was_enough: bool = True

    def allows(self, size: int) -> bool:
        """Take `size` bytes if there are so many left, and return whether there were."""
        if size > self.left:
            self.was_enough = False
            return False
        self.left -= size
        return True


_Directory = dict[int, "_Value | _Directory"]


def read_tiff_exif(tiff: bytes) -> tuple[bytes | None, bool]:
    """Return the EXIF block of a TIFF file as in a JPEG file, and whether it is complete; None if there is none.

    Values that lie outside of the file, or take more than MOST_BYTES together, are left out.
    """
    budget = _Budget()
    try:
        layout = read_layout(tiff)
        directory = _read(tiff, layout, layout.find_first_directory(tiff), _describes, budget)
    except (struct.error, ValueError):
        return None, True
    if not directory:
        return None, budget.was_enough
    mark = b"II*\0" if layout.order == "<" else b"MM\0*"
    block = EXIF_HEADER + mark + struct.pack(f"{layout.order}I", 8) + _serialise(directory, layout.order, 8)
    return block, budget.was_enough


def read_tiff_resolution(tiff: bytes) -> Resolution | None:
    """Return the resolution in a TIFF file; None if it has none."""
    try:
        layout = read_layout(tiff)
        return read_resolution(tiff, layout, layout.find_first_directory(tiff))
    except (struct.error, ValueError):
        return None


def read_tiff_iptc(tiff: bytes) -> bytes | None:
    """Return the IPTC records in a TIFF file; None if it has none."""
    try:
        layout = read_layout(tiff)
        directory = _read(tiff, layout, layout.find_first_directory(tiff), lambda tag: tag == _IPTC)
    except (struct.error, ValueError):
        return None
    value = directory.get(_IPTC)
    return value.data if isinstance(value, _Value) else None


def read_tiff_numbers(tiff: bytes, *tags: int) -> dict[int, int]:
    """Return the first number of each of these tags in the first directory, by tag; missing ones are left out."""
    try:
        layout = read_layout(tiff)
        found = {
            e.tag: read_whole_number(tiff, layout, e) for e in entries(tiff, layout, layout.find_first_directory(tiff))
        }
    except (struct.error, ValueError):
        return {}
    return {tag: number for tag in tags if (number := found.get(tag)) is not None}


def limit_exif(exif: bytes, most_bytes: int) -> bytes:
    """Return the EXIF block, without its largest values if it exceeds `most_bytes`; unchanged if it is damaged."""
    block = exif.removeprefix(EXIF_HEADER)
    limit = most_bytes
    while len(exif) > most_bytes and limit > 64:
        limit //= 2
        try:
            layout = read_layout(block)
            read = _read(block, layout, layout.find_first_directory(block), lambda _: True)
        except (struct.error, ValueError):
            return exif
        mark = block[:4] + struct.pack(f"{layout.order}I", 8)
        exif = EXIF_HEADER + mark + _serialise(_select_small_values(read, limit), layout.order, 8)
    return exif


def insert_into_tiff(
    tiff: bytes, metadata: Metadata, added: Mapping[int, tuple[int, int, bytes]] = MappingProxyType({})
) -> bytes:
    """Return the TIFF file with the description in the EXIF block, and the resolution, in place of its own.

    Only the first directory is written anew, at the end of the file: pixels stay where they are. `added` has the type,
    the count and the bytes of the values of further tags, in the file's own byte order, which replace all others.
    """
    try:
        layout = read_layout(tiff)
        directory = _read(tiff, layout, layout.find_first_directory(tiff), lambda _: True)
    except (struct.error, ValueError):
        return tiff
    if layout.is_big:
        return tiff
    described = _read_descriptions(metadata.exif or b"", layout.order)
    for tag in (X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT):
        directory.pop(tag, None)
    directory |= {tag: value for tag, value in described.items() if tag not in directory}
    if X_RESOLUTION not in directory and metadata.resolution is not None:
        directory |= _make_resolution_values(metadata.resolution, layout.order)
    if metadata.iptc is not None:
        directory[_IPTC] = _Value(kind=_UNDEFINED, count=len(metadata.iptc), data=metadata.iptc)
    exif = directory.get(EXIF)
    if isinstance(exif, dict):
        # They may say what the photograph measured before it was turned upright.
        exif.update({x: directory[y] for x, y in ((_PIXEL_X, _WIDTH), (_PIXEL_Y, _HEIGHT)) if x in exif})
    directory |= {tag: _Value(kind=kind, count=count, data=data) for tag, (kind, count, data) in added.items()}
    start = len(tiff) + len(tiff) % 2
    place = struct.pack(f"{layout.order}I", start)
    # A view, as a copy of the pixels of a large photograph takes as much memory as they do.
    rest = memoryview(tiff)[8:]
    return b"".join([tiff[:4], place, rest, bytes(start - len(tiff)), _serialise(directory, layout.order, start)])


def make_resolution_entries(resolution: Resolution, order: str) -> dict[int, tuple[int, int, bytes]]:
    """Return type, count and bytes of the values of each tag of the resolution."""
    unit = {"none": 1, "inch": 2, "centimetre": 3}[resolution.unit]
    return {
        X_RESOLUTION: (RATIONAL, 1, struct.pack(f"{order}II", *_to_ratio(resolution.x))),
        Y_RESOLUTION: (RATIONAL, 1, struct.pack(f"{order}II", *_to_ratio(resolution.y))),
        RESOLUTION_UNIT: (SHORT, 1, struct.pack(f"{order}H", unit)),
    }


def _to_ratio(value: float) -> tuple[int, int]:
    """Return `value` as a quotient of two numbers of 32 bits."""
    whole = round(value)
    # 11,811 pixels a metre, which PNG has for 300 an inch, are 299.9994 an inch.
    if abs(value - whole) < 0.005 and 0 < whole < 2**32:
        return whole, 1
    return max(1, min(round(value * 1000), 2**32 - 1)), 1000


def _make_resolution_values(resolution: Resolution, order: str) -> _Directory:
    return {
        tag: _Value(kind=kind, count=count, data=data)
        for tag, (kind, count, data) in make_resolution_entries(resolution, order).items()
    }


def _read_descriptions(exif: bytes, order: str) -> _Directory:
    """Return the descriptions of the EXIF block, in byte order `order`; nothing where it is damaged."""
    block = exif.removeprefix(EXIF_HEADER)
    try:
        layout = read_layout(block)
        described = _read(
            block, layout, layout.find_first_directory(block), lambda tag: _describes(tag) or _prints(tag)
        )
    except (struct.error, ValueError):
        return {}
    return described if layout.order == order else _swap_bytes(described)


def _describes(tag: int) -> bool:
    return tag not in _ABOUT_THE_FILE


def _prints(tag: int) -> bool:
    return tag in (X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT)


def _read(
    data: bytes,
    layout: Layout,
    offset: int,
    is_wanted: Callable[[int], bool],
    budget: _Budget | None = None,
    depth: int = 0,
) -> _Directory:
    """Read the directory at `offset` and those it refers to, with the values of the wanted tags.

    EXIF nests two deep; a hostile block may nest without end.
    """
    budget = _Budget() if budget is None else budget
    directory: _Directory = {}
    for entry in entries(data, layout, offset):
        if entry.tag in SUBDIRECTORIES:
            place = read_whole_number(data, layout, entry)
            if place is not None and depth < 3:
                directory[entry.tag] = _read(data, layout, place, lambda _: True, budget, depth + 1)
        elif is_wanted(entry.tag) and entry.kind in _EXIF_KINDS and budget.allows(entry.size):
            values = data[entry.start : entry.start + entry.size]
            directory[entry.tag] = _Value(kind=entry.kind, count=entry.count, data=values)
    return directory


_EXIF_KINDS = frozenset(range(1, 14))
"""Types that BigTIFF adds have no place in an EXIF block."""


def _select_small_values(directory: _Directory, most_bytes: int) -> _Directory:
    result: _Directory = {}
    for tag, value in directory.items():
        if isinstance(value, dict):
            result[tag] = _select_small_values(value, most_bytes)
        elif len(value.data) <= most_bytes:
            result[tag] = value
    return result


def _serialise(directory: _Directory, order: str, start: int) -> bytes:
    """Serialise the directory and its contents, to be placed at offset `start`."""
    head = [struct.pack(f"{order}H", len(directory))]
    values: list[bytes] = []
    place = start + 2 + 12 * len(directory) + 4
    for tag in sorted(directory):
        value = directory[tag]
        if isinstance(value, dict):
            head.append(struct.pack(f"{order}HHII", tag, 4, 1, place))
            data = _serialise(value, order, place)
        elif len(value.data) <= 4:
            head.append(struct.pack(f"{order}HHI", tag, value.kind, value.count) + value.data.ljust(4, b"\0"))
            continue
        else:
            head.append(struct.pack(f"{order}HHII", tag, value.kind, value.count, place))
            data = value.data
        data += b"\0" * (len(data) % 2)
        values.append(data)
        place += len(data)
    return b"".join([*head, bytes(4), *values])


def _swap_bytes(directory: _Directory) -> _Directory:
    """Return the same values in the other byte order."""
    result: _Directory = {}
    for tag, value in directory.items():
        if isinstance(value, dict):
            result[tag] = _swap_bytes(value)
            continue
        size = _SWAPPED_BYTES.get(value.kind, 1)
        numbers = (value.data[i : i + size][::-1] for i in range(0, len(value.data), size))
        result[tag] = _Value(kind=value.kind, count=value.count, data=b"".join(numbers))
    return result
