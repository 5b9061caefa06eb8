"""Linear DNG files: developed raw files in linear light of 16 bits, which raw converters open like raw files.

Layout: Digital Negative Specification 1.4, chapters 3 and 4. The primaries are those of sRGB, and its white is
neutral, so that a converter that changes nothing shows what the TIFF result shows.
"""

import struct
from importlib.metadata import version

from unblur.photos.exif_block import read_text
from unblur.photos.photo import Metadata
from unblur.photos.tiff_directories import ASCII, BYTE, LONG, RATIONAL, SHORT, SIGNED_RATIONAL, read_layout
from unblur.photos.tiff_exif import insert_into_tiff

MOST_PIXELS = 700_000_000
"""Places in a file of this kind have 32 bits, and a pixel has 6 bytes."""

_MAKE, _MODEL, _SOFTWARE = 0x010F, 0x0110, 0x0131

_LINEAR_RAW = 34892
_D65 = 21
_XYZ_TO_LINEAR_SRGB = (
    (3.2404542, -1.5371385, -0.4985314),
    (-0.9692660, 1.8760108, 0.0415560),
    (0.0556434, -0.2040259, 1.0572252),
)


def convert_to_dng(tiff: bytes, metadata: Metadata) -> bytes:
    """Return an uncompressed TIFF file of linear light, 16 bits and 3 channels, as a DNG file with its description."""
    order = read_layout(tiff).order
    software = read_text(metadata.exif, _SOFTWARE)
    # That of the camera has not made this file; a mark of ours stays.
    if not software.startswith("unblur"):
        software = f"unblur {version('unblur')}"
    make, model = read_text(metadata.exif, _MAKE), read_text(metadata.exif, _MODEL)
    camera = model if model.startswith(make) else f"{make} {model}"
    matrix = [number for row in _XYZ_TO_LINEAR_SRGB for number in row]
    added = {
        0x00FE: (LONG, 1, struct.pack(f"{order}I", 0)),  # the photograph itself
        0x0106: (SHORT, 1, struct.pack(f"{order}H", _LINEAR_RAW)),
        0x0112: (SHORT, 1, struct.pack(f"{order}H", 1)),  # upright
        _SOFTWARE: _encode_text(software),
        0xC612: (BYTE, 4, bytes([1, 4, 0, 0])),  # the version of DNG
        0xC613: (BYTE, 4, bytes([1, 1, 0, 0])),  # the earliest that suffices
        # Converters have profiles by this name, which are for the camera's own colours and not for sRGB.
        0xC614: _encode_text(f"{camera} linear sRGB".strip()),
        0xC61A: (SHORT, 3, struct.pack(f"{order}3H", 0, 0, 0)),  # black
        0xC61D: (LONG, 3, struct.pack(f"{order}3I", *3 * [65535])),  # white
        0xC621: (SIGNED_RATIONAL, 9, b"".join(struct.pack(f"{order}ii", round(n * 10**7), 10**7) for n in matrix)),
        0xC628: (RATIONAL, 3, struct.pack(f"{order}6I", *3 * [1, 1])),  # neutral
        0xC65A: (SHORT, 1, struct.pack(f"{order}H", _D65)),
    }
    return insert_into_tiff(tiff, metadata, added)


def _encode_text(text: str) -> tuple[int, int, bytes]:
    content = text.encode("ascii", "replace") + b"\0"
    return ASCII, len(content), content
