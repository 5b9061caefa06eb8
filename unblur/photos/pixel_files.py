"""Encode and decode bare pixels as JPEG and PNG files in memory, without metadata."""

import pyvips

from unblur.errors import UnblurError
from unblur.photos.libvips import DECODER_ERRORS, read_reason, to_vips
from unblur.photos.photo import Pixels


def encode_jpeg(pixels: Pixels, quality: int, subsample_chroma: bool = True) -> bytes:
    """Encode (H, W, 3) uint8 as a JPEG file, the same bytes every time."""
    mode = "on" if subsample_chroma else "off"
    data: bytes = to_vips(pixels).jpegsave_buffer(Q=quality, subsample_mode=mode)
    return data


def decode_jpeg(data: bytes) -> Pixels:
    """Decode the pixels of a JPEG file, (H, W, 3) uint8."""
    pixels: Pixels = pyvips.Image.jpegload_buffer(data).numpy()
    return pixels


def encode_png(pixels: Pixels) -> bytes:
    """Encode (H, W, 1 or 3) uint8 as a PNG file, the same bytes every time."""
    data: bytes = to_vips(pixels).pngsave_buffer()
    return data


def decode_png(data: bytes) -> Pixels:
    """Decode the pixels of a PNG file, (H, W, 1 or 3) uint8. Raises UnblurError when the data are damaged."""
    try:
        # Without this, libvips gives back what it could read of a damaged file.
        pixels: Pixels = pyvips.Image.pngload_buffer(data, fail_on="truncated").numpy()
    except DECODER_ERRORS as error:
        raise UnblurError(f"The data are not a PNG file: {read_reason(error)}.") from error
    return pixels if pixels.ndim == 3 else pixels[:, :, None]
