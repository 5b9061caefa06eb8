"""ICC profiles made of primaries and a gamma, for photographs whose files state their colours in numbers alone.

Layout: ICC.1:2010 (profile version 4.3), sections 7 and 8: a matrix of colorants, adapted to the white of D50 by
Bradford's transform (annex E), and a curve that is a power.
"""

import struct

import numpy as np
from numpy.typing import NDArray

SRGB_CHROMATICITIES = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
"""x and y of white, red, green and blue."""

_D50 = np.array([0.96422, 1.0, 0.82521])
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def make_rgb_profile(chromaticities: tuple[float, ...], gamma: float) -> bytes:
    """Make a profile of these primaries (x and y of white, red, green, blue) with values light to the power 1 / gamma.

    Raises ValueError for primaries that span no colours.
    """
    colorants = _compute_colorants(chromaticities)
    curve = _encode_curve(gamma)
    tags = {
        b"rXYZ": _encode_xyz(colorants[:, 0]),
        b"gXYZ": _encode_xyz(colorants[:, 1]),
        b"bXYZ": _encode_xyz(colorants[:, 2]),
    }
    return _profile(b"RGB ", tags | {b"rTRC": curve, b"gTRC": curve, b"bTRC": curve})


def make_grey_profile(gamma: float) -> bytes:
    """Make a profile of grey values that are light to the power 1 / gamma."""
    return _profile(b"GRAY", {b"kTRC": _encode_curve(gamma)})


def _compute_colorants(chromaticities: tuple[float, ...]) -> NDArray[np.float64]:
    """Compute XYZ of red, green and blue under D50, one in each column."""
    points = np.array(chromaticities).reshape(4, 2)
    if (points[:, 1] <= 0).any() or (points > 2).any():
        raise ValueError(f"chromaticities {chromaticities} are not those of light")
    white, *primaries = (np.array([x / y, 1.0, (1 - x - y) / y]) for x, y in points)
    matrix = np.stack(primaries, axis=1)
    try:
        scaled = matrix * np.linalg.solve(matrix, white)
    except np.linalg.LinAlgError as error:
        raise ValueError(f"chromaticities {chromaticities} span no colours") from error
    cones = (_BRADFORD @ _D50) / (_BRADFORD @ white)
    adapted: NDArray[np.float64] = np.linalg.inv(_BRADFORD) @ np.diag(cones) @ _BRADFORD @ scaled
    if not np.isfinite(adapted).all() or np.abs(adapted).max() > 100:
        raise ValueError(f"chromaticities {chromaticities} span no colours")
    return adapted


def _profile(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    tags = {
        b"desc": _encode_text("Colours described by the file"),
        b"cprt": _encode_text("No copyright, use freely"),
        b"wtpt": _encode_xyz(_D50),
    } | tags
    place = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        table += name + struct.pack(">II", place + len(body), len(data))
        body += data + b"\0" * (-len(data) % 4)
    header = struct.pack(">I4sI4s4s4s", place + len(body), bytes(4), 0x04300000, b"mntr", space, b"XYZ ")
    header += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp") + bytes(28)
    illuminant = b"".join(_encode_fixed(value) for value in _D50)
    return (header + illuminant).ljust(128, b"\0") + table + body


def _encode_text(text: str) -> bytes:
    data = text.encode("utf-16-be")
    return b"mluc" + struct.pack(">IIIH2sII", 0, 1, 12, *struct.unpack(">H", b"en"), b"US", len(data), 28) + data


def _encode_xyz(values: NDArray[np.float64]) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(_encode_fixed(float(value)) for value in values)


def _encode_curve(gamma: float) -> bytes:
    """Encode a parametric curve of type 0: the power alone."""
    if not 0.01 <= gamma <= 100:
        raise ValueError(f"a gamma of {gamma} is not that of a photograph")
    return b"para" + struct.pack(">IHH", 0, 0, 0) + _encode_fixed(gamma)


def _encode_fixed(value: float) -> bytes:
    """Encode a number of 16 bits before the point and 16 behind it."""
    return struct.pack(">i", round(value * 65536))
