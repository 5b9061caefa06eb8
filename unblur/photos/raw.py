"""Raw files of cameras, developed through rawpy (extra `raw`).

They are developed neutrally, to linear light of 16 bits: the camera's white balance, no automatic brightness, the
primaries of sRGB. The networks were trained on sRGB values and would see a much darker photograph in linear light, so
the curve of sRGB follows, with values of 16 bits again. These suffice: near black they are thirteen times finer than
those of linear light, and near white, where they are coarsest, 2.3 times coarser, which is still finer than the 14 bits
of a sensor. Results are written like this, or turned back to linear light and written as DNG.
"""

import struct
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from unblur.errors import UnblurError
from unblur.photos.color import encode_16_bits
from unblur.photos.jpeg_file import read_jpeg_contents
from unblur.photos.photo import Pixels
from unblur.photos.tiff_directories import find_entry, read_layout
from unblur.photos.tiff_exif import read_tiff_exif

BYTES_PER_PX = 16
"""Memory that developing takes: LibRaw's four channels of 16 bits, and the three of the result with a copy."""

_LINEAR = (1.0, 1.0)
"""Exponent and slope near black of the curve that LibRaw applies."""

_BRIGHTEST_IS_WHITE, _WHITE_AS_STATED = 0.75, 0.0
"""LibRaw's `adjust_maximum_thr`: by the first, its default, the brightest value becomes white if it lies above this
share of the range, because the range of many cameras is known roughly and clipped light would else be coloured."""

_TIFF_MARKS = (b"II*\0", b"MM\0*")
_DNG_VERSION = 0xC612


@dataclass(frozen=True, kw_only=True)
class RawFile:
    """A raw file whose header was read, and whose pixels were not developed."""

    width: int
    height: int
    """The size of the photograph, upright."""
    exif: bytes | None
    """The EXIF block of the file, or else of its preview."""
    states_white: bool
    """True for DNG, which says what value white has."""
    opened: Any
    """The file, opened by rawpy."""


def open_raw(path: Path, data: bytes) -> RawFile:
    """Read the header of a raw file. Raises UnblurError where rawpy is missing or does not know the file."""
    rawpy = _load_rawpy(path)
    try:
        opened = rawpy.imread(BytesIO(data))
        sizes = opened.sizes
    except rawpy.LibRawError as error:
        raise _describe_damage(path, error) from error
    # Bit 2 of the flip says that rows become columns.
    turned = bool(sizes.flip & 4)
    width, height = (sizes.iheight, sizes.iwidth) if turned else (sizes.iwidth, sizes.iheight)
    return RawFile(
        width=width,
        height=height,
        exif=_read_exif(rawpy, data, opened),
        states_white=_is_dng(data),
        opened=opened,
    )


def develop_raw(path: Path, raw: RawFile) -> Pixels:
    """Return the photograph in sRGB, upright. Shape: (H, W, 3) uint16. Raises UnblurError where the file is damaged."""
    rawpy = _load_rawpy(path)
    try:
        pixels = raw.opened.postprocess(
            use_camera_wb=True,
            no_auto_bright=True,
            output_bps=16,
            output_color=rawpy.ColorSpace.sRGB,
            gamma=_LINEAR,
            adjust_maximum_thr=_WHITE_AS_STATED if raw.states_white else _BRIGHTEST_IS_WHITE,
        )
    except rawpy.LibRawError as error:
        raise _describe_damage(path, error) from error
    pixels = np.ascontiguousarray(pixels)
    encode_16_bits(pixels)
    return pixels


def _load_rawpy(path: Path) -> ModuleType:
    try:
        import rawpy
    except ImportError as error:
        raise UnblurError(
            f"{path} is a raw file, which needs the package rawpy; run: pip install 'unblur[raw]' "
            "(or restore what your raw converter exports as TIFF)."
        ) from error
    return rawpy


def _read_exif(rawpy: ModuleType, data: bytes, opened: Any) -> bytes | None:
    if data[:4] in _TIFF_MARKS:
        return read_tiff_exif(data)[0]
    try:
        preview = opened.extract_thumb()
    except rawpy.LibRawError:
        return None
    return read_jpeg_contents(preview.data).exif if preview.format == rawpy.ThumbFormat.JPEG else None


def _is_dng(data: bytes) -> bool:
    with suppress(struct.error, ValueError):
        return find_entry(data, read_layout(data), _DNG_VERSION) is not None
    return False


def _describe_damage(path: Path, error: Exception) -> UnblurError:
    reason = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
    return UnblurError(
        f"{path} is damaged, or a raw file of a camera that this rawpy does not know ({reason}); "
        "get it again from its origin, or restore what your raw converter exports as TIFF."
    )
