"""The chunks of PNG files that say something about the photograph: its colours, resolution and texts.

Layout: Portable Network Graphics, third edition (W3C 2025). An XMP packet is put where the XMP Specification, part 3,
section 1.1.5 has it: in an international text chunk before the pixels, while libvips writes it as Latin-1.
"""

import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from unblur.photos.photo import Resolution, Text

_SIGNATURE_BYTES = 8
_SIGNATURE_AND_HEADER_BYTES = _SIGNATURE_BYTES + 12 + 13
"""A PNG file begins with a signature and the chunk IHDR of 13 bytes; a chunk has 12 bytes around it."""

_XMP_KEYWORD = b"XML:com.adobe.xmp"
_NOT_COMPRESSED, _NO_LANGUAGE, _NO_TRANSLATION = b"\0\0", b"\0", b"\0"
_METRE = 1
_INCHES_PER_METRE = 1 / 0.0254

_MOST_CHUNKS, _MOST_TEXTS, _LARGEST_TEXT_BYTES = 1_000_000, 200, 1_000_000


@dataclass(frozen=True, kw_only=True)
class PngContents:
    """The contents of a PNG file besides pixels."""

    size: tuple[int, int]
    """Width and height, by the header; 0 where there is none."""
    picture: bytes
    """The file without EXIF and texts but for XMP: libvips spends seconds on hostile ones."""
    exif: bytes | None
    is_animation: bool
    code_points: tuple[int, int] | None
    """Primaries and transfer, ITU-T H.273, of the chunk cICP."""
    says_srgb: bool
    gamma: float | None
    """Exponent that makes light of the file's values: the inverse of the value of the chunk gAMA."""
    chromaticities: tuple[float, ...] | None
    """x and y of white, red, green and blue, of the chunk cHRM."""
    resolution: Resolution | None
    texts: tuple[Text, ...]
    left_behind: tuple[str, ...]


def read_png_contents(data: bytes) -> PngContents:
    """Return the contents of the PNG file `data`; damaged chunks are ignored."""
    chunks: dict[bytes, bytes] = {}
    texts: list[Text] = []
    left_behind: list[str] = []
    parts: list[bytes] = []
    passed = 0
    for place, kind, body in _iterate_chunks(data):
        is_text = kind in (b"tEXt", b"zTXt", b"iTXt")
        if kind == b"eXIf" or (is_text and not body.startswith(_XMP_KEYWORD + b"\0")):
            parts.append(data[passed:place])
            passed = place + 12 + len(body)
        if is_text:
            text = _parse_text(kind, body)
            if text is not None and text.keyword.startswith("Raw profile type"):
                left_behind.append("the metadata that ImageMagick wrote as text")
            elif text is not None and len(texts) < _MOST_TEXTS:
                texts.append(text)
            elif not body.startswith(_XMP_KEYWORD):
                left_behind.append("some of the texts")
        else:
            chunks.setdefault(kind, body)
    gamma = _unpack_numbers(chunks, b"gAMA", ">I")
    chromaticities = _unpack_numbers(chunks, b"cHRM", ">8I")
    points = _unpack_numbers(chunks, b"cICP", ">BB")
    width, height = _unpack_numbers(chunks, b"IHDR", ">II") or (0, 0)
    return PngContents(
        size=(width, height),
        picture=b"".join([*parts, data[passed:]]) if parts else data,
        exif=chunks.get(b"eXIf") or None,
        is_animation=b"acTL" in chunks,
        code_points=(points[0], points[1]) if points else None,
        says_srgb=b"sRGB" in chunks,
        gamma=100_000 / gamma[0] if gamma and gamma[0] else None,
        chromaticities=tuple(number / 100_000 for number in chromaticities) if chromaticities else None,
        resolution=_parse_resolution(chunks),
        texts=tuple(texts),
        left_behind=tuple(dict.fromkeys(left_behind)),
    )


def insert_into_png(
    png: bytes,
    *,
    icc: bytes | None,
    exif: bytes | None,
    xmp: bytes | None,
    resolution: Resolution | None,
    texts: tuple[Text, ...],
) -> bytes:
    """Return the PNG file, which holds none of these but perhaps a resolution, with them; `exif` without its header."""
    added = []
    if icc is not None:
        added.append(_encode_chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc)))
    if resolution is not None:
        added.append(_encode_chunk(b"pHYs", _encode_resolution(resolution)))
    if exif is not None:
        added.append(_encode_chunk(b"eXIf", exif))
    if xmp is not None:
        added.append(_encode_international_text(_XMP_KEYWORD, xmp))
    added += [_encode_text(text) for text in texts]
    place, after = _SIGNATURE_AND_HEADER_BYTES, len(png)
    retained = []
    while place < after:
        end = place + 12 + int.from_bytes(png[place : place + 4], "big")
        if png[place + 4 : place + 8] == b"IDAT":
            break
        # libvips writes a resolution for every picture.
        if png[place + 4 : place + 8] != b"pHYs":
            retained.append(png[place:end])
        place = end
    return b"".join([png[:_SIGNATURE_AND_HEADER_BYTES], *retained, *added, png[place:]])


def _iterate_chunks(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield place, kind and content of each chunk, without those of the pixels, which are skipped."""
    place = _SIGNATURE_BYTES
    pixels_began = False
    for _ in range(_MOST_CHUNKS):
        if place + 12 > len(data):
            return
        size, kind = struct.unpack_from(">I4s", data, place)
        if kind == b"IEND" or place + 12 + size > len(data):
            return
        pixels_began = pixels_began or kind == b"IDAT"
        # Chunks about colours or an animation have to precede the pixels; readers ignore them behind the pixels.
        if kind != b"IDAT" and not (pixels_began and kind in (b"acTL", b"cICP", b"gAMA", b"cHRM", b"sRGB", b"pHYs")):
            yield place, kind, data[place + 8 : place + 8 + size]
        place += 12 + size


def _unpack_numbers(chunks: dict[bytes, bytes], kind: bytes, layout: str) -> tuple[int, ...] | None:
    with suppress(struct.error):
        return struct.unpack_from(layout, chunks.get(kind, b""))
    return None


def _parse_resolution(chunks: dict[bytes, bytes]) -> Resolution | None:
    values = _unpack_numbers(chunks, b"pHYs", ">IIB")
    if values is None or not values[0] or not values[1]:
        return None
    x, y, unit = values
    if unit == _METRE:
        return Resolution(x=x / _INCHES_PER_METRE, y=y / _INCHES_PER_METRE, unit="inch")
    return None if x == y else Resolution(x=x, y=y, unit="none")


def _encode_resolution(resolution: Resolution) -> bytes:
    if resolution.unit == "none":
        # Large whole numbers express a ratio more exactly.
        return struct.pack(">IIB", *(_limit(value * 1000) for value in (resolution.x, resolution.y)), 0)
    x, y = (_limit(value * _INCHES_PER_METRE) for value in resolution.per_inch())
    return struct.pack(">IIB", x, y, _METRE)


def _limit(value: float) -> int:
    return min(max(1, round(value)), 2**31 - 1)


def _parse_text(kind: bytes, body: bytes) -> Text | None:
    """Return the text of a chunk; None for XMP, for damaged texts and for very long ones."""
    keyword, _, rest = body.partition(b"\0")
    if keyword == _XMP_KEYWORD or not 1 <= len(keyword) <= 79:
        return None
    try:
        match kind:
            case b"tEXt":
                text = rest.decode("latin-1")
            case b"zTXt":
                text = _inflate(rest[1:]).decode("latin-1")
            case _:
                is_compressed, (_, _, content) = rest[0], rest[2:].split(b"\0", 2)
                text = (_inflate(content) if is_compressed else content).decode()
    except (ValueError, IndexError, zlib.error):
        return None
    return Text(keyword=keyword.decode("latin-1"), text=text) if len(text) <= _LARGEST_TEXT_BYTES else None


def _inflate(data: bytes) -> bytes:
    """Decompress a text. Raises ValueError if it is longer than a text may be."""
    inflater = zlib.decompressobj()
    text = inflater.decompress(data, _LARGEST_TEXT_BYTES)
    if not inflater.eof:
        raise ValueError("the text is cut short, or too long")
    return text


def _encode_text(text: Text) -> bytes:
    keyword = text.keyword.encode("latin-1", "replace")[:79]
    with suppress(UnicodeEncodeError):
        return _encode_chunk(b"tEXt", keyword + b"\0" + text.text.encode("latin-1").replace(b"\0", b" "))
    return _encode_international_text(keyword, text.text.encode("utf-8", "replace"))


def _encode_international_text(keyword: bytes, text: bytes) -> bytes:
    return _encode_chunk(b"iTXt", keyword + b"\0" + _NOT_COMPRESSED + _NO_LANGUAGE + _NO_TRANSLATION + text)


def _encode_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
