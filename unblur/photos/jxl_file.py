"""EXIF and XMP in JPEG XL files. libvips rewrites EXIF and drops the tags that it does not recognise.

Layout: ISO/IEC 18181-2, clause 9: boxes as in HEIF, or a bare codestream without any metadata. Boxes may be compressed
by Brotli, which the package brotli reads (extra `jxl`). libvips never sees these boxes: it would read hostile ones for
seconds, and decompress them without a limit.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from unblur.photos.heif_colours import boxes
from unblur.photos.tiff_directories import EXIF_HEADER

LARGEST_BLOCK_BYTES = 64_000_000
"""Larger blocks of metadata are left out when they are decompressed."""

_CODESTREAM = b"\xff\x0a"
_CONTAINER = struct.pack(">I4sI", 12, b"JXL ", 0x0D0A870A) + struct.pack(">I4s4sI4s", 20, b"ftyp", b"jxl ", 0, b"jxl ")
_COMPRESSED, _IGNORED = b"brob", b"free"
_KINDS = {b"Exif": "the EXIF block", b"xml ": "the XMP packet"}

_IMPLICIT_PROFILES = ("RGB_D65_SRG_Rel_SRG", "Gra_D65_Rel_SRG")
_LINEAR_PROFILES = ("RGB_D65_SRG_Rel_Lin", "Gra_D65_Rel_Lin")
"""Names that libjxl gives to profiles of its own making: those of sRGB without a profile in the file, and those of
linear light, to which its decoder resorts where it cannot apply the profile in the file."""


@dataclass(frozen=True, kw_only=True)
class JxlContents:
    """A JPEG XL file, taken apart."""

    picture: bytes
    """The file without its metadata; all else is equal."""
    exif: bytes | None
    xmp: bytes | None
    left_behind: tuple[str, ...]
    """Blocks that could not be decompressed."""


@dataclass(kw_only=True)
class _Blocks:
    found: dict[bytes, bytes] = field(default_factory=dict)
    places: list[int] = field(default_factory=list)
    """Places of the kinds of the boxes that hold metadata."""
    unreadable: list[str] = field(default_factory=list)


def read_jxl_contents(jxl: bytes) -> JxlContents:
    """Take apart a JPEG XL file; a damaged one as far as its boxes go."""
    blocks = _Blocks()
    if not jxl.startswith(_CODESTREAM):
        try:
            for head, kind, start, end in _list_boxes(jxl):
                content = kind if kind != _COMPRESSED else jxl[start : min(start + 4, end)]
                if content in _KINDS:
                    blocks.places.append(head + 4)
                    _read_block(blocks, content, jxl[start:end], is_compressed=kind == _COMPRESSED)
        except (struct.error, ValueError, OverflowError):
            pass  # The decoder of the picture reports the damage.
    picture = bytearray(jxl)
    for place in blocks.places:
        picture[place : place + 4] = _IGNORED
    exif = blocks.found.get(b"Exif")
    if exif is not None:
        # Its first number says how many bytes come before the block.
        start = 4 + int.from_bytes(exif[:4], "big")
        exif = EXIF_HEADER + exif[start:].removeprefix(EXIF_HEADER) if start < len(exif) else None
    return JxlContents(
        picture=bytes(picture), exif=exif, xmp=blocks.found.get(b"xml "), left_behind=tuple(blocks.unreadable)
    )


def insert_into_jxl(jxl: bytes, *, exif: bytes | None, xmp: bytes | None) -> bytes:
    """Return the JPEG XL file, which holds neither yet, with them; `exif` has no header."""
    added = b""
    if exif is not None:
        added += _encode_box(b"Exif", bytes(4) + exif)
    if xmp is not None:
        added += _encode_box(b"xml ", xmp)
    if not added:
        return jxl
    if jxl.startswith(_CODESTREAM):
        return _CONTAINER + added + _encode_box(b"jxlc", jxl)
    # Before the codestream, which may go on to the end of the file.
    place = next(head for head, kind, _, _ in _list_boxes(jxl) if kind in (b"jxlc", b"jxlp"))
    return jxl[:place] + added + jxl[place:]


def is_implicit_srgb(icc: bytes) -> bool:
    """Return whether libjxl made this profile for a file without one, whose colours are those of sRGB."""
    return _has_name(icc, _IMPLICIT_PROFILES)


def is_linear_fallback(icc: bytes) -> bool:
    """Return whether libjxl made this profile because its decoder cannot apply the one in the file."""
    return _has_name(icc, _LINEAR_PROFILES)


def _has_name(icc: bytes, names: tuple[str, ...]) -> bool:
    return any(name.encode("utf-16-be") in icc for name in names)


def _list_boxes(jxl: bytes) -> Iterator[tuple[int, bytes, int, int]]:
    """Yield the place of each box, its kind, and where its content begins and ends."""
    head = 0
    for kind, start, end in boxes(jxl, 0, len(jxl)):
        yield head, kind, start, end
        head = end


def _read_block(blocks: _Blocks, kind: bytes, body: bytes, *, is_compressed: bool) -> None:
    """Read the block of metadata in the first box of its kind."""
    if kind in blocks.found or _KINDS[kind] in blocks.unreadable:
        return
    block = _decompress(body.removeprefix(kind)) if is_compressed else body
    if block is None:
        blocks.unreadable.append(_KINDS[kind])
    else:
        blocks.found[kind] = block


def _decompress(data: bytes) -> bytes | None:
    """Decompress a block; None where brotli is missing, or the block is damaged or too large."""
    try:
        import brotli
    except ImportError:
        return None
    decompressor = brotli.Decompressor()
    try:
        block: bytes = decompressor.process(data, output_buffer_limit=LARGEST_BLOCK_BYTES)
    except (brotli.error, TypeError):
        return None
    return block if decompressor.is_finished() else None


def _encode_box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body
