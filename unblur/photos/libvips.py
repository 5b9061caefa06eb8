"""Conversions to and from libvips that reading and writing share."""

import re
from typing import Any

import numpy as np
import pyvips

from unblur.photos.photo import Pixels

DECODER_ERRORS = (pyvips.Error, UnicodeDecodeError)
"""Exceptions of pyvips; the second where libvips quotes a damaged file's bytes in its reason."""


def load_display_p3() -> bytes:
    """Return the ICC profile of Display P3."""
    return bytes(pyvips.Image.profile_load("p3"))


def read_block(image: Any, field: str) -> bytes | None:
    """Return a block of metadata, such as "xmp-data", of a libvips image; None without one, or with an empty one."""
    return (bytes(image.get(field)) or None) if image.get_typeof(field) else None


def to_vips(pixels: Pixels) -> Any:
    """Return (H, W, C) uint8 or uint16, of 1 to 4 channels, as a libvips image that shares their memory."""
    height, width, bands = pixels.shape
    kind = "uchar" if pixels.dtype == np.uint8 else "ushort"
    colours = {("uchar", 1): "b-w", ("ushort", 1): "grey16", ("uchar", 3): "srgb", ("ushort", 3): "rgb16"}
    data = np.ascontiguousarray(pixels).data
    image = pyvips.Image.new_from_memory(data, width, height, bands, kind)
    return image.copy(interpretation=colours[kind, bands - 1 + bands % 2])


def read_reason(error: Exception) -> str:
    """Return the reason that libvips gave for an exception of pyvips, without a full stop."""
    lines = [line.strip() for line in str(getattr(error, "detail", "")).splitlines() if line.strip()]
    # Readers of HEIF look behind the end of every file.
    lines = [line for line in lines if "bad seek" not in line]
    # What pyvips says when libvips says nothing.
    if not lines or lines[0].startswith("unable to "):
        return "the decoder gave no reason"
    # Without the name of the part of libvips that says it.
    return re.sub(r"^[A-Za-z0-9_]+: ", "", lines[0]).rstrip(".")
