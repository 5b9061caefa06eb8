"""XMP in PNG files, which libvips writes where only libvips reads it as it was.

It puts the packet into a text chunk whose letters are Latin-1 by definition; an XMP packet is UTF-8, so other readers
see "ZoÃ«" for "Zoë", and those that follow the standard see nothing. Source: XMP Specification Part 3 (Adobe 2020),
section 1.1.5: an international text chunk (iTXt) of this keyword, not compressed, before the pixels.
"""

import struct
import zlib

_SIGNATURE_AND_HEADER_BYTES = 8 + 12 + 13
"""A PNG file begins with a signature of 8 bytes and the chunk IHDR of 13; a chunk has 12 bytes around it."""

_KEYWORD = b"XML:com.adobe.xmp"
_NOT_COMPRESSED, _NO_LANGUAGE, _NO_TRANSLATION = b"\0\0", b"\0", b"\0"


def png_with_xmp(png: bytes, xmp: bytes | None) -> bytes:
    """The PNG file, which holds no XMP yet, with this packet; unchanged where there is none to add."""
    if xmp is None:
        return png
    body = b"iTXt" + _KEYWORD + b"\0" + _NOT_COMPRESSED + _NO_LANGUAGE + _NO_TRANSLATION + xmp
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return png[:_SIGNATURE_AND_HEADER_BYTES] + chunk + png[_SIGNATURE_AND_HEADER_BYTES:]
