"""A tiny DNG: a Bayer mosaic (RGGB) of a gradient, with the tags that raw converters need."""

import struct
from pathlib import Path

import numpy as np

WHITE = 16383
_SHORT, _LONG, _RATIONAL, _SIGNED, _TEXT, _BYTE = 3, 4, 5, 10, 2, 1
_XYZ_TO_SRGB = (3.2405, -1.5371, -0.4985, -0.9693, 1.8760, 0.0416, 0.0556, -0.2040, 1.0572)


def make_dng(path: Path, *, width: int = 96, height: int = 64, orientation: int = 1, claims: int = 1) -> Path:
    """Write the file. The camera sees green twice as bright as red and blue; its header claims `claims` times as much.

    Red grows from left to right, green from top to bottom, and blue stays.
    """
    rows, columns = np.mgrid[:height, :width]
    mosaic = np.empty((height, width), np.uint16)
    mosaic[0::2, 0::2] = (500 + columns * 50)[0::2, 0::2]
    mosaic[0::2, 1::2] = (1000 + rows * 100)[0::2, 1::2]
    mosaic[1::2, 0::2] = (1000 + rows * 100)[1::2, 0::2]
    mosaic[1::2, 1::2] = 1500
    tags = {
        254: (_LONG, [0]),
        256: (_LONG, [width * claims]),
        257: (_LONG, [height * claims]),
        258: (_SHORT, [16]),
        259: (_SHORT, [1]),
        262: (_SHORT, [32803]),  # a mosaic
        271: (_TEXT, b"Maker\0"),
        272: (_TEXT, b"Model\0"),
        273: (_LONG, [0]),  # the place of the pixels, below
        274: (_SHORT, [orientation]),
        277: (_SHORT, [1]),
        278: (_LONG, [height * claims]),
        279: (_LONG, [2 * width * height * claims**2]),
        33421: (_SHORT, [2, 2]),
        33422: (_BYTE, bytes([0, 1, 1, 2])),
        33432: (_TEXT, b"Somebody\0"),  # copyright
        50706: (_BYTE, bytes([1, 4, 0, 0])),  # version of DNG
        50708: (_TEXT, b"Maker Model\0"),
        50714: (_SHORT, [0]),
        50717: (_LONG, [WHITE]),
        50721: (_SIGNED, _XYZ_TO_SRGB),
        50728: (_RATIONAL, [0.5, 1.0, 0.5]),  # neutral as the camera saw it
        50778: (_SHORT, [21]),  # D65
    }
    values = {tag: _bytes(kind, numbers) for tag, (kind, numbers) in tags.items()}
    first = 8 + 2 + 12 * len(tags) + 4
    pixels = first + sum(len(data) + len(data) % 2 for data in values.values() if len(data) > 4)
    values[273] = struct.pack("<I", pixels)
    table, rest = struct.pack("<H", len(tags)), b""
    for tag in sorted(tags):
        kind, data = tags[tag][0], values[tag]
        count = len(tags[tag][1])
        if len(data) > 4:
            table += struct.pack("<HHII", tag, kind, count, first + len(rest))
            rest += data + b"\0" * (len(data) % 2)
        else:
            table += struct.pack("<HHI", tag, kind, count) + data.ljust(4, b"\0")
    path.write_bytes(b"II*\0" + struct.pack("<I", 8) + table + bytes(4) + rest + mosaic.tobytes())
    return path


def _bytes(kind: int, numbers) -> bytes:
    if isinstance(numbers, bytes):
        return numbers
    if kind in (_RATIONAL, _SIGNED):
        return b"".join(struct.pack("<ii", round(number * 10_000), 10_000) for number in numbers)
    return struct.pack(f"<{len(numbers)}{'H' if kind == _SHORT else 'I'}", *numbers)
