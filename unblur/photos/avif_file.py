"""EXIF in AVIF files, where libvips rewrites EXIF and drops what it does not know.

libvips is given a block of its own kind that is as long and holds nothing, and the photograph's block is put into its
place: every offset in the file stays as libvips wrote it.
"""

import struct

from unblur.photos.tiff_directories import ASCII, EXIF_HEADER

LARGEST_EXIF_BYTES = 60_000
"""libvips's own block has to be as long, and libexif, which makes it, has a limit of 64 KB."""

_FILLING = b"\1"
_DESCRIPTION = 0x010E


def make_placeholder(exif: bytes) -> bytes:
    """Return a block, for libvips, that leaves at least as much room as `exif` needs."""
    size = len(exif)
    text = _FILLING * (size - 1) + b"\0"
    entry = struct.pack("<HHII", _DESCRIPTION, ASCII, size, 8 + 2 + 12 + 4)
    return EXIF_HEADER + b"II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4) + text


def insert_exif(avif: bytes, placed: bytes, exif: bytes) -> bytes:
    """Return the AVIF file with `exif`, and zeros behind, in place of the block `placed` that libvips made."""
    return avif.replace(placed, exif.ljust(len(placed), b"\0"), 1)
