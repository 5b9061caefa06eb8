"""Conversions to and from libvips that reading and writing share."""

import re
from typing import Any

import numpy as np
import pyvips

from unblur.photos.photo import Pixels

DECODER_ERRORS = (pyvips.Error, UnicodeDecodeError)
"""Exceptions of pyvips; the second where libvips quotes a damaged file's bytes in its reason."""

JPEG_XL_ADVICE = "install libvips 8.15 or later, built with libjxl, and run: pip uninstall pyvips-binary"
"""Advice how to get JPEG XL. Without pyvips-binary, pyvips loads the libvips of the system."""


_PROBE_LEVELS = 6
_SAME_LAB = 0.5
"""The difference in CIELAB below which two colours look the same."""


def can_read_jpeg_xl() -> bool:
    """Return whether this libvips decodes JPEG XL, which that of the package pyvips-binary does not."""
    return bool(pyvips.type_find("VipsOperation", "jxlload_buffer"))


def can_write_jpeg_xl() -> bool:
    """Return whether this libvips encodes JPEG XL."""
    return bool(pyvips.type_find("VipsOperation", "jxlsave_buffer"))


def load_display_p3() -> bytes:
    """Return the ICC profile of Display P3."""
    return bytes(pyvips.Image.profile_load("p3"))


def find_same_colours(image: Any) -> bytes | None:
    """Return libvips's profile of sRGB or Display P3, for grey of sRGB's grey, if that of `image` has the same colours.

    None for any other profile. One for another number of channels, and one that nobody can read, counts as sRGB.
    """
    channels = 1 if image.bands <= 2 else 3
    levels = np.linspace(0, 255, _PROBE_LEVELS).round().astype(np.uint8)
    probe = to_vips(np.stack(np.meshgrid(*channels * [levels]), axis=-1).reshape(_PROBE_LEVELS, -1, channels))
    own = _read_lab(probe, bytes(image.get("icc-profile-data")))
    if own is None:
        return None
    for name in ("srgb", "p3") if channels == 3 else ("sgrey",):
        profile = bytes(pyvips.Image.profile_load(name))
        standard = _read_lab(probe, profile)
        if standard is not None and np.abs(own - standard).max() < _SAME_LAB:
            return profile
    return None


def _read_lab(probe: Any, profile: bytes) -> Pixels | None:
    """Return the CIELAB colours of `probe` by a profile; None where the profile cannot be read."""
    described = probe.copy()
    described.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    try:
        lab: Pixels = described.icc_import(embedded=True, pcs="lab", intent="relative").numpy()
    except DECODER_ERRORS:
        return None
    return lab


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
