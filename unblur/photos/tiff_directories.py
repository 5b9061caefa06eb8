"""Directories of tagged values, of which TIFF files, BigTIFF files and EXIF blocks are made.

Layout: TIFF 6.0, section 2, the design of BigTIFF that libtiff follows, and EXIF 2.32, section 4.6. Directories of
hostile files name themselves, name one another, or share their values; whatever walks through them here visits each
place once and stops at `MOST_ENTRIES` entries.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from unblur.photos.photo import Resolution

EXIF_HEADER = b"Exif\0\0"
EXIF, GPS, INTEROPERABILITY = 0x8769, 0x8825, 0xA005
SUBDIRECTORIES = (EXIF, GPS, INTEROPERABILITY)
"""Tags whose value is the place of another directory."""
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 0x011A, 0x011B, 0x0128

VALUE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of one value, by its type."""
BYTE, ASCII, SHORT, LONG, RATIONAL, SIGNED_RATIONAL = 1, 2, 3, 4, 5, 10

MOST_ENTRIES = 1000
"""Entries of one directory that are read. Photographs have some dozens."""

_UNITS: dict[int, str] = {1: "none", 2: "inch", 3: "centimetre"}


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The layout of numbers and directories: one for TIFF and EXIF, another for BigTIFF."""

    order: str
    """Byte order, for `struct`."""
    is_big: bool = False

    @property
    def entry_bytes(self) -> int:
        """Size of a directory's entry in bytes."""
        return 20 if self.is_big else 12

    def number(self, data: bytes, place: int) -> int:
        """Return the count or the offset at `place`, in the size that the layout has for them. Raises struct.error."""
        value: int = struct.unpack_from(f"{self.order}{'Q' if self.is_big else 'I'}", data, place)[0]
        return value

    def find_first_directory(self, data: bytes) -> int:
        """Return the place of the first directory. Raises struct.error when `data` end before it."""
        return self.number(data, 8 if self.is_big else 4)

    def read_entry_count(self, data: bytes, directory: int) -> int:
        """Return the number of entries that the directory claims. Raises struct.error if it lies outside of `data`."""
        count: int = struct.unpack_from(f"{self.order}{'Q' if self.is_big else 'H'}", data, directory)[0]
        return count

    def find_first_entry(self, directory: int) -> int:
        """Return the place of the first entry of the directory."""
        return directory + (8 if self.is_big else 2)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry of a directory."""

    place: int
    """The offset of the entry itself."""
    tag: int
    kind: int
    """Type of the values; a key of VALUE_BYTES."""
    count: int
    start: int
    """Place of the values: inside the entry where they fit, or elsewhere in the file."""

    @property
    def size(self) -> int:
        """Bytes of all values together."""
        return VALUE_BYTES[self.kind] * self.count


def read_layout(data: bytes) -> Layout:
    """Return the layout of a TIFF or BigTIFF file, or of EXIF without its header. Raises ValueError for others."""
    match data[:4]:
        case b"II*\0":
            return Layout(order="<")
        case b"MM\0*":
            return Layout(order=">")
        case b"II+\0":
            return Layout(order="<", is_big=True)
        case b"MM\0+":
            return Layout(order=">", is_big=True)
    raise ValueError("neither TIFF nor EXIF")


def find_entry(data: bytes, layout: Layout, tag: int) -> Entry | None:
    """Return the entry of a tag in the first directory; None if there is none."""
    found = entries(data, layout, layout.find_first_directory(data))
    return next((entry for entry in found if entry.tag == tag), None)


def entries(data: bytes, layout: Layout, directory: int) -> Iterator[Entry]:
    """Return the entries of the directory at place `directory` whose values lie inside `data`, the first of each tag.

    Ends early where the directory is cut off or has more than MOST_ENTRIES.
    """
    try:
        count = layout.read_entry_count(data, directory)
    except (struct.error, OverflowError):
        return
    known_tags: set[int] = set()
    for index in range(min(count, MOST_ENTRIES)):
        place = layout.find_first_entry(directory) + layout.entry_bytes * index
        inside = place + layout.entry_bytes - (8 if layout.is_big else 4)
        try:
            tag, kind = struct.unpack_from(f"{layout.order}HH", data, place)
            values = layout.number(data, place + 4)
            size = VALUE_BYTES.get(kind, 0) * values
            start = inside if size <= (8 if layout.is_big else 4) else layout.number(data, inside)
        except struct.error:
            return
        if size and start + size <= len(data) and tag not in known_tags:
            known_tags.add(tag)
            yield Entry(place=place, tag=tag, kind=kind, count=values, start=start)


def read_whole_number(data: bytes, layout: Layout, entry: Entry) -> int | None:
    """Return the first value of the entry if it is a SHORT, a LONG or an offset; None for any other type."""
    code = {SHORT: "H", LONG: "I", 13: "I", 16: "Q", 18: "Q"}.get(entry.kind)
    return None if code is None else int(struct.unpack_from(f"{layout.order}{code}", data, entry.start)[0])


def read_resolution(data: bytes, layout: Layout, directory: int) -> Resolution | None:
    """Return the resolution in the directory at place `directory`; None if it has no valid one."""
    found = {entry.tag: entry for entry in entries(data, layout, directory)}
    values = []
    for tag in (X_RESOLUTION, Y_RESOLUTION):
        entry = found.get(tag)
        if entry is None or entry.kind != RATIONAL:
            return None
        numerator, denominator = struct.unpack_from(f"{layout.order}II", data, entry.start)
        if not numerator or not denominator:
            return None
        values.append(numerator / denominator)
    unit = found.get(RESOLUTION_UNIT)
    # An inch where none is given, as TIFF 6.0 has it.
    number = 2 if unit is None else read_whole_number(data, layout, unit)
    if number not in _UNITS:
        return None
    return Resolution(x=values[0], y=values[1], unit=_UNITS[number])  # type: ignore[arg-type]
