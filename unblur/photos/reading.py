"""Read photographs through libvips, with their bit depth, their colours and all their metadata.

Files are recognised by their content, so a wrong extension does no harm. They are read from memory, never by name,
because libvips takes `[...]` in a name for options. libvips decodes pixels and profiles; EXIF, IPTC, resolutions and
texts are read by modules of our own, because libvips rewrites them and invents what is missing.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyvips

from unblur.errors import MemoryShortageError, TooManyPixelsError, UnblurError
from unblur.memory import free_memory
from unblur.photos import exif_block, heif_file, webp_file, xmp_packet
from unblur.photos.file_kinds import VipsKind
from unblur.photos.heic import decode_heic
from unblur.photos.heif_colours import is_display_p3, read_code_points, refuse_hdr
from unblur.photos.icc_profile import SRGB_CHROMATICITIES, make_grey_profile, make_rgb_profile
from unblur.photos.jpeg_file import read_jpeg_contents
from unblur.photos.jxl_file import is_implicit_srgb, is_linear_fallback, read_jxl_contents
from unblur.photos.libvips import DECODER_ERRORS, load_display_p3, read_block, read_reason
from unblur.photos.opening import UNNAMED, PhotoSource, check_kind, read_source
from unblur.photos.photo import Metadata, Photo, Pixels
from unblur.photos.png_file import PngContents, read_png_contents
from unblur.photos.raw import BYTES_PER_PX as RAW_BYTES_PER_PX
from unblur.photos.raw import develop_raw, open_raw
from unblur.photos.tiff_exif import (
    read_tiff_exif,
    read_tiff_iptc,
    read_tiff_resolution,
)
from unblur.photos.tiff_kinds import begins_with_thumbnail, describe_unreadable

MAX_PIXELS = 1_000_000_000
"""Larger pictures are refused before memory is allocated: they are damaged headers, or bombs."""

LARGEST_EMPTY_PX, MOST_PX_PER_BYTE = 64_000_000, 100
"""Larger pictures have to hold something: at least one byte of the file for so many pixels. The strongest compression
of photographs needs one for some 20; of nothing at all, PNG needs one for 340 and WebP for millions."""

MEMORY_COPIES = 3
"""Copies of a photograph's pixels that are in memory at a time: its own, the restored ones, and those being written."""

JXL_BYTES_PER_VALUE = 4
"""Memory that libjxl takes for each channel of a pixel: it decodes the whole picture in float32 or int32."""

_USUAL_GAMMA = 2.2
"""The gamma of a PNG, 1 / 0.45455, that means the curve of sRGB."""

_ROWS = 8
"""Rows that decoders of JPEG return at a time, or half as many as they do."""


@dataclass(frozen=True, kw_only=True)
class _Opened:
    """A file whose header was read, and whose pixels were not."""

    image: Any
    """The libvips image."""
    metadata: Metadata
    """Metadata of the file, from libvips and from the modules for its format."""
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
    if kind == "TIFF" and path is UNNAMED and begins_with_thumbnail(data):
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
        bytes_per_value = MEMORY_COPIES * (1 if image.format == "uchar" else 2)
        bytes_per_px = image.bands * (bytes_per_value + (JXL_BYTES_PER_VALUE if kind == "JPEG XL" else 0))
        _refuse_too_large(path, (image.width, image.height), bytes_per_px, len(data), most_pixels)
        is_heic = kind == "HEIF" and opened.image.get("heif-compression") != "av1"
    except DECODER_ERRORS as error:
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


def read_shortest_side_px(path: Path) -> int:
    """Return the smaller of width and height of a photograph, from its header alone. Raises UnblurError without one."""
    check_kind(path)
    try:
        # A source, because libvips takes `[...]` in a plain name for options.
        image = pyvips.Image.new_from_source(pyvips.Source.new_from_file(str(path)), "")
    except DECODER_ERRORS as error:
        raise UnblurError(f"{path} is damaged or cut short ({read_reason(error)}).") from error
    side_px: int = min(image.width, image.height)
    return side_px


def _read_raw(path: Path, data: bytes, most_pixels: int) -> Photo:
    raw = open_raw(path, data)
    _refuse_too_large(path, (raw.width, raw.height), RAW_BYTES_PER_PX, len(data), most_pixels)
    pixels = develop_raw(path, raw)
    metadata = _select_metadata(Metadata(exif=raw.exif, icc=bytes(pyvips.Image.profile_load("srgb")), was_raw=True))
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
                metadata=_read_blocks(image, exif),
                orientation=exif_block.read_orientation(exif),
                pictures=_count_pages(image),
                rows=lambda: pyvips.Image.webpload_buffer(hidden, fail_on="error"),
                missing_share_if_cut=0.0,
            )
        case "TIFF":
            image = pyvips.Image.tiffload_buffer(data, fail_on="error")
            exif, is_all = read_tiff_exif(data)
            metadata = replace(
                _read_blocks(image, exif),
                iptc=read_tiff_iptc(data),
                resolution=read_tiff_resolution(data),
                left_behind=() if is_all else ("the largest values of EXIF",),
            )
            rows = partial(pyvips.Image.tiffload_buffer, data, fail_on="error", access="sequential")
            return _Opened(image=image, metadata=metadata, orientation=None, pictures=_count_pages(image), rows=rows)
        case "HEIF":
            return _open_heif(path, data)
        case "JPEG XL":
            return _open_jxl(path, data)


def _open_jpeg(path: Path, data: bytes) -> _Opened:
    contents = read_jpeg_contents(data)
    if contents.unreadable:
        raise UnblurError(
            f"{path} cannot be read, because {contents.unreadable}; save it as a usual JPEG or a PNG first."
        )
    # Whatever the decoder would have to fill in is damage; oddities are not part of `picture`.
    image = pyvips.Image.jpegload_buffer(contents.picture, fail_on="warning")
    if contents.missing_share:
        raise UnblurError(f"{path} {_describe_damage('scans are missing', contents.missing_share)}")
    is_progressive = image.get_typeof("jpeg-multiscan") and image.get("jpeg-multiscan")
    return _Opened(
        image=image,
        metadata=replace(
            _read_blocks(image, contents.exif),
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
    metadata = _read_blocks(image, png.exif)
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
    metadata = _read_blocks(image, heif_file.read_exif(data, read_block(image, "exif-data"), hidden))
    if metadata.icc is None and is_display_p3(path, *read_code_points(data)):
        metadata = replace(metadata, icc=load_display_p3())
    return _Opened(
        image=image,
        metadata=replace(metadata, left_behind=heif_file.name_extra_contents(data)),
        orientation=None,
        # Tiles and gain maps, which libvips counts unless they are hidden, are parts.
        pictures=heif_file.count_pictures(data) or _count_pages(image),
        rows=partial(pyvips.Image.heifload_buffer, hidden, fail_on="error"),
        missing_share_if_cut=0.0,
    )


def _open_jxl(path: Path, data: bytes) -> _Opened:
    contents = read_jxl_contents(data)
    image = pyvips.Image.jxlload_buffer(contents.picture, fail_on="error")
    icc = read_block(image, "icc-profile-data") or b""
    if icc[16:20] == b"CMYK":
        raise UnblurError(f"{path} is a CMYK (print) picture; convert it to RGB first.")
    if is_linear_fallback(icc):
        raise UnblurError(
            f"{path} is in linear light, or has a colour profile that its decoder does not apply; "
            "convert it to PNG first, for example with djxl."
        )
    # Older libvips does not say it, and some files hold HDR behind a profile.
    if image.get_typeof("cicp-transfer-characteristics"):
        refuse_hdr(path, image.get("cicp-transfer-characteristics"))
    return _Opened(
        image=image,
        metadata=Metadata(
            exif=contents.exif,
            xmp=contents.xmp,
            icc=None if is_implicit_srgb(icc) else icc or None,
            left_behind=contents.left_behind,
        ),
        # The decoder turns pictures upright by the file's own orientation, which counts and not that of EXIF.
        orientation=1,
        pictures=_count_pages(image),
        rows=partial(pyvips.Image.jxlload_buffer, contents.picture, fail_on="error"),
        missing_share_if_cut=0.0,
    )


def _count_pages(image: Any) -> int:
    return int(image.get("n-pages")) if image.get_typeof("n-pages") else 1


def _read_blocks(image: Any, exif: bytes | None) -> Metadata:
    return Metadata(
        exif=exif,
        xmp=read_block(image, "xmp-data"),
        icc=read_block(image, "icc-profile-data"),
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
        return load_display_p3() if is_display_p3(path, *png.code_points) else None
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


def _decode_upright(path: Path, data: bytes, kind: VipsKind, opened: _Opened) -> Pixels:
    """Decode the pixels, (H, W, C). Raises UnblurError where they are damaged, with the missing share if known."""
    try:
        picture = opened.image.copy()
        if opened.orientation is not None:
            picture.set_type(pyvips.GValue.gint_type, "orientation", opened.orientation)
        upright = picture.autorot()
        memory = upright.write_to_memory()
    except DECODER_ERRORS as error:
        reason = _describe_error(error, data, kind, lambda: _find_missing_share(opened))
        raise UnblurError(f"{path} {reason}") from error
    dtype = np.uint8 if upright.format == "uchar" else np.uint16
    return np.frombuffer(memory, dtype).reshape(upright.height, upright.width, upright.bands)


def _find_missing_share(opened: _Opened) -> float:
    """Return the share of the rows from the first unreadable one on; 0 if it is not known."""
    if opened.missing_share_if_cut is not None:
        return opened.missing_share_if_cut
    row = 0
    with suppress(*DECODER_ERRORS):
        image = opened.rows()
        region = pyvips.Region.new(image)
        for row in range(0, image.height, _ROWS):
            region.fetch(0, row, image.width, min(_ROWS, image.height - row))
    height: int = opened.image.height
    return 1 - row / height


def _describe_error(
    error: Exception, data: bytes, kind: VipsKind, missing_share: Callable[[], float] = lambda: 0.0
) -> str:
    """Describe why a file cannot be read: its format is not decoded, or it is damaged."""
    whole = describe_unreadable(data) if kind == "TIFF" else None
    if whole is not None:
        return f"cannot be read, because {whole}; save it as a usual TIFF or a PNG first."
    return _describe_damage(read_reason(error), missing_share())


def _describe_damage(reason: str, missing_share: float) -> str:
    share = f", about {max(1, round(100 * missing_share))} % of it is missing" if missing_share > 0 else ""
    return f"is damaged or cut short ({reason}{share}); get it again from its origin."
