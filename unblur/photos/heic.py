"""HEIC photographs, as telephones take them, through pillow-heif (extra `heic`).

libvips recognises them and reads what they say of themselves; the wheel that comes with pyvips has no decoder of HEVC
for their pixels.
"""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np

from unblur.errors import UnblurError
from unblur.photos.photo import Pixels

# Code points of ITU-T H.273, table 2 (primaries) and 3 (transfer). Unspecified is taken for sRGB, as by all viewers.
_SRGB_PRIMARIES = {1, 2}
_DISPLAY_P3_PRIMARIES = 12
_SRGB_TRANSFERS = {1, 2, 6, 13}
_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}


@dataclass(frozen=True, kw_only=True)
class HeicPicture:
    """What an HEIC file shows, upright."""

    pixels: Pixels
    """(H, W, C), uint8, or uint16 for 10 and 12 bits; C is 1 or 3, and one more with transparency."""
    display_p3: bool
    """Whether the colours are those of Display P3 by their code points, which need no profile in the file."""


def decode_heic(path: Path, data: bytes, *, has_profile: bool) -> HeicPicture:
    """The picture in `data`, the content of `path`; `has_profile`: an ICC profile says what its colours are.

    Raises UnblurError where pillow-heif is missing, the file is damaged, or its colours are HDR or others that cannot
    be told without a profile.
    """
    try:
        import pillow_heif
    except ImportError as error:
        raise UnblurError(
            f"{path} is an HEIC file, which needs the package pillow-heif; run: pip install 'unblur[heic]' "
            "(or export the photograph as JPEG or TIFF)."
        ) from error
    try:
        picture = pillow_heif.open_heif(BytesIO(data), convert_hdr_to_8bit=False)
        pixels = np.array(picture)
    # What it raises for damaged files, SyntaxError for parts of the format that it does not know.
    except (ValueError, RuntimeError, EOFError, SyntaxError) as error:
        reason = " ".join(str(error).split())
        raise UnblurError(f"{path} is damaged or cut short ({reason}); get it again from its origin.") from error
    if picture.premultiplied_alpha:
        raise UnblurError(f"{path} stores colours multiplied by their transparency; export it as PNG first.")
    display_p3 = False if has_profile else _is_display_p3(path, picture.info.get("nclx_profile") or {})
    return HeicPicture(pixels=pixels if pixels.ndim == 3 else pixels[:, :, None], display_p3=display_p3)


def _is_display_p3(path: Path, colours: dict[str, int]) -> bool:
    primaries, transfer = colours.get("color_primaries", 2), colours.get("transfer_characteristics", 2)
    if transfer in _HDR_TRANSFERS:
        raise UnblurError(
            f"{path} is an HDR photograph ({_HDR_TRANSFERS[transfer]}), which is not supported; "
            "export it as JPEG or TIFF first."
        )
    if primaries not in _SRGB_PRIMARIES | {_DISPLAY_P3_PRIMARIES} or transfer not in _SRGB_TRANSFERS:
        raise UnblurError(
            f"{path} has colours that are not supported (primaries {primaries}, transfer {transfer} of H.273); "
            "export it as JPEG or TIFF first."
        )
    return primaries == _DISPLAY_P3_PRIMARIES
