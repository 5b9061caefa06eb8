"""The pixels of HEIC photographs, as telephones take them, through pillow-heif (extra `heic`).

libvips recognises such files and reads what they say of themselves; the wheel that comes with pyvips has no decoder of
HEVC for their pixels.
"""

from io import BytesIO
from pathlib import Path

import numpy as np

from unblur.errors import UnblurError
from unblur.photos.photo import Pixels


def decode_heic(path: Path, data: bytes) -> Pixels:
    """Decode the picture in `data`, the content of `path`, upright.

    (H, W, C), uint8, or uint16 for 10 and 12 bits; C is 1 or 3, and one more with transparency. Raises UnblurError
    where pillow-heif is missing or the file is damaged.
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
    return pixels if pixels.ndim == 3 else pixels[:, :, None]
