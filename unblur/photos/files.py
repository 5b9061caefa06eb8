"""Photographs on disk, through libvips: every format keeps its depth, its colours and what it says of itself.

Files are recognised by their content, so a wrong extension does no harm. They are read from memory, never by
name: libvips takes `[...]` in a name for options.
"""

import re
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyvips

from unblur.atomic import write_atomically
from unblur.errors import UnblurError
from unblur.photos.formats import LARGEST_SIDE_PX, RAW_SUFFIXES, WRITABLE_SUFFIXES
from unblur.photos.heic import decode_heic
from unblur.photos.heif_colours import is_display_p3
from unblur.photos.photo import Metadata, Photo, Pixels
from unblur.photos.tiff_exif import exif_of_tiff, tiff_with_exif
from unblur.photos.xmp_in_files import LARGEST_IN_JPEG_BYTES, jpeg_with_xmp, png_with_xmp

MAX_PIXELS = 1_000_000_000
"""Larger pictures are refused before memory is asked for: they are damaged headers, or bombs."""

JPEG_QUALITY = 95
"""Without chroma subsampling: a restored photograph must not lose again what it just regained."""
WEBP_QUALITY = 95
AVIF_QUALITY = 90

_LOADERS = {"jpegload", "pngload", "webpload", "tiffload", "heifload"}
_BLOCKS = {"exif": "exif-data", "xmp": "xmp-data", "icc": "icc-profile-data", "iptc": "iptc-data"}


def read_photo(path: str | Path) -> Photo:
    """The photograph in `path`, turned upright. Raises UnblurError saying why it cannot be restored."""
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UnblurError(f"{path} cannot be read: {error.strerror or error}.") from error
    if not data:
        raise UnblurError(f"{path} is empty; get the photograph again from its origin.")
    if path.suffix.lower() in RAW_SUFFIXES:
        raise UnblurError(f"{path} is a raw file; develop it, and restore what your raw converter exports as TIFF.")
    try:
        image = pyvips.Image.new_from_buffer(data, "", fail_on="error")
        loader = image.get("vips-loader").removesuffix("_buffer")
        _refuse_what_is_no_photograph(path, image, loader)
        # libvips shows an animated PNG as its first picture; the chunk that announces it comes before the pixels.
        if loader == "pngload" and b"acTL" in data[: data.find(b"IDAT")]:
            raise UnblurError(f"{path} is an animation; extract the picture to restore.")
        metadata = Metadata(**{name: _block(image, field) for name, field in _BLOCKS.items()})
        if loader == "tiffload":
            metadata = replace(metadata, exif=exif_of_tiff(data))
        is_heif = loader == "heifload"
        if is_heif and metadata.icc is None and is_display_p3(path, data):
            metadata = replace(metadata, icc=bytes(pyvips.Image.profile_load("p3")))
        is_heic = is_heif and image.get("heif-compression") != "av1"
        pixels = decode_heic(path, data) if is_heic else _upright(image)
    except pyvips.Error as error:
        raise UnblurError(f"{path} {_what_is_wrong(error)}") from error
    if pixels.shape[2] in (2, 4):
        return Photo(
            pixels=np.ascontiguousarray(pixels[:, :, :-1]),
            alpha=np.ascontiguousarray(pixels[:, :, -1]),
            metadata=metadata,
        )
    return Photo(pixels=pixels, metadata=metadata)


def shortest_side_px(path: Path) -> int:
    """The smaller of width and height of a photograph, from its header alone. Raises UnblurError if it has none."""
    try:
        # A source, because libvips takes `[...]` in a plain name for options.
        image = pyvips.Image.new_from_source(pyvips.Source.new_from_file(str(path)), "")
    except pyvips.Error as error:
        raise UnblurError(f"{path} {_what_is_wrong(error)}") from error
    side_px: int = min(image.width, image.height)
    return side_px


def write_photo(photo: Photo, path: str | Path) -> None:
    """Write `photo` in the format that the suffix of `path` names, atomically.

    JPEG and WebP hold 8 bits, so 16 are rounded; AVIF holds 12. Raises UnblurError when `photo` is not a Photo, the
    format cannot hold it (transparency or very long XMP in JPEG, too many pixels), or the folder or disk refuses the
    file.
    """
    path = Path(path)
    if not isinstance(photo, Photo):
        raise UnblurError(
            f"{path} was not written, because a {type(photo).__name__} is not a Photo; give what read_photo returns, "
            "or Photo(pixels=array) with an 8 or 16 bit array (height, width, channels)."
        )
    refuse_what_the_format_cannot_hold(photo, path)
    try:
        data = _encode(photo, path.suffix.lower())
    except pyvips.Error as error:
        raise UnblurError(f"{path} could not be encoded: {_first_line(error)}.") from error
    try:
        write_atomically(path, data)
    except OSError as error:
        raise UnblurError(f"{path} cannot be written: {error.strerror or error}.") from error


def refuse_what_the_format_cannot_hold(photo: Photo, path: Path) -> None:
    """Raises UnblurError when `write_photo` would, because of the format that the suffix of `path` names."""
    suffix = path.suffix.lower()
    if suffix not in WRITABLE_SUFFIXES:
        raise UnblurError(
            f"{path} has no suffix of a photograph that can be written; use {', '.join(sorted(WRITABLE_SUFFIXES))}."
        )
    largest_px = LARGEST_SIDE_PX.get(suffix)
    if largest_px is not None and max(photo.height, photo.width) > largest_px:
        raise UnblurError(
            f"{path}: {suffix} holds at most {largest_px} pixels a side, "
            f"not {photo.width} x {photo.height}; write .png or .tif instead."
        )
    if photo.alpha is not None and suffix in (".jpg", ".jpeg"):
        raise UnblurError(f"{path}: JPEG cannot hold the transparency of this photograph; write .png instead.")
    xmp_bytes = len(photo.metadata.xmp or b"")
    if xmp_bytes > LARGEST_IN_JPEG_BYTES and suffix in (".jpg", ".jpeg"):
        raise UnblurError(
            f"{path}: JPEG cannot hold the {xmp_bytes:,} bytes of XMP of this photograph, {LARGEST_IN_JPEG_BYTES:,} at "
            "most; write .png or .tif instead."
        )


def encode_jpeg(pixels: Pixels, quality: int, subsample_chroma: bool = True) -> bytes:
    """(H, W, 3) uint8 as a JPEG file, the same bytes every time."""
    mode = "on" if subsample_chroma else "off"
    data: bytes = _to_vips(pixels).jpegsave_buffer(Q=quality, subsample_mode=mode)
    return data


def decode_jpeg(data: bytes) -> Pixels:
    """The pixels of a JPEG file, (H, W, 3) uint8."""
    pixels: Pixels = pyvips.Image.jpegload_buffer(data).numpy()
    return pixels


def encode_png(pixels: Pixels) -> bytes:
    """(H, W, 1 or 3) uint8 as a PNG file, the same bytes every time."""
    data: bytes = _to_vips(pixels).pngsave_buffer()
    return data


def decode_png(data: bytes) -> Pixels:
    """The pixels of a PNG file, (H, W, 1 or 3) uint8. Raises UnblurError when the data are damaged."""
    try:
        # Without this, libvips gives back what it could read of a damaged file.
        pixels: Pixels = pyvips.Image.pngload_buffer(data, fail_on="truncated").numpy()
    except pyvips.Error as error:
        raise UnblurError(f"The data are not a PNG file: {_first_line(error)}.") from error
    return pixels if pixels.ndim == 3 else pixels[:, :, None]


def _refuse_what_is_no_photograph(path: Path, image: Any, loader: str) -> None:
    if loader not in _LOADERS:
        kind = loader.removesuffix("load").upper()
        raise UnblurError(f"{path} is a {kind} file; give a JPEG, PNG, WebP, TIFF, AVIF or HEIC photograph.")
    pages = image.get("n-pages") if image.get_typeof("n-pages") else 1
    if pages > 1:
        raise UnblurError(f"{path} holds {pages} pictures (an animation or pages); extract the one to restore.")
    if image.width * image.height > MAX_PIXELS:
        raise UnblurError(
            f"{path} claims {image.width} x {image.height} pixels, more than {MAX_PIXELS:,}; cut it into parts first."
        )
    if image.interpretation == "cmyk":
        raise UnblurError(f"{path} is a CMYK (print) picture; convert it to RGB first.")
    if image.interpretation not in ("b-w", "grey16", "srgb", "rgb16", "rgb") or image.bands > 4:
        raise UnblurError(
            f"{path} holds {image.bands} channels of {image.interpretation} colour; convert it to RGB first."
        )
    if image.format not in ("uchar", "ushort"):
        raise UnblurError(f"{path} stores its pixels as {image.format}; convert it to 8 or 16 bits a channel first.")


def _upright(image: Any) -> Pixels:
    upright = image.autorot()
    dtype = np.uint8 if upright.format == "uchar" else np.uint16
    return np.frombuffer(upright.write_to_memory(), dtype).reshape(upright.height, upright.width, upright.bands)


def _block(image: Any, field: str) -> bytes | None:
    if not image.get_typeof(field):
        return None
    data = bytes(image.get(field))
    return (_without_thumbnail(data) if field == "exif-data" else data) or None


def _without_thumbnail(exif: bytes) -> bytes:
    """Cut the link from the first directory of the EXIF block to the second, which describes the thumbnail."""
    order = {b"II": "<", b"MM": ">"}.get(exif[6:8])
    try:
        first = 6 + struct.unpack_from(f"{order}I", exif, 10)[0]
        link = first + 2 + 12 * struct.unpack_from(f"{order}H", exif, first)[0]
        struct.unpack_from(f"{order}I", exif, link)
    except struct.error:
        return exif  # Not a directory that any reader could follow either.
    return exif[:link] + bytes(4) + exif[link + 4 :]


def _encode(photo: Photo, suffix: str) -> bytes:
    bands = photo.pixels if photo.alpha is None else np.dstack([photo.pixels, photo.alpha])
    if suffix in (".jpg", ".jpeg", ".webp") and photo.bit_depth == 16:
        bands = ((bands.astype(np.uint32) + 128) // 257).astype(np.uint8)
    image = _to_vips(bands)
    xmp = None if photo.metadata.xmp is None else _upright_xmp(photo.metadata.xmp)
    through_libvips = replace(photo.metadata, xmp=None if suffix in (".jpg", ".jpeg", ".png") else xmp)
    for name, field in _BLOCKS.items():
        block = getattr(through_libvips, name)
        if block is not None:
            image.set_type(pyvips.GValue.blob_type, field, block)
    # The pixels are upright already; libvips writes this into the EXIF block when it saves.
    image.set_type(pyvips.GValue.gint_type, "orientation", 1)
    match suffix:
        case ".jpg" | ".jpeg":
            data = image.jpegsave_buffer(Q=JPEG_QUALITY, subsample_mode="off", optimize_coding=True)
            data = jpeg_with_xmp(bytes(data), xmp)
        case ".png":
            data = image.pngsave_buffer(compression=6)
            data = png_with_xmp(bytes(data), xmp)
        case ".webp":
            data = image.webpsave_buffer(Q=WEBP_QUALITY, smart_subsample=True)
        case ".tif" | ".tiff":
            data = image.tiffsave_buffer(compression="deflate", predictor="horizontal")
            data = tiff_with_exif(bytes(data), photo.metadata)
        case _:
            bits = 8 if photo.bit_depth == 8 else 12
            data = image.heifsave_buffer(
                Q=AVIF_QUALITY, compression="av1", bitdepth=bits, subsample_mode="off", effort=3
            )
    return bytes(data)


def _to_vips(pixels: Pixels) -> Any:
    height, width, bands = pixels.shape
    kind = "uchar" if pixels.dtype == np.uint8 else "ushort"
    colours = {("uchar", 1): "b-w", ("ushort", 1): "grey16", ("uchar", 3): "srgb", ("ushort", 3): "rgb16"}
    data = np.ascontiguousarray(pixels).data
    image = pyvips.Image.new_from_memory(data, width, height, bands, kind)
    return image.copy(interpretation=colours[kind, bands - 1 + bands % 2])


def _upright_xmp(xmp: bytes) -> bytes:
    """XMP repeats the orientation; viewers that believe it would turn the upright pixels again."""
    attribute = re.sub(rb'(tiff:Orientation\s*=\s*["\'])\d(["\'])', rb"\g<1>1\g<2>", xmp)
    return re.sub(rb"(<tiff:Orientation>)\s*\d\s*(</tiff:Orientation>)", rb"\g<1>1\g<2>", attribute)


def _what_is_wrong(error: pyvips.Error) -> str:
    text = str(error)
    if "known format" in text or "not a known" in text:
        return "is not a photograph that can be read; give a JPEG, PNG, WebP, TIFF, AVIF or HEIC file."
    return f"is damaged or cut short ({_first_line(error)}); get it again from its origin."


def _first_line(error: pyvips.Error) -> str:
    lines = [line.strip() for line in str(error.detail or error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else "libvips gave no reason"
