"""Write photographs through libvips, in the format that the suffix names, with their bit depth, colours and metadata.

libvips encodes pixels and profiles; EXIF, IPTC, resolutions and texts are inserted into its files by modules of our
own, because libvips rewrites them and invents what is missing.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyvips

from unblur.atomic import write_atomically
from unblur.errors import UnblurError
from unblur.photos import avif_file, dng_file, exif_block, jpeg_file, xmp_packet
from unblur.photos.color import decode_16_bits
from unblur.photos.dng_file import convert_to_dng
from unblur.photos.exif_block import read_exif_resolution
from unblur.photos.formats import LARGEST_SIDE_PX, OUTPUT_SUFFIXES
from unblur.photos.iptc import LARGEST_IN_JPEG_BYTES
from unblur.photos.jpeg_file import insert_into_jpeg, select_comments
from unblur.photos.jxl_file import insert_into_jxl
from unblur.photos.libvips import (
    DECODER_ERRORS,
    JPEG_XL_ADVICE,
    can_write_jpeg_xl,
    find_same_colours,
    read_block,
    read_reason,
    to_vips,
)
from unblur.photos.photo import Photo, Text, round_to_8_bits
from unblur.photos.png_file import insert_into_png
from unblur.photos.tiff_directories import ASCII, EXIF_HEADER
from unblur.photos.tiff_exif import (
    insert_into_tiff,
    limit_exif,
)
from unblur.photos.webp_file import insert_into_webp

DEFAULT_QUALITIES = {".jpg": 95, ".jpeg": 95, ".webp": 95, ".avif": 90, ".jxl": 95}
"""Qualities of the lossy formats, from 1 to 100. JPEG and AVIF are written without chroma subsampling: a restored
photograph must not lose again what it just regained."""

HIGHEST_QUALITY = 100

_LARGEST_EXIF_BYTES = {
    ".jpg": jpeg_file.LARGEST_EXIF_BYTES,
    ".jpeg": jpeg_file.LARGEST_EXIF_BYTES,
    ".avif": avif_file.LARGEST_EXIF_BYTES,
}

_LARGEST_IPTC_BYTES = {
    ".jpg": LARGEST_IN_JPEG_BYTES,
    ".jpeg": LARGEST_IN_JPEG_BYTES,
    ".tif": 2**31,
    ".tiff": 2**31,
    ".dng": 2**31,
}

_TEXTS_IN_EXIF = {"Description": 0x010E, "Title": 0x010E, "Author": 0x013B, "Copyright": 0x8298}
"""Texts of PNG and the tags of EXIF for the same."""

_JXL_EFFORT = 3
"""The effort of libjxl, 1 to 9. At 3, a photograph of 24 megapixels takes 6 seconds; 5 takes twice as long for files
that are 0.2 dB better."""

_KEEP_EXIF, _KEEP_XMP, _KEEP_ICC = 1, 2, 8
"""Flags of what libvips writes besides pixels, `VipsForeignKeep`."""


def write_photo(photo: Photo, path: str | Path, quality: int | None = None) -> None:
    """Write `photo` in the format that the suffix of `path` names, atomically.

    JPEG and WebP hold 8 bits, so 16 are rounded; AVIF holds 12. DNG holds linear light, for raw files only. JPEG XL
    needs a libvips that has it. Metadata that the format does not hold are left out; `list_left_behind` names them.
    `quality`, from 1 to 100, is that of JPEG, WebP, AVIF and JPEG XL; by default 90 for AVIF and 95 for the others.
    Raises UnblurError when `photo` is not a Photo, the quality is out of range, the format cannot hold the photograph
    (transparency or very long XMP in JPEG, too many pixels), or the folder or disk refuses the file.
    """
    path = Path(path)
    if not isinstance(photo, Photo):
        raise UnblurError(
            f"{path} was not written, because a {type(photo).__name__} is not a Photo; give what read_photo returns, "
            "or Photo(pixels=array) with an 8 or 16 bit array (height, width, channels)."
        )
    write_encoded(encode_photo(photo, path, quality), path)


def write_encoded(data: bytes, path: Path) -> None:
    """Write the result of `encode_photo` atomically. Raises UnblurError when the folder or disk refuses the file."""
    try:
        write_atomically(path, data)
    except OSError as error:
        raise UnblurError(f"{path} cannot be written: {error.strerror or error}.") from error


def encode_photo(photo: Photo, path: Path, quality: int | None = None) -> bytes:
    """Return the content of the file `path`, in the format that its suffix names, without writing it.

    Raises UnblurError as `write_photo` does.
    """
    check_format(photo, path)
    check_quality(quality)
    try:
        return _encode(photo, path.suffix.lower(), quality)
    except DECODER_ERRORS as error:
        raise UnblurError(f"{path} could not be encoded: {read_reason(error)}.") from error


def check_quality(quality: int | None) -> None:
    """Raise UnblurError for a quality that is neither None nor from 1 to 100."""
    if quality is not None and not 1 <= quality <= HIGHEST_QUALITY:
        raise UnblurError(f"A quality of {quality} does not exist; use a number from 1 to {HIGHEST_QUALITY}.")


def check_format(photo: Photo, path: Path) -> None:
    """Raise UnblurError if `write_photo` would, because of the format that the suffix of `path` names."""
    suffix = path.suffix.lower()
    if suffix not in OUTPUT_SUFFIXES:
        raise UnblurError(
            f"{path} has no suffix of a photograph that can be written; use {', '.join(sorted(OUTPUT_SUFFIXES))}."
        )
    if suffix == ".dng":
        _check_dng(photo, path)
    if suffix == ".jxl" and not can_write_jpeg_xl():
        raise UnblurError(
            f"{path}: the libvips that pip installs cannot write JPEG XL; write .avif instead, or {JPEG_XL_ADVICE}."
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
    if xmp_bytes > jpeg_file.LARGEST_XMP_BYTES and suffix in (".jpg", ".jpeg"):
        raise UnblurError(
            f"{path}: JPEG cannot hold the {xmp_bytes:,} bytes of XMP of this photograph, "
            f"{jpeg_file.LARGEST_XMP_BYTES:,} at most; write .png or .tif instead."
        )


def _check_dng(photo: Photo, path: Path) -> None:
    if not photo.metadata.was_raw or photo.bit_depth != 16 or photo.alpha is not None:
        raise UnblurError(
            f"{path}: only a raw file of a camera becomes a DNG file, and this photograph was none; write .tif instead."
        )
    if photo.width * photo.height > dng_file.MOST_PIXELS:
        raise UnblurError(
            f"{path}: DNG holds at most {dng_file.MOST_PIXELS:,} pixels, not {photo.width} x {photo.height}; "
            "write .tif instead."
        )


def list_left_behind(photo: Photo, path: Path) -> tuple[str, ...]:
    """Return the contents of the photograph's file that the file `path` does not hold, such as "the video"."""
    suffix = path.suffix.lower()
    names = list(photo.metadata.left_behind)
    if len(photo.metadata.exif or b"") > _LARGEST_EXIF_BYTES.get(suffix, 2**32):
        names.append("the largest values of EXIF")
    if photo.metadata.icc is not None and _select_icc(photo, suffix) is None:
        names.append("the colour profile")
    if photo.metadata.iptc is not None and _select_iptc(photo, suffix) is None:
        names.append("the IPTC block")
    lost = [text for text in photo.metadata.texts if text not in _select_texts(photo.metadata.texts, suffix)]
    names += [f'the text "{text.keyword}"' for text in lost]
    return tuple(dict.fromkeys(names))


def _encode(photo: Photo, suffix: str, quality: int | None) -> bytes:
    bands = photo.pixels if photo.alpha is None else np.dstack([photo.pixels, photo.alpha])
    if suffix in (".jpg", ".jpeg", ".webp"):
        bands = round_to_8_bits(bands)
    image = to_vips(bands)
    metadata = photo.metadata
    xmp = None if metadata.xmp is None else xmp_packet.set_upright(metadata.xmp)
    exif = _select_exif(photo, suffix)
    block = None if exif is None else exif.removeprefix(EXIF_HEADER)
    resolution = metadata.resolution or read_exif_resolution(exif)
    texts = tuple(_select_texts(metadata.texts, suffix))
    lossy_quality = DEFAULT_QUALITIES.get(suffix) if quality is None else quality
    for field, content in (("icc-profile-data", _select_icc(photo, suffix)), ("xmp-data", xmp)):
        if content is not None:
            image.set_type(pyvips.GValue.blob_type, field, content)
    match suffix:
        case ".jpg" | ".jpeg":
            jpeg = image.jpegsave_buffer(Q=lossy_quality, subsample_mode="off", optimize_coding=True, keep=_KEEP_ICC)
            return insert_into_jpeg(
                bytes(jpeg), exif=exif, xmp=xmp, iptc=_select_iptc(photo, suffix), resolution=resolution, texts=texts
            )
        case ".png":
            png = image.pngsave_buffer(compression=6, keep=0)
            return insert_into_png(
                bytes(png), icc=metadata.icc, exif=block, xmp=xmp, resolution=resolution, texts=texts
            )
        case ".webp":
            webp = image.webpsave_buffer(Q=lossy_quality, smart_subsample=True, keep=_KEEP_ICC)
            return insert_into_webp(bytes(webp), width=photo.width, height=photo.height, exif=block, xmp=xmp)
        case ".tif" | ".tiff":
            tiff = image.tiffsave_buffer(compression="deflate", predictor="horizontal", keep=_KEEP_ICC | _KEEP_XMP)
            return insert_into_tiff(bytes(tiff), replace(metadata, exif=exif))
        case ".jxl":
            return insert_into_jxl(_encode_jxl(image, lossy_quality), exif=block, xmp=xmp)
        case ".dng":
            # Cameras without colours have one channel; linear DNG is read best with three.
            light = to_vips(np.broadcast_to(decode_16_bits(photo.pixels), (photo.height, photo.width, 3)))
            if xmp is not None:
                light.set_type(pyvips.GValue.blob_type, "xmp-data", xmp)
            # Readers expect 16 bits uncompressed, or as lossless JPEG, which libtiff does not write.
            tiff = light.tiffsave_buffer(compression="none", keep=_KEEP_XMP)
            return convert_to_dng(bytes(tiff), replace(metadata, exif=exif))
        case _:
            if exif is not None:
                image.set_type(pyvips.GValue.blob_type, "exif-data", avif_file.make_placeholder(exif))
            avif = image.heifsave_buffer(
                Q=lossy_quality,
                compression="av1",
                bitdepth=8 if photo.bit_depth == 8 else 12,
                subsample_mode="off",
                effort=3,
                keep=_KEEP_ICC | _KEEP_XMP | (0 if exif is None else _KEEP_EXIF),
            )
            if exif is None:
                return bytes(avif)
            placed = read_block(pyvips.Image.heifload_buffer(avif), "exif-data") or b""
            return avif_file.insert_exif(bytes(avif), placed, exif)


def _encode_jxl(image: Any, quality: int | None) -> bytes:
    """Encode the pixels as JPEG XL, with the profile of the image.

    Lossy where the colours are those of sRGB or Display P3, and else without loss: decoders apply few other profiles to
    lossy files and return linear light instead, and libjxl 0.7 ends the whole program where a lossy file is to have a
    damaged profile.
    """
    colours = image.copy()
    is_lossless = False
    if image.get_typeof("icc-profile-data"):
        profile = find_same_colours(image)
        is_lossless = profile is None
        if profile is not None:
            colours.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    options: dict[str, Any] = {"lossless": True} if is_lossless else {"Q": quality}
    return bytes(colours.jxlsave_buffer(effort=_JXL_EFFORT, keep=_KEEP_ICC, **options))


def _select_exif(photo: Photo, suffix: str) -> bytes | None:
    """Return the EXIF block for a file of this suffix, with entries that its format has no other place for, or None."""
    metadata = photo.metadata
    exif = None if metadata.exif is None else exif_block.set_upright(metadata.exif, photo.width, photo.height)
    present = exif_block.list_tags(exif)
    described = {
        tag: (ASCII, len(content), content)
        for text in metadata.texts
        if suffix != ".png" and (tag := _TEXTS_IN_EXIF.get(text.keyword)) is not None and tag not in present
        for content in [text.text.encode("utf-8", "replace") + b"\0"]
    }
    if described:
        exif = exif_block.with_entries(exif, described)
    if metadata.resolution is not None and suffix in (".webp", ".avif", ".jxl"):
        exif = exif_block.add_resolution(exif, metadata.resolution)
    return None if exif is None else limit_exif(exif, _LARGEST_EXIF_BYTES.get(suffix, 2**32))


def _select_icc(photo: Photo, suffix: str) -> bytes | None:
    """Return the colour profile for a file of this suffix; None if its format cannot hold it.

    libjxl does not read files with profiles that are neither of RGB nor of grey, such as damaged ones.
    """
    icc = photo.metadata.icc
    return None if icc is None or (suffix == ".jxl" and icc[16:20] not in (b"RGB ", b"GRAY")) else icc


def _select_iptc(photo: Photo, suffix: str) -> bytes | None:
    """Return the IPTC records for a file of this suffix; None if its format holds none, or not so many."""
    iptc = photo.metadata.iptc
    return iptc if len(iptc or b"") <= _LARGEST_IPTC_BYTES.get(suffix, 0) else None


def _select_texts(texts: tuple[Text, ...], suffix: str) -> list[Text]:
    """Return the texts that a file of this suffix holds, in EXIF or in a place of their own."""
    if suffix == ".png":
        return list(texts)
    in_exif = [text for text in texts if text.keyword in _TEXTS_IN_EXIF]
    return in_exif + (select_comments(texts) if suffix in (".jpg", ".jpeg") else [])
