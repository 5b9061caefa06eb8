"""Lists the contents of HEIC and AVIF files besides the photograph: gain maps, depth maps and videos.

Boxes are those of ISO/IEC 14496-12 and 23008-12; auxiliary pictures have the names that Apple and MPEG give them.
"""

import re
import struct
from collections.abc import Iterator

from unblur.photos.heif_colours import boxes
from unblur.photos.tiff_directories import EXIF_HEADER

_EXIF_BLOCK = re.compile(EXIF_HEADER + rb"(?:II\*\0|MM\0\*)")
_PICTURES = frozenset({b"hvc1", b"av01", b"grid", b"iovl", b"iden", b"jpeg", b"avc1", b"vvc1", b"j2k1", b"unci"})
_AUXILIARY = (
    (b"urn:com:apple:photo:2020:aux:hdrgainmap", "the gain map"),
    (b"urn:iso:std:iso:ts:21496", "the gain map"),
    (b"tmap", "the gain map"),
    (b"urn:mpeg:hevc:2015:auxid:2", "the depth map"),
    (b"urn:mpeg:mpegB:cicp:systems:auxiliary:depth", "the depth map"),
    (b"urn:com:apple:photo:2018:aux:portraiteffectsmatte", "the mattes"),
    (b"urn:com:apple:photo:2019:aux:semantic", "the mattes"),
    (b"urn:com:apple:photo:2020:aux:semantic", "the mattes"),
)


def hide_exif(data: bytes) -> bytes:
    """Return the file with EXIF blocks that libvips skips, as it spends seconds on hostile ones; all else is equal."""
    return _EXIF_BLOCK.sub(EXIF_HEADER + bytes(4), data)


def read_exif(data: bytes, changed: bytes | None, hidden: bytes) -> bytes | None:
    """Return the EXIF block of the file `data` at the place of `changed`, which libvips read after `hide_exif`."""
    place = -1 if changed is None else hidden.find(changed)
    return None if changed is None or place < 0 else data[place : place + len(changed)]


def count_pictures(data: bytes) -> int | None:
    """Count the pictures that are neither hidden nor part of another, such as tiles; None if it is unclear."""
    types: dict[int, bytes] = {}
    hidden: set[int] = set()
    parts: set[int] = set()
    try:
        meta, end = next((start + 4, end) for kind, start, end in boxes(data, 0, len(data)) if kind == b"meta")
        inside = {kind: (start, after) for kind, start, after in boxes(data, meta, end)}
        for number, item_type, is_hidden in _read_items(data, *inside[b"iinf"]):
            types[number] = item_type
            hidden |= {number} if is_hidden else set()
        if b"iref" in inside:
            parts = _find_parts(data, *inside[b"iref"], types)
    except (struct.error, StopIteration, LookupError, ValueError, OverflowError):
        return None
    return len({number for number, item_type in types.items() if item_type in _PICTURES} - hidden - parts) or None


def _read_items(data: bytes, start: int, end: int) -> Iterator[tuple[int, bytes, bool]]:
    """Return number and type of each item of the box `iinf`, and whether it is hidden."""
    for kind, inside, _ in boxes(data, start + (6 if data[start] == 0 else 8), end):
        if kind == b"infe" and data[inside] >= 2:
            layout = ">HH4s" if data[inside] == 2 else ">IH4s"
            number, _, item_type = struct.unpack_from(layout, data, inside + 4)
            yield number, item_type, bool(data[inside + 3] & 1)


def _find_parts(data: bytes, start: int, end: int, types: dict[int, bytes]) -> set[int]:
    """Return the numbers of items that belong to another in `iref`: tiles, gain maps, auxiliaries, thumbnails."""
    code = "H" if data[start] == 0 else "I"
    found: set[int] = set()
    for kind, inside, _ in boxes(data, start + 4, end):
        source, count = struct.unpack_from(f">{code}H", data, inside)
        targets = struct.unpack_from(f">{count}{code}", data, inside + struct.calcsize(f">{code}H"))
        if kind == b"dimg":
            # A tone map is made of the photograph and its gain map.
            found |= set(targets[1:] if types.get(source) == b"tmap" else targets)
        elif kind in (b"auxl", b"thmb"):
            found.add(source)
    return found


def name_extra_contents(data: bytes) -> tuple[str, ...]:
    """Return names of the contents of the file besides the photograph, such as "the gain map"."""
    found = []
    try:
        for kind, start, end in boxes(data, 0, len(data)):
            if kind == b"meta":
                found += [name for sign, name in _AUXILIARY if data.find(sign, start, end) >= 0]
            elif kind in (b"mpvd", b"moov"):
                found.append("the video")
    except (struct.error, ValueError, OverflowError):
        pass  # A decoder says what is wrong, if it cannot read the file either.
    return tuple(dict.fromkeys(found))
