"""A photograph in memory: pixels, transparency, and what the file said about them."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image

Pixels = NDArray[Any]


def round_to_8_bits(pixels: Pixels) -> Pixels:
    """Return uint16 pixels of any shape rounded to uint8, white to white; uint8 pixels are returned as they are."""
    return pixels if pixels.dtype == np.uint8 else ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """The size at which a photograph is meant to be printed or shown: pixels per unit of length."""

    x: float
    y: float
    unit: Literal["inch", "centimetre", "none"]
    """"none" gives the shape of a pixel alone."""

    def per_inch(self) -> tuple[float, float]:
        """Return the pixels per inch, across and down. Raises ValueError where no unit is given."""
        match self.unit:
            case "inch":
                return self.x, self.y
            case "centimetre":
                return self.x * 2.54, self.y * 2.54
        raise ValueError("a resolution without a unit has no pixels per inch")


@dataclass(frozen=True, kw_only=True)
class Text:
    """A line or more that a file holds about the photograph, such as the text chunks of PNG and JPEG's comments."""

    keyword: str
    """"Author", "Copyright", "Comment" and so on; 1 to 79 letters of Latin-1."""
    text: str


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """Metadata of the input file for the output file; None where it has none."""

    exif: bytes | None = None
    """Begins with EXIF_HEADER."""
    xmp: bytes | None = None
    icc: bytes | None = None
    iptc: bytes | None = None
    resolution: Resolution | None = None
    """The resolution in the file's own format; EXIF may have another one of its own."""
    texts: tuple[Text, ...] = ()
    was_raw: bool = False
    """True for a raw file, whose developed pixels are sRGB of 16 bits: only such a photograph becomes a DNG file."""
    left_behind: tuple[str, ...] = ()
    """Contents of the file besides the photograph that reading dropped: "the video", "the gain map" and so on."""


@dataclass(frozen=True, kw_only=True)
class Photo:
    """Upright pixels in the file's own colours and depth. Raises ValueError for any other shape or type."""

    pixels: Pixels
    """(H, W, C), uint8 or uint16; C is 1 for grey and 3 for RGB."""
    alpha: Pixels | None = None
    """(H, W) of the same type, straight (not premultiplied); None for an opaque photograph."""
    metadata: Metadata = Metadata()

    def __post_init__(self) -> None:
        if self.pixels.ndim != 3 or self.pixels.shape[2] not in (1, 3) or 0 in self.pixels.shape:
            raise ValueError(f"pixels must be (H, W, 1) or (H, W, 3), not {self.pixels.shape}")
        if self.pixels.dtype not in (np.uint8, np.uint16):
            raise ValueError(f"pixels must be uint8 or uint16, not {self.pixels.dtype}")
        if self.alpha is not None and (
            self.alpha.shape != self.pixels.shape[:2] or self.alpha.dtype != self.pixels.dtype
        ):
            raise ValueError(
                f"alpha must be {self.pixels.shape[:2]} {self.pixels.dtype} like the pixels, "
                f"not {self.alpha.shape} {self.alpha.dtype}"
            )

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.pixels.shape[1])

    @property
    def bit_depth(self) -> int:
        """Bits of a channel of a pixel, 8 or 16."""
        return self.pixels.dtype.itemsize * 8

    def __repr__(self) -> str:
        """Return the size and the kind of the photograph, without its pixels."""
        colours = "grey" if self.pixels.shape[2] == 1 else "RGB"
        alpha = "" if self.alpha is None else " with transparency"
        return f"Photo({self.width} x {self.height}, {colours}{alpha}, {self.bit_depth} bits)"

    def save(self, path: str | Path) -> None:
        """Write the photograph in the format that the suffix of `path` names, as `unblur.write_photo` does."""
        from unblur.photos.writing import write_photo

        write_photo(self, path)

    def to_pil(self) -> "Image":
        """Return the photograph as a Pillow image of mode L, LA, RGB, RGBA or I;16, with colour profile and EXIF.

        Pillow has no colours of 16 bits, so these are rounded to 8. Raises UnblurError where Pillow is not installed.
        """
        from unblur.photos.pillow_images import photo_to_pillow

        return photo_to_pillow(self)

    def with_pixels(self, pixels: Pixels) -> "Photo":
        """Return the same photograph with other pixels of the same shape and type."""
        if pixels.shape != self.pixels.shape or pixels.dtype != self.pixels.dtype:
            raise ValueError(
                f"new pixels must be {self.pixels.shape} {self.pixels.dtype}, not {pixels.shape} {pixels.dtype}"
            )
        return replace(self, pixels=pixels)
