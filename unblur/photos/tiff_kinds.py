"""Kinds of TIFF that libvips does not read, although such files are whole."""

from unblur.photos.tiff_exif import read_tiff_numbers

_SUBFILE, _BITS, _COMPRESSION, _PHOTOMETRIC, _PLANAR, _TILE_WIDTH, _SAMPLE_FORMAT = 254, 258, 259, 262, 284, 322, 339
_READABLE_COMPRESSIONS = frozenset({1, 2, 3, 4, 5, 7, 8, 32773, 32946, 50000, 50001})
_COMPRESSIONS = {
    6: "old-style JPEG",
    9: "JBIG",
    10: "JBIG",
    32766: "NeXT",
    32809: "ThunderScan",
    33003: "JPEG 2000",
    33005: "JPEG 2000",
    34661: "JBIG",
    34676: "SGI LogLuv",
    34677: "SGI LogLuv",
    34712: "JPEG 2000",
    34887: "LERC",
    34925: "LZMA",
    50002: "JPEG XL",
    52546: "JPEG XL",
}
_COLOURS = {
    5: "CMYK (print)",
    6: "YCbCr",
    8: "CIELAB",
    9: "ICCLab",
    10: "ITULab",
    32803: "undeveloped sensor",
    32844: "LogL",
    32845: "LogLuv",
}
_BITS_OF_PHOTOGRAPHS = frozenset({1, 2, 4, 8, 16})


def describe_unreadable(tiff: bytes) -> str | None:
    """Describe why decoders may not read an intact TIFF file: its compression, colours, depth or layout."""
    said = read_tiff_numbers(tiff, _BITS, _COMPRESSION, _PHOTOMETRIC, _PLANAR, _TILE_WIDTH, _SAMPLE_FORMAT)
    compression, colours, bits = said.get(_COMPRESSION, 1), said.get(_PHOTOMETRIC), said.get(_BITS, 1)
    if compression not in _READABLE_COMPRESSIONS:
        name = _COMPRESSIONS.get(compression, f"method {compression}")
        return f"it is compressed in a way that is not supported ({name})"
    if colours in _COLOURS and (colours, compression) != (6, 7):
        return f"it has {_COLOURS[colours]} colours"
    if bits not in _BITS_OF_PHOTOGRAPHS:
        return f"it has {bits} bits a channel"
    if said.get(_PLANAR) == 2 and _TILE_WIDTH in said:
        return "its channels lie in tiles of their own (planar)"
    return None


def begins_with_thumbnail(tiff: bytes) -> bool:
    """Return whether the first image of a TIFF file is a reduced version of another one, as in many raw files."""
    return bool(read_tiff_numbers(tiff, _SUBFILE).get(_SUBFILE, 0) & 1)
