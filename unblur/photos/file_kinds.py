"""Recognises files by their first bytes: the formats that are read, and names for common mistakes."""

from typing import Literal

VipsKind = Literal["JPEG", "PNG", "WebP", "TIFF", "HEIF", "JPEG XL"]
"""Formats that libvips reads, JPEG XL where it is built with libjxl. HEIF is the container of HEIC and AVIF."""

Kind = VipsKind | Literal["RAW"]
"""Formats that are read; RAW stands for the raw files of all cameras."""

HEAD_BYTES = 4096
"""The number of first bytes of a file that the functions here need."""

_HEIF_BRANDS = frozenset(
    {
        b"heic",
        b"heix",
        b"heim",
        b"heis",
        b"hevc",
        b"hevx",
        b"mif1",
        b"mif2",
        b"mif3",
        b"msf1",
        b"avif",
        b"avis",
        b"miaf",
    }
)
_OTHERS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"GIF8", "GIF file"),
    (0, b"BM", "BMP file"),
    (0, b"%PDF", "PDF document"),
    (0, b"8BPS", "Photoshop file"),
    (0, b"\x76\x2f\x31\x01", "OpenEXR file"),
    (0, b"#?RADIANCE", "Radiance HDR file"),
    (4, b"jP  ", "JPEG 2000 file"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000 file"),
    (0, b"PK\x03\x04", "ZIP archive"),
    (0, b"\x1a\x45\xdf\xa3", "video"),
    (0, b"FUJIFILMCCD-RAW", "raw file"),
)
"""Place and value of the bytes that identify other kinds of files, and the names of these."""


def detect_kind(head: bytes) -> VipsKind | None:
    """Return the format of the file that begins with `head`; None for formats that libvips does not read."""
    match head[:4]:
        case b"\x89PNG":
            return "PNG"
        case b"II*\0" | b"MM\0*" | b"II+\0" | b"MM\0+":
            return "TIFF"
        case b"RIFF" if head[8:12] == b"WEBP":
            return "WebP"
    if head[:2] == b"\xff\x0a" or head[:12] == b"\0\0\0\x0cJXL \r\n\x87\n":
        return "JPEG XL"
    if head[:3] == b"\xff\xd8\xff":
        return "JPEG"
    return "HEIF" if _HEIF_BRANDS & _read_brands(head) else None


def name_other_kind(head: bytes) -> str:
    """Name a file of a format that is not read, as far as its first bytes allow: "GIF file", "video" and so on."""
    for place, signature, name in _OTHERS:
        if head.startswith(signature, place):
            return name
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide"):
        return "video"
    if b"<svg" in head[:1024].lower():
        return "SVG drawing"
    return "file of an unknown kind"


def is_avif(data: bytes) -> bool:
    """Return whether the file that begins with `data` is AVIF by its brands."""
    return bool({b"avif", b"avis"} & _read_brands(data[:HEAD_BYTES]))


def _read_brands(head: bytes) -> set[bytes]:
    """Return the brands in the first box of a file of the family of MP4 and HEIF; none for any other file."""
    if head[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(head[:4], "big"), len(head))
    return {head[8:12], *(head[place : place + 4] for place in range(16, end - 3, 4))}
