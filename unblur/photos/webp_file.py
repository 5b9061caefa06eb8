"""EXIF and XMP in WebP files, where libvips rewrites EXIF and drops what it does not know.

Layout: WebP Container Specification (RFC 9649), section 2.7.
"""

import struct

_EXIF_FLAG, _XMP_FLAG, _ALPHA_FLAG = 0x08, 0x04, 0x10
_LOSSLESS_ALPHA_BIT = 28


def split_exif(webp: bytes) -> tuple[bytes, bytes | None]:
    """Return the WebP file without its EXIF block, as libvips spends seconds on hostile ones; and the block."""
    place = 12
    while place + 8 <= len(webp):
        size = struct.unpack_from("<I", webp, place + 4)[0]
        if webp[place : place + 4] == b"EXIF":
            return webp[:place] + b"NONE" + webp[place + 4 :], webp[place + 8 : place + 8 + size] or None
        place += 8 + size + size % 2
    return webp, None


def insert_into_webp(webp: bytes, *, width: int, height: int, exif: bytes | None, xmp: bytes | None) -> bytes:
    """Return the WebP file of `width` x `height` pixels, which holds neither yet, with them; `exif` has no header."""
    added = [(kind, body) for kind, body in ((b"EXIF", exif), (b"XMP ", xmp)) if body is not None]
    if not added:
        return webp
    chunks = webp[12:]
    if chunks[:4] != b"VP8X":
        # A simple file has nothing but its pixels; an extended one begins with what it holds.
        has_alpha = chunks[:4] == b"VP8L" and struct.unpack_from("<I", chunks, 9)[0] >> _LOSSLESS_ALPHA_BIT & 1
        size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        chunks = _encode_chunk(b"VP8X", bytes([_ALPHA_FLAG if has_alpha else 0, 0, 0, 0]) + size) + chunks
    flags = chunks[8] | (_EXIF_FLAG if exif is not None else 0) | (_XMP_FLAG if xmp is not None else 0)
    chunks = chunks[:8] + bytes([flags]) + chunks[9:] + b"".join(_encode_chunk(kind, body) for kind, body in added)
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


def _encode_chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
