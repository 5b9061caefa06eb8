"""Changes in an EXIF block that leave everything else in it where it is.

Cameras keep notes of their own whose places in the block are absolute, so nothing moves: values of the same size are
written in their place, and a first directory that grows is written anew at the end.
"""

import struct
from collections.abc import Mapping
from contextlib import suppress

from unblur.photos.photo import Resolution
from unblur.photos.tiff_directories import (
    ASCII,
    EXIF,
    EXIF_HEADER,
    LONG,
    SHORT,
    X_RESOLUTION,
    Entry,
    Layout,
    entries,
    find_entry,
    read_layout,
    read_resolution,
    read_whole_number,
)
from unblur.photos.tiff_exif import make_resolution_entries

_ORIENTATION, _WIDTH, _HEIGHT = 0x0112, 0x0100, 0x0101
_PIXEL_X, _PIXEL_Y = 0xA002, 0xA003
_THUMBNAIL_PLACE, _THUMBNAIL_BYTES = 0x0201, 0x0202
_ENTRY_BYTES = 12


def normalise(exif: bytes) -> bytes:
    """Return the block with its header, which some formats leave out, and without its thumbnail, which is blurry."""
    block = bytearray(exif.removeprefix(EXIF_HEADER))
    with suppress(struct.error, ValueError):
        layout = read_layout(bytes(block))
        first = layout.find_first_directory(bytes(block))
        link = layout.find_first_entry(first) + _ENTRY_BYTES * layout.read_entry_count(bytes(block), first)
        second = layout.number(bytes(block), link)
        if second:
            numbers = {e.tag: read_whole_number(bytes(block), layout, e) for e in entries(bytes(block), layout, second)}
            start, size = numbers.get(_THUMBNAIL_PLACE) or 0, numbers.get(_THUMBNAIL_BYTES) or 0
            # Only what is a JPEG picture: a hostile entry may point at anything.
            if bytes(block[start : start + 2]) == b"\xff\xd8" and start + size <= len(block):
                block[start : start + size] = bytes(size)
                if start + size == len(block):
                    del block[start:]
            block[link : link + 4] = bytes(4)
    return EXIF_HEADER + bytes(block)


def set_upright(exif: bytes, width: int, height: int) -> bytes:
    """Return the block of a photograph that was turned upright and measures `width` x `height` pixels."""
    block = bytearray(exif.removeprefix(EXIF_HEADER))
    with suppress(struct.error, ValueError):
        layout = read_layout(bytes(block))
        first = {e.tag: e for e in entries(bytes(block), layout, layout.find_first_directory(bytes(block)))}
        _write(block, layout, first.get(_ORIENTATION), 1)
        _write(block, layout, first.get(_WIDTH), width)
        _write(block, layout, first.get(_HEIGHT), height)
        place = first.get(EXIF) and read_whole_number(bytes(block), layout, first[EXIF])
        if place:
            exif_directory = {e.tag: e for e in entries(bytes(block), layout, place)}
            _write(block, layout, exif_directory.get(_PIXEL_X), width)
            _write(block, layout, exif_directory.get(_PIXEL_Y), height)
    return EXIF_HEADER + bytes(block)


def read_orientation(exif: bytes | None) -> int:
    """Return the orientation of the image, 1 to 8; 1, which is upright, if the block has none."""
    block = (exif or b"").removeprefix(EXIF_HEADER)
    with suppress(struct.error, ValueError):
        layout = read_layout(block)
        entry = find_entry(block, layout, _ORIENTATION)
        number = None if entry is None else read_whole_number(block, layout, entry)
        return number if number is not None and 1 <= number <= 8 else 1
    return 1


def read_text(exif: bytes | None, tag: int) -> str:
    """Return the text of a tag of the first directory; empty if there is none."""
    block = (exif or b"").removeprefix(EXIF_HEADER)
    with suppress(struct.error, ValueError):
        layout = read_layout(block)
        entry = find_entry(block, layout, tag)
        if entry is not None and entry.kind == ASCII:
            text = block[entry.start : entry.start + entry.size].split(b"\0")[0]
            return text.decode("ascii", "replace").strip()
    return ""


def read_exif_resolution(exif: bytes | None) -> Resolution | None:
    """Return the resolution in the block; None if it has none."""
    block = (exif or b"").removeprefix(EXIF_HEADER)
    with suppress(struct.error, ValueError):
        layout = read_layout(block)
        return read_resolution(block, layout, layout.find_first_directory(block))
    return None


def add_resolution(exif: bytes | None, resolution: Resolution) -> bytes:
    """Return the block with this resolution, unless it has one already."""
    order, tags = _order_and_tags((exif or b"").removeprefix(EXIF_HEADER))
    return exif if exif and X_RESOLUTION in tags else with_entries(exif, make_resolution_entries(resolution, order))


def with_entries(exif: bytes | None, added: Mapping[int, tuple[int, int, bytes]]) -> bytes:
    """Return the block with these entries in its first directory in place of its own.

    `added` has the type, the count and the bytes of each tag's values, in the block's own byte order. A block that is
    missing, or so damaged that nobody can read it, is begun anew.
    """
    block, order, present, link = _parse_first_directory((exif or b"").removeprefix(EXIF_HEADER))
    retained = {struct.unpack_from(f"{order}H", entry)[0]: entry for entry in present}
    block += b"\0" * (len(block) % 2)
    for tag, (kind, count, data) in added.items():
        if len(data) > 4:
            value = struct.pack(f"{order}I", len(block))
            block += data + b"\0" * (len(data) % 2)
        else:
            value = data.ljust(4, b"\0")
        retained[tag] = struct.pack(f"{order}HHI", tag, kind, count) + value
    directory = struct.pack(f"{order}H", len(retained)) + b"".join(retained[tag] for tag in sorted(retained)) + link
    return EXIF_HEADER + block[:4] + struct.pack(f"{order}I", len(block)) + block[8:] + directory


def list_tags(exif: bytes | None) -> set[int]:
    """Return the tags of the first directory."""
    return _order_and_tags((exif or b"").removeprefix(EXIF_HEADER))[1]


def _order_and_tags(block: bytes) -> tuple[str, set[int]]:
    _, order, present, _ = _parse_first_directory(block)
    return order, {struct.unpack_from(f"{order}H", entry)[0] for entry in present}


def _parse_first_directory(block: bytes) -> tuple[bytes, str, list[bytes], bytes]:
    """Return the block, its byte order, the entries of its first directory, and the link to the next directory.

    Those of an empty block where none can be read.
    """
    with suppress(struct.error, ValueError):
        layout = read_layout(block)
        if not layout.is_big:
            first = layout.find_first_directory(block)
            start = layout.find_first_entry(first)
            end = start + _ENTRY_BYTES * layout.read_entry_count(block, first)
            if end + 4 <= len(block):
                places = range(start, end, _ENTRY_BYTES)
                return (
                    block,
                    layout.order,
                    [block[place : place + _ENTRY_BYTES] for place in places],
                    block[end : end + 4],
                )
    return b"II*\0" + bytes(4), "<", [], bytes(4)


def _write(block: bytearray, layout: Layout, entry: Entry | None, number: int) -> None:
    """Write `number` in place of the entry's value, if it fits there."""
    if entry is not None and entry.count == 1 and entry.kind in (SHORT, LONG):
        if entry.kind == SHORT and number >= 2**16:
            # The value of one entry has room for a LONG.
            struct.pack_into(f"{layout.order}H", block, entry.place + 2, LONG)
            entry = Entry(place=entry.place, tag=entry.tag, kind=LONG, count=1, start=entry.start)
        struct.pack_into(f"{layout.order}{'H' if entry.kind == SHORT else 'I'}", block, entry.start, number)
