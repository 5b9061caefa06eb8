"""Photographs on disk, through libvips: every format keeps its depth, its colours and what it says of itself.

Files are recognised by their content, so a wrong extension does no harm. They are read from memory, never by
name: libvips takes `[...]` in a name for options. libvips reads and writes pixels and profiles; EXIF, IPTC, resolutions
and texts go from file to file as they are, because libvips rewrites them and invents what is missing.
"""

import os
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyvips

from unblur.atomic import write_atomically
from unblur.errors import MemoryShortageError, TooManyPixelsError, UnblurError
from unblur.memory import free_memory
from unblur.photos import avif_file, exif_block, heif_file, jpeg_file, webp_file, xmp_packet
from unblur.photos.exif_block import read_exif_resolution
from unblur.photos.file_kinds import VipsKind
from unblur.photos.formats import LARGEST_SIDE_PX, WRITABLE_SUFFIXES
from unblur.photos.heic import decode_heic
from unblur.photos.heif_colours import is_display_p3, read_code_points
from unblur.photos.icc_profile import SRGB_CHROMATICITIES, make_grey_profile, make_rgb_profile
from unblur.photos.iptc import LARGEST_IN_JPEG_BYTES
from unblur.photos.jpeg_file import insert_into_jpeg, read_jpeg_contents, select_comments
from unblur.photos.opening import PhotoSource, check_kind, read_source
from unblur.photos.photo import Metadata, Photo, Pixels, Text, round_to_8_bits
from unblur.photos.png_file import PngContents, insert_into_png, read_png_contents
from unblur.photos.raw import BYTES_PER_PX as RAW_BYTES_PER_PX
from unblur.photos.raw import develop_raw, open_raw
from unblur.photos.tiff_directories import ASCII, EXIF_HEADER
from unblur.photos.tiff_exif import (
    insert_into_tiff,
    limit_exif,
    read_tiff_exif,
    read_tiff_iptc,
    read_tiff_resolution,
)
from unblur.photos.tiff_kinds import begins_with_thumbnail, describe_unreadable
from unblur.photos.webp_file import insert_into_webp

MAX_PIXELS = 1_000_000_000
"""Larger pictures are refused before memory is asked for: they are damaged headers, or bombs."""

LARGEST_EMPTY_PX, MOST_PX_PER_BYTE = 64_000_000, 100
"""Larger pictures have to hold something: at least one byte of the file for so many pixels. The strongest compression
of photographs needs one for some 20; of nothing at all, PNG needs one for 340 and WebP for millions."""

MEMORY_COPIES = 3
"""Copies of a photograph's pixels that are in memory at a time: its own, the restored ones, and those being written."""

DEFAULT_QUALITIES = {".jpg": 95, ".jpeg": 95, ".webp": 95, ".avif": 90}
"""Qualities of the lossy formats, from 1 to 100. JPEG and AVIF are written without chroma subsampling: a restored
photograph must not lose again what it just regained."""

HIGHEST_QUALITY = 100

_LARGEST_EXIF_BYTES = {
    ".jpg": jpeg_file.LARGEST_EXIF_BYTES,
    ".jpeg": jpeg_file.LARGEST_EXIF_BYTES,
    ".avif": avif_file.LARGEST_EXIF_BYTES,
}
_LARGEST_IPTC_BYTES = {".jpg": LARGEST_IN_JPEG_BYTES, ".jpeg": LARGEST_IN_JPEG_BYTES, ".tif": 2**31, ".tiff": 2**31}
_TEXTS_IN_EXIF = {"Description": 0x010E, "Title": 0x010E, "Author": 0x013B, "Copyright": 0x8298}
"""Texts of PNG and the tags of EXIF for the same."""

_DECODER_ERRORS = (pyvips.Error, UnicodeDecodeError)
"""Exceptions of pyvips; the second where libvips quotes a damaged file's bytes in its reason."""

_KEEP_EXIF, _KEEP_XMP, _KEEP_ICC = 1, 2, 8
"""Flags of what libvips writes besides pixels, `VipsForeignKeep`."""


@dataclass(frozen=True, kw_only=True)
class _Opened:
    """A file whose header was read, and whose pixels were not."""

    image: Any
    """The libvips image."""
    metadata: Metadata
    """All that the file says, in libvips's terms and in those of its own format."""
    orientation: int | None
    """Orientation of the image by EXIF; None where libvips knows better."""
    pictures: int
    rows: Callable[[], Any]
    """Another image, whose rows can be read one after the other, also those before damage."""
    missing_share_if_cut: float | None = None
    """Known for pictures whose rows all come at once; None for others."""


def read_photo(source: PhotoSource, *, most_pixels: int = MAX_PIXELS) -> Photo:
    """Read a photograph, turned upright, of at most `most_pixels` pixels.

    `source` is a path, the content of a file as bytes, or an open binary file. Other contents of the file, such as a
    video, are dropped, and named in `metadata.left_behind`. Raises UnblurError with the reason for files that cannot be
    read or restored.
    """
    path, data, kind = read_source(source)
    if kind == "TIFF" and not isinstance(source, (str, os.PathLike)) and begins_with_thumbnail(data):
        # The suffix alone distinguishes many raw files from TIFF files of their thumbnails.
        raise UnblurError(f"{path} seems to be a raw file, of which only the thumbnail can be read; give its path.")
    # Warnings about one file would else be quoted as the reason for another.
    pyvips.vips_lib.vips_error_clear()
    if kind == "RAW":
        return _read_raw(path, data, most_pixels)
    try:
        opened = _open(path, data, kind, most_pixels)
        _refuse_other_pictures(path, opened)
        image = opened.image
        bytes_per_px = MEMORY_COPIES * image.bands * (1 if image.format == "uchar" else 2)
        _refuse_too_large(path, (image.width, image.height), bytes_per_px, len(data), most_pixels)
        is_heic = kind == "HEIF" and opened.image.get("heif-compression") != "av1"
    except _DECODER_ERRORS as error:
        raise UnblurError(f"{path} {_describe_error(error, data, kind)}") from error
    metadata = _select_metadata(opened.metadata)
    pixels = decode_heic(path, data) if is_heic else _decode_upright(path, data, kind, opened)
    if pixels.shape[2] in (2, 4):
        return Photo(
            pixels=np.ascontiguousarray(pixels[:, :, :-1]),
            alpha=np.ascontiguousarray(pixels[:, :, -1]),
            metadata=metadata,
        )
    return Photo(pixels=pixels, metadata=metadata)


def shortest_side_px(path: Path) -> int:
    """Return the smaller of width and height of a photograph, from its header alone. Raises UnblurError without one."""
    check_kind(path)
    try:
        # A source, because libvips takes `[...]` in a plain name for options.
        image = pyvips.Image.new_from_source(pyvips.Source.new_from_file(str(path)), "")
    except _DECODER_ERRORS as error:
        raise UnblurError(f"{path} is damaged or cut short ({_first_line(error)}).") from error
    side_px: int = min(image.width, image.height)
    return side_px


def write_photo(photo: Photo, path: str | Path, quality: int | None = None) -> None:
    """Write `photo` in the format that the suffix of `path` names, atomically.

    JPEG and WebP hold 8 bits, so 16 are rounded; AVIF holds 12. Metadata that the format does not hold are left out;
    `left_behind` names them. `quality`, from 1 to 100, is that of JPEG, WebP and AVIF; by default 95, 95 and 90. Raises
    UnblurError when `photo` is not a Photo, the quality is out of range, the format cannot hold the photograph
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
    except _DECODER_ERRORS as error:
        raise UnblurError(f"{path} could not be encoded: {_first_line(error)}.") from error


def check_quality(quality: int | None) -> None:
    """Raise UnblurError for a quality that is neither None nor from 1 to 100."""
    if quality is not None and not 1 <= quality <= HIGHEST_QUALITY:
        raise UnblurError(f"A quality of {quality} does not exist; use a number from 1 to {HIGHEST_QUALITY}.")


def check_format(photo: Photo, path: Path) -> None:
    """Raise UnblurError if `write_photo` would, because of the format that the suffix of `path` names."""
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
    if xmp_bytes > jpeg_file.LARGEST_XMP_BYTES and suffix in (".jpg", ".jpeg"):
        raise UnblurError(
            f"{path}: JPEG cannot hold the {xmp_bytes:,} bytes of XMP of this photograph, "
            f"{jpeg_file.LARGEST_XMP_BYTES:,} at most; write .png or .tif instead."
        )


def left_behind(photo: Photo, path: Path) -> tuple[str, ...]:
    """Return the contents of the photograph's file that the file `path` does not hold, such as "the video"."""
    suffix = path.suffix.lower()
    names = list(photo.metadata.left_behind)
    if len(photo.metadata.exif or b"") > _LARGEST_EXIF_BYTES.get(suffix, 2**32):
        names.append("the largest values of EXIF")
    if photo.metadata.iptc is not None and _select_iptc(photo, suffix) is None:
        names.append("the IPTC block")
    lost = [text for text in photo.metadata.texts if text not in _select_texts(photo.metadata.texts, suffix)]
    names += [f'the text "{text.keyword}"' for text in lost]
    return tuple(dict.fromkeys(names))


def encode_jpeg(pixels: Pixels, quality: int, subsample_chroma: bool = True) -> bytes:
    """Encode (H, W, 3) uint8 as a JPEG file, the same bytes every time."""
    mode = "on" if subsample_chroma else "off"
    data: bytes = _to_vips(pixels).jpegsave_buffer(Q=quality, subsample_mode=mode)
    return data


def decode_jpeg(data: bytes) -> Pixels:
    """Decode the pixels of a JPEG file, (H, W, 3) uint8."""
    pixels: Pixels = pyvips.Image.jpegload_buffer(data).numpy()
    return pixels


def encode_png(pixels: Pixels) -> bytes:
    """Encode (H, W, 1 or 3) uint8 as a PNG file, the same bytes every time."""
    data: bytes = _to_vips(pixels).pngsave_buffer()
    return data


def decode_png(data: bytes) -> Pixels:
    """Decode the pixels of a PNG file, (H, W, 1 or 3) uint8. Raises UnblurError when the data are damaged."""
    try:
        # Without this, libvips gives back what it could read of a damaged file.
        pixels: Pixels = pyvips.Image.pngload_buffer(data, fail_on="truncated").numpy()
    except _DECODER_ERRORS as error:
        raise UnblurError(f"The data are not a PNG file: {_first_line(error)}.") from error
    return pixels if pixels.ndim == 3 else pixels[:, :, None]


def _read_raw(path: Path, data: bytes, most_pixels: int) -> Photo:
    raw = open_raw(path, data)
    _refuse_too_large(path, (raw.width, raw.height), RAW_BYTES_PER_PX, len(data), most_pixels)
    pixels = develop_raw(path, raw)
    metadata = _select_metadata(Metadata(exif=raw.exif, icc=bytes(pyvips.Image.profile_load("srgb"))))
    return Photo(pixels=pixels, metadata=metadata)


def _open(path: Path, data: bytes, kind: VipsKind, most_pixels: int) -> _Opened:
    """Read the file's header and metadata. Raises UnblurError for formats that are not read, and pyvips.Error."""
    match kind:
        case "JPEG":
            return _open_jpeg(path, data)
        case "PNG":
            return _open_png(path, data, most_pixels)
        case "WebP":
            hidden, exif = webp_file.split_exif(data)
            image = pyvips.Image.webpload_buffer(hidden, fail_on="error")
            return _Opened(
                image=image,
                metadata=_blocks(image, exif),
                orientation=exif_block.read_orientation(exif),
                pictures=_pages(image),
                rows=lambda: pyvips.Image.webpload_buffer(hidden, fail_on="error"),
                missing_share_if_cut=0.0,
            )
        case "TIFF":
            image = pyvips.Image.tiffload_buffer(data, fail_on="error")
            exif, is_all = read_tiff_exif(data)
            metadata = replace(
                _blocks(image, exif),
                iptc=read_tiff_iptc(data),
                resolution=read_tiff_resolution(data),
                left_behind=() if is_all else ("the largest values of EXIF",),
            )
            rows = partial(pyvips.Image.tiffload_buffer, data, fail_on="error", access="sequential")
            return _Opened(image=image, metadata=metadata, orientation=None, pictures=_pages(image), rows=rows)
        case "HEIF":
            return _open_heif(path, data)


def _open_jpeg(path: Path, data: bytes) -> _Opened:
    contents = read_jpeg_contents(data)
    if contents.unreadable:
        raise UnblurError(
            f"{path} cannot be read, because {contents.unreadable}; save it as a usual JPEG or a PNG first."
        )
    # Whatever the decoder would have to fill in is damage; oddities are no part of `picture`.
    image = pyvips.Image.jpegload_buffer(contents.picture, fail_on="warning")
    if contents.missing_share:
        raise UnblurError(f"{path} {_damaged('scans are missing', contents.missing_share)}")
    is_progressive = image.get_typeof("jpeg-multiscan") and image.get("jpeg-multiscan")
    return _Opened(
        image=image,
        metadata=replace(
            _blocks(image, contents.exif),
            iptc=contents.iptc,
            resolution=contents.resolution,
            texts=contents.texts,
            left_behind=contents.left_behind,
        ),
        orientation=exif_block.read_orientation(contents.exif),
        pictures=1,
        rows=partial(pyvips.Image.jpegload_buffer, contents.picture, fail_on="warning", access="sequential"),
        missing_share_if_cut=contents.missing_share_if_cut if is_progressive else None,
    )


def _open_png(path: Path, data: bytes, most_pixels: int) -> _Opened:
    png = read_png_contents(data)
    # libvips complains on the terminal of a header with more rows than it can count.
    _refuse_too_many_pixels(path, *png.size, most_pixels)
    # libvips shows an animated PNG as its first picture.
    if png.is_animation:
        raise UnblurError(f"{path} is an animation; extract the picture to restore.")
    image = pyvips.Image.pngload_buffer(png.picture, fail_on="error")
    metadata = _blocks(image, png.exif)
    return _Opened(
        image=image,
        metadata=replace(
            metadata,
            icc=_make_png_profile(path, png, metadata, image),
            resolution=png.resolution,
            texts=png.texts,
            left_behind=png.left_behind,
        ),
        orientation=exif_block.read_orientation(png.exif),
        pictures=1,
        rows=partial(pyvips.Image.pngload_buffer, png.picture, fail_on="error", access="sequential"),
    )


def _open_heif(path: Path, data: bytes) -> _Opened:
    hidden = heif_file.hide_exif(data)
    image = pyvips.Image.heifload_buffer(hidden, fail_on="error")
    metadata = _blocks(image, heif_file.read_exif(data, _block(image, "exif-data"), hidden))
    if metadata.icc is None and is_display_p3(path, *read_code_points(data)):
        metadata = replace(metadata, icc=_display_p3())
    return _Opened(
        image=image,
        metadata=replace(metadata, left_behind=heif_file.name_extra_contents(data)),
        orientation=None,
        # Tiles and gain maps, which libvips counts unless they are hidden, are parts.
        pictures=heif_file.count_pictures(data) or _pages(image),
        rows=partial(pyvips.Image.heifload_buffer, hidden, fail_on="error"),
        missing_share_if_cut=0.0,
    )


def _pages(image: Any) -> int:
    return int(image.get("n-pages")) if image.get_typeof("n-pages") else 1


def _blocks(image: Any, exif: bytes | None) -> Metadata:
    return Metadata(
        exif=exif,
        xmp=_block(image, "xmp-data"),
        icc=_block(image, "icc-profile-data"),
    )


def _select_metadata(metadata: Metadata) -> Metadata:
    """Remove metadata about other pictures in the file, and metadata that no longer apply."""
    xmp, named = xmp_packet.remove_other_claims(metadata.xmp)
    exif = None if metadata.exif is None else exif_block.normalise(metadata.exif)
    left_behind = tuple(dict.fromkeys([*named, *metadata.left_behind]))
    return replace(metadata, exif=exif, xmp=xmp, left_behind=left_behind)


def _refuse_other_pictures(path: Path, opened: _Opened) -> None:
    image = opened.image
    if opened.pictures > 1:
        raise UnblurError(
            f"{path} holds {opened.pictures} pictures (an animation or pages); extract the one to restore."
        )
    if image.interpretation == "cmyk":
        raise UnblurError(f"{path} is a CMYK (print) picture; convert it to RGB first.")
    if image.interpretation not in ("b-w", "grey16", "srgb", "rgb16", "rgb") or image.bands > 4:
        raise UnblurError(
            f"{path} holds {image.bands} channels of {image.interpretation} colour; convert it to RGB first."
        )
    if image.format not in ("uchar", "ushort"):
        raise UnblurError(f"{path} stores its pixels as {image.format}; convert it to 8 or 16 bits a channel first.")


def _refuse_too_many_pixels(path: Path, width: int, height: int, most_pixels: int) -> None:
    if width * height > most_pixels:
        raise TooManyPixelsError(
            f"{path} claims {width} x {height} pixels, more than {most_pixels:,}; cut it into parts first."
        )


def _refuse_too_large(path: Path, size: tuple[int, int], bytes_per_px: int, file_bytes: int, most_pixels: int) -> None:
    """Refuse images with too many pixels, too many for the size of the file, or too many for the memory."""
    width, height = size
    pixels = width * height
    claim = f"{path} claims {width} x {height} pixels"
    _refuse_too_many_pixels(path, width, height, most_pixels)
    if pixels > LARGEST_EMPTY_PX and pixels > MOST_PX_PER_BYTE * file_bytes:
        raise UnblurError(
            f"{claim} in {file_bytes:,} bytes, which cannot hold a photograph; get it again from its origin."
        )
    needed, free = bytes_per_px * pixels, free_memory()
    if needed > free:
        raise MemoryShortageError(
            f"{claim}, which need {needed / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free; "
            "close other programs, or cut it into parts first."
        )


def _make_png_profile(path: Path, png: PngContents, metadata: Metadata, image: Any) -> bytes | None:
    """Return the profile of a PNG's colours, made of its chunks if it has none; None for the colours of sRGB."""
    if png.code_points is not None:
        return _display_p3() if is_display_p3(path, *png.code_points) else None
    if metadata.icc is not None or png.says_srgb:
        return metadata.icc
    gamma, chromaticities = png.gamma, png.chromaticities or SRGB_CHROMATICITIES
    is_srgb = max(abs(a - b) for a, b in zip(chromaticities, SRGB_CHROMATICITIES, strict=True)) < 0.002
    if is_srgb and (gamma is None or abs(gamma - _USUAL_GAMMA) < 0.02):
        return None
    with suppress(ValueError):
        if image.bands <= 2:
            return None if gamma is None or abs(gamma - _USUAL_GAMMA) < 0.02 else make_grey_profile(gamma)
        return make_rgb_profile(chromaticities, gamma or _USUAL_GAMMA)
    return None


_USUAL_GAMMA = 2.2
"""The gamma of a PNG, 1 / 0.45455, that means the curve of sRGB."""


def _display_p3() -> bytes:
    return bytes(pyvips.Image.profile_load("p3"))


def _block(image: Any, field: str) -> bytes | None:
    return (bytes(image.get(field)) or None) if image.get_typeof(field) else None


def _decode_upright(path: Path, data: bytes, kind: VipsKind, opened: _Opened) -> Pixels:
    """Decode the pixels, (H, W, C). Raises UnblurError where they are damaged, with the missing share if known."""
    try:
        picture = opened.image.copy()
        if opened.orientation is not None:
            picture.set_type(pyvips.GValue.gint_type, "orientation", opened.orientation)
        upright = picture.autorot()
        memory = upright.write_to_memory()
    except _DECODER_ERRORS as error:
        reason = _describe_error(error, data, kind, lambda: _missing_share(opened))
        raise UnblurError(f"{path} {reason}") from error
    dtype = np.uint8 if upright.format == "uchar" else np.uint16
    return np.frombuffer(memory, dtype).reshape(upright.height, upright.width, upright.bands)


def _missing_share(opened: _Opened) -> float:
    """Return the share of the rows from the first unreadable one on; 0 if it is not known."""
    if opened.missing_share_if_cut is not None:
        return opened.missing_share_if_cut
    row = 0
    with suppress(*_DECODER_ERRORS):
        image = opened.rows()
        region = pyvips.Region.new(image)
        for row in range(0, image.height, _ROWS):
            region.fetch(0, row, image.width, min(_ROWS, image.height - row))
    height: int = opened.image.height
    return 1 - row / height


_ROWS = 8
"""Decoders of JPEG give so many at a time, or twice as many."""


def _encode(photo: Photo, suffix: str, quality: int | None) -> bytes:
    bands = photo.pixels if photo.alpha is None else np.dstack([photo.pixels, photo.alpha])
    if suffix in (".jpg", ".jpeg", ".webp"):
        bands = round_to_8_bits(bands)
    image = _to_vips(bands)
    metadata = photo.metadata
    xmp = None if metadata.xmp is None else xmp_packet.set_upright(metadata.xmp)
    exif = _select_exif(photo, suffix)
    block = None if exif is None else exif.removeprefix(EXIF_HEADER)
    resolution = metadata.resolution or read_exif_resolution(exif)
    texts = tuple(_select_texts(metadata.texts, suffix))
    lossy_quality = DEFAULT_QUALITIES.get(suffix) if quality is None else quality
    for field, content in (("icc-profile-data", metadata.icc), ("xmp-data", xmp)):
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
            placed = _block(pyvips.Image.heifload_buffer(avif), "exif-data") or b""
            return avif_file.insert_exif(bytes(avif), placed, exif)


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
    if metadata.resolution is not None and suffix in (".webp", ".avif"):
        exif = exif_block.add_resolution(exif, metadata.resolution)
    return None if exif is None else limit_exif(exif, _LARGEST_EXIF_BYTES.get(suffix, 2**32))


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


def _to_vips(pixels: Pixels) -> Any:
    height, width, bands = pixels.shape
    kind = "uchar" if pixels.dtype == np.uint8 else "ushort"
    colours = {("uchar", 1): "b-w", ("ushort", 1): "grey16", ("uchar", 3): "srgb", ("ushort", 3): "rgb16"}
    data = np.ascontiguousarray(pixels).data
    image = pyvips.Image.new_from_memory(data, width, height, bands, kind)
    return image.copy(interpretation=colours[kind, bands - 1 + bands % 2])


def _describe_error(
    error: Exception, data: bytes, kind: VipsKind, missing_share: Callable[[], float] = lambda: 0.0
) -> str:
    """Describe why a file cannot be read: its format is not decoded, or it is damaged."""
    whole = describe_unreadable(data) if kind == "TIFF" else None
    if whole is not None:
        return f"cannot be read, because {whole}; save it as a usual TIFF or a PNG first."
    return _damaged(_first_line(error), missing_share())


def _damaged(reason: str, missing_share: float) -> str:
    share = f", about {max(1, round(100 * missing_share))} % of it is missing" if missing_share > 0 else ""
    return f"is damaged or cut short ({reason}{share}); get it again from its origin."


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(getattr(error, "detail", "")).splitlines() if line.strip()]
    # Readers of HEIF look behind the end of every file.
    lines = [line for line in lines if "bad seek" not in line]
    # What pyvips says when libvips says nothing.
    if not lines or lines[0].startswith("unable to "):
        return "the decoder gave no reason"
    # Without the name of the part of libvips that says it.
    return re.sub(r"^[A-Za-z0-9_]+: ", "", lines[0]).rstrip(".")
