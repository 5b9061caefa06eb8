"""Numbers out of MATLAB files, the form in which Levin's and part of Koehler's data are given away.

Reads what the two sets need of "MAT-File Format" (The MathWorks), level 5: real numeric arrays, compressed or not.
SciPy reads far more, but is not a dependency of this package.
"""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unblur.errors import UnblurError
from unblur.regular_files import read_regular

_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = ("", "i1", "u1", "i2", "u2", "i4", "u4", "f4", "", "f8", "", "", "i8", "u8")
"""NumPy's names for the kinds of numbers on disk, by their number in the format."""
_NUMERIC_CLASSES = range(6, 16)
"""Kinds of arrays: double, single and the integers; the others are cells, structs, text and sparse arrays."""


def read_variable(path: Path, name: str) -> NDArray[Any]:
    """Return the array that `path` calls `name`. Raises UnblurError when it cannot be had."""
    try:
        data = read_regular(path)
    except OSError as error:
        raise UnblurError(f"{path} cannot be read: {error.strerror or error}.") from error
    if data[:10] != b"MATLAB 5.0" or data[126:128] not in (b"IM", b"MI"):
        raise UnblurError(f"{path} is not a MATLAB file of level 5; save it again in MATLAB with `save -v7`.")
    order = "<" if data[126:128] == b"IM" else ">"
    names = []
    try:
        for kind, body in _read_elements(memoryview(data)[128:], order):
            if kind == _MATRIX:
                found, array = _read_matrix(body, order, name)
                if array is not None:
                    return array
                names.append(found)
    except (struct.error, zlib.error, ValueError, TypeError, IndexError, StopIteration) as error:
        raise UnblurError(f"{path} is damaged or cut short ({error}); get it again from its origin.") from error
    raise UnblurError(f'{path} holds no array of numbers called "{name}", only {", ".join(names) or "nothing"}.')


def _read_elements(data: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """Yield the kind and the decompressed content of each element in `data`."""
    at = 0
    while at < len(data):
        kind, size = struct.unpack_from(f"{order}II", data, at)
        if kind >> 16:
            # Four bytes or less stand within the tag itself.
            kind, size = kind & 0xFFFF, kind >> 16
            yield kind, data[at + 4 : at + 4 + size]
            at += 8
            continue
        body = data[at + 8 : at + 8 + size]
        if len(body) < size:
            raise ValueError(f"{size} bytes announced, {len(body)} there")
        if kind == _COMPRESSED:
            yield from _read_elements(memoryview(zlib.decompress(body)), order)
            at += 8 + size
        else:
            yield kind, body
            at += 8 + size + -size % 8


def _read_matrix(body: memoryview, order: str, wanted: str) -> tuple[str, NDArray[Any] | None]:
    """Return the name of an array and, if it is the one wanted, its numbers."""
    parts = _read_elements(body, order)
    flags, shape, label = next(parts)[1], next(parts)[1], next(parts)[1]
    name = bytes(label).decode("ascii", "replace")
    if name != wanted or struct.unpack_from(f"{order}I", flags)[0] & 0xFF not in _NUMERIC_CLASSES:
        return name, None
    sides = struct.unpack(f"{order}{len(shape) // 4}i", shape)
    kind, numbers = next(parts)
    array = np.frombuffer(numbers, f"{order}{_NUMBERS[kind]}")
    return name, array.reshape(sides, order="F")
