"""Text drawn from the outlines in a font file: the same pixels whatever fonts a machine has.

libvips can draw text too, but asks the machine's font configuration for hinting and for what is missing. The fonts are
those that Matplotlib installs (DejaVu, STIX, Computer Modern), filled by its Agg, without hinting; our
extra `ocr` asks for it.
"""

import math
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from unblur.errors import UnblurError

if TYPE_CHECKING:
    from matplotlib.textpath import TextPath

Font = Literal[
    "sans",
    "serif",
    "mono",
    "times",
    "light sans",
    "slanted sans",
    "light serif",
    "slanted serif",
    "light mono",
    "light times",
    "slanted times",
    "roman",
    "gothic",
    "typewriter",
]

_FILES: dict[Font, str] = {
    "sans": "DejaVuSans-Bold.ttf",
    "serif": "DejaVuSerif-Bold.ttf",
    "mono": "DejaVuSansMono-Bold.ttf",
    "times": "STIXGeneralBol.ttf",
    "light sans": "DejaVuSans.ttf",
    "slanted sans": "DejaVuSans-Oblique.ttf",
    "light serif": "DejaVuSerif.ttf",
    "slanted serif": "DejaVuSerif-BoldItalic.ttf",
    "light mono": "DejaVuSansMono.ttf",
    "light times": "STIXGeneral.ttf",
    "slanted times": "STIXGeneralItalic.ttf",
    "roman": "cmr10.ttf",
    "gothic": "cmss10.ttf",
    "typewriter": "cmtt10.ttf",
}

ALL_FONTS = tuple(_FILES)

ABOVE, BELOW = 1.15, 0.4
"""Room above and below the line that letters stand on, in heights of a capital."""


def draw_line(text: str, font: Font, capital_px: float) -> Tensor:
    """Render a line of text as the coverage of each pixel, (H, W) in [0, 1]; capitals are `capital_px` high.

    H depends on `capital_px` alone, W is as wide as the ink. Raises UnblurError for text without ink, for capitals
    below a pixel, and when Matplotlib is not installed.
    """
    if not text.strip() or not text.isprintable():
        raise UnblurError(f"A line of {text!r} cannot be drawn; give one line of printable text.")
    if not capital_px >= 1:
        raise UnblurError(f"Letters {capital_px} px high cannot be drawn; give at least 1.")
    if find_spec("matplotlib") is None:
        raise UnblurError("Text cannot be drawn because matplotlib is not installed; run: pip install 'unblur[ocr]'")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import PathPatch
    from matplotlib.transforms import Affine2D

    scale = capital_px / float(_make_outline("H", font).get_extents().y1)
    outline = _make_outline(text, font)
    ink = outline.get_extents()
    width, height = math.ceil(scale * (ink.x1 - ink.x0)), math.ceil((ABOVE + BELOW) * capital_px)
    place = Affine2D().translate(-ink.x0, 0).scale(scale).translate(0, BELOW * capital_px)
    # A hundred dots an inch make a figure of exactly so many pixels.
    figure = Figure(figsize=(width / 100, height / 100), dpi=100, frameon=False)
    figure.add_artist(PathPatch(outline, transform=place, facecolor="black", linewidth=0))
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    coverage = np.asarray(canvas.buffer_rgba())[:, :, 3]
    return torch.from_numpy(coverage.astype(np.float32) / 255)


@lru_cache(maxsize=256)
def _make_outline(text: str, font: Font) -> "TextPath":
    import matplotlib
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / _FILES[font]
    # Dollar signs are dollar signs here, not mathematics.
    return TextPath((0, 0), text.replace("$", r"\$"), size=100, prop=FontProperties(fname=str(path)))
