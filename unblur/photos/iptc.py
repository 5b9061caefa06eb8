"""IPTC records, which JPEG files hold among the resources of Photoshop and TIFF files hold as they are.

Layout: IPTC-NAA Information Interchange Model, and Adobe Photoshop File Formats Specification, "Image Resource Blocks".
"""

import struct
from collections.abc import Iterator

PHOTOSHOP_HEADER = b"Photoshop 3.0\0"
LARGEST_IN_JPEG_BYTES = 65_000
"""A segment stores its length in 16 bits."""

_RESOURCE, _IPTC = b"8BIM", 0x0404
_ABOUT_THE_FILE = frozenset({0x03ED, 0x0404, 0x0409, 0x040C, 0x0425})
"""Resolution, IPTC, thumbnails, and a digest of IPTC: stored elsewhere, or not true of another file."""


def find_records(photoshop: bytes) -> tuple[bytes | None, bool]:
    """Return the IPTC records among resources of Photoshop (without their header), and whether there are others."""
    found = dict(_iterate_resources(photoshop))
    return found.get(_IPTC) or None, not found.keys() <= _ABOUT_THE_FILE


def wrap_as_photoshop(records: bytes) -> bytes:
    """Return the records as the only resource of Photoshop, with the header, for a segment of JPEG."""
    return (
        PHOTOSHOP_HEADER
        + _RESOURCE
        + struct.pack(">HHI", _IPTC, 0, len(records))
        + records
        + b"\0" * (len(records) % 2)
    )


def _iterate_resources(photoshop: bytes) -> Iterator[tuple[int, bytes]]:
    place = 0
    while photoshop[place : place + 4] == _RESOURCE and place + 12 <= len(photoshop):
        number, name_bytes = struct.unpack_from(">HB", photoshop, place + 4)
        # A name and its length take an even number of bytes together.
        size_at = place + 6 + (name_bytes + 2) // 2 * 2
        if size_at + 4 > len(photoshop):
            return
        size = struct.unpack_from(">I", photoshop, size_at)[0]
        yield number, photoshop[size_at + 4 : size_at + 4 + size]
        place = size_at + 4 + size + size % 2
