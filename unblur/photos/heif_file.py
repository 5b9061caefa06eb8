"""What HEIC and AVIF files hold beside the photograph: gain maps, depth maps and videos.

Boxes are those of ISO/IEC 14496-12 and 23008-12; auxiliary pictures have the names that Apple and MPEG give them.
"""

import re
import struct

from unblur.photos.heif_colours import boxes
from unblur.photos.tiff_directories import EXIF_HEADER

_EXIF_BLOCK = re.compile(EXIF_HEADER + rb"(?:II\*\0|MM\0\*)")
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


def without_exif(data: bytes) -> bytes:
    """The file whose EXIF blocks libvips, which spends seconds on hostile ones, cannot read; all else in its place."""
    return _EXIF_BLOCK.sub(EXIF_HEADER + bytes(4), data)


def exif_at(data: bytes, changed: bytes | None, hidden: bytes) -> bytes | None:
    """The EXIF block of the file `data` that libvips gave as `changed` out of what `without_exif` made of it."""
    place = -1 if changed is None else hidden.find(changed)
    return None if changed is None or place < 0 else data[place : place + len(changed)]


def beside_the_photograph(data: bytes) -> tuple[str, ...]:
    """Names of what the file holds beside the photograph, such as "the gain map"."""
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
