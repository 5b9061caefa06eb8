"""Drawn text: as high as asked for, with the ink that Pillow's FreeType lays from the same file."""

import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont

from unblur.errors import UnblurError
from unblur.photos.lettering import ABOVE, BELOW, Font, draw_line

FILES = {
    "sans": "DejaVuSans-Bold",
    "serif": "DejaVuSerif-Bold",
    "mono": "DejaVuSansMono-Bold",
    "times": "STIXGeneralBol",
    "light sans": "DejaVuSans",
    "slanted sans": "DejaVuSans-Oblique",
    "light serif": "DejaVuSerif",
    "slanted serif": "DejaVuSerif-BoldItalic",
    "light mono": "DejaVuSansMono",
    "light times": "STIXGeneral",
    "slanted times": "STIXGeneralItalic",
    "roman": "cmr10",
    "gothic": "cmss10",
    "typewriter": "cmtt10",
}


@pytest.mark.parametrize("font", get_args(Font))
def test_capitals_have_the_requested_height(font: Font) -> None:
    line = draw_line("H", font, 40)
    rows = line.amax(1).nonzero()
    assert line.shape[0] == round((ABOVE + BELOW) * 40)
    assert 0 <= line.min() < line.max() == 1
    assert abs(float(line.amax(1).sum()) - 40) <= 1
    # It stands on the line, and nothing hangs below.
    assert line.shape[0] - 1 - int(rows.max()) == pytest.approx(BELOW * 40, abs=1)


@pytest.mark.parametrize("font", get_args(Font))
def test_coverage_equals_that_of_another_rasteriser(font: Font) -> None:
    from matplotlib import get_data_path

    path = Path(get_data_path()) / "fonts" / "ttf" / f"{FILES[font]}.ttf"
    large = ImageFont.truetype(path, 1000, layout_engine=ImageFont.Layout.BASIC).getbbox("H", anchor="ls")
    size = 60 * 1000 / -large[1]
    picture = Image.new("L", (900, 160))
    pen = ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)
    ImageDraw.Draw(picture).text((20, 100), "Gate 4652 Exit$", 255, pen, anchor="ls")
    theirs, ours = np.asarray(picture) / 255, draw_line("Gate 4652 Exit$", font, 60).numpy()
    columns = np.flatnonzero(theirs.max(0))
    assert ours.sum() == pytest.approx(theirs.sum(), rel=0.03)
    assert ours.shape[1] == pytest.approx(columns[-1] - columns[0] + 1, rel=0.02)


def test_drawing_is_deterministic_and_scales() -> None:
    small, large = draw_line("Bridge 7", "serif", 12), draw_line("Bridge 7", "serif", 48)
    assert torch.equal(small, draw_line("Bridge 7", "serif", 12))
    assert float(large.sum()) == pytest.approx(16 * float(small.sum()), rel=0.02)


@pytest.mark.parametrize(
    ("text", "capital_px", "said"),
    [
        ("", 20, "cannot be drawn"),
        ("  ", 20, "cannot be drawn"),
        ("two\nlines", 20, "one line"),
        ("A", 0.5, "at least 1"),
    ],
)
def test_unsupported_text_is_refused(text: str, capital_px: float, said: str) -> None:
    with pytest.raises(UnblurError, match=said):
        draw_line(text, "sans", capital_px)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UnblurError, match=r"pip install 'unblur\[ocr\]'"):
        draw_line("A", "sans", 20)
