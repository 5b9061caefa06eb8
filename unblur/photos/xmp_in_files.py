"""XMP in PNG and JPEG files, where libvips writes it otherwise than other readers expect it, or not at all.

In a PNG file it puts the packet into a text chunk whose letters are Latin-1 by definition; an XMP packet is UTF-8, so
others see "ZoÃ«" for "Zoë", and those that follow the standard see nothing. From a JPEG file it leaves out, without a
word, a packet of more than 60,000 bytes, which editors that keep a history of their steps do write.

Source: XMP Specification Part 3 (Adobe 2020), sections 1.1.3 and 1.1.5: in JPEG one APP1 segment after the EXIF block;
in PNG an international text chunk (iTXt), not compressed, before the pixels.
"""

import struct
import zlib

LARGEST_IN_JPEG_BYTES = 65_502
"""A segment tells its length in 16 bits."""

_JPEG_HEADER = b"http://ns.adobe.com/xap/1.0/\0"
_START_OF_IMAGE, _APP0, _APP1 = b"\xff\xd8", b"\xff\xe0", b"\xff\xe1"

_PNG_SIGNATURE_AND_HEADER_BYTES = 8 + 12 + 13
"""A PNG file begins with a signature of 8 bytes and the chunk IHDR of 13; a chunk has 12 bytes around it."""

_PNG_KEYWORD = b"XML:com.adobe.xmp"
_NOT_COMPRESSED, _NO_LANGUAGE, _NO_TRANSLATION = b"\0\0", b"\0", b"\0"


def png_with_xmp(png: bytes, xmp: bytes | None) -> bytes:
    """The PNG file, which holds no XMP yet, with this packet; unchanged where there is none to add."""
    if xmp is None:
        return png
    body = b"iTXt" + _PNG_KEYWORD + b"\0" + _NOT_COMPRESSED + _NO_LANGUAGE + _NO_TRANSLATION + xmp
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return png[:_PNG_SIGNATURE_AND_HEADER_BYTES] + chunk + png[_PNG_SIGNATURE_AND_HEADER_BYTES:]


def jpeg_with_xmp(jpeg: bytes, xmp: bytes | None) -> bytes:
    """The JPEG file, which holds no XMP yet, with this packet of at most `LARGEST_IN_JPEG_BYTES`; unchanged for None.

    It follows what the file begins with: JFIF's segment and the EXIF block.
    """
    if xmp is None:
        return jpeg
    place = len(_START_OF_IMAGE)
    while jpeg[place : place + 2] in (_APP0, _APP1):
        place += 2 + int.from_bytes(jpeg[place + 2 : place + 4])
    segment = _APP1 + struct.pack(">H", 2 + len(_JPEG_HEADER) + len(xmp)) + _JPEG_HEADER + xmp
    return jpeg[:place] + segment + jpeg[place:]
