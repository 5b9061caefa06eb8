"""Draws `labels.png`, the labels above the three panels of the demo's picture; needs Matplotlib (extra `plots`).

python examples/draw_labels.py
"""

from pathlib import Path

import numpy as np

from unblur.atomic import write_atomically
from unblur.photos.lettering import draw_line
from unblur.photos.photo import Pixels
from unblur.photos.pixel_files import encode_png

PANEL_PX, GAP_PX = 640, 8
CAPITAL_PX = 18
LABELS = ("Before", "After", "Sharp")


def labels() -> Pixels:
    """(H, W, 3) uint8: black on white, each label centred above its panel."""
    inks = [draw_line(label, "light sans", CAPITAL_PX).numpy() for label in LABELS]
    width = len(LABELS) * PANEL_PX + (len(LABELS) - 1) * GAP_PX
    strip = np.zeros((len(inks[0]), width), np.float32)
    for panel, ink in enumerate(inks):
        left = panel * (PANEL_PX + GAP_PX) + (PANEL_PX - ink.shape[1]) // 2
        strip[:, left : left + ink.shape[1]] = ink
    return (255 * (1 - strip)).round().astype(np.uint8)[:, :, None].repeat(3, axis=2)


if __name__ == "__main__":
    write_atomically(Path(__file__).parent / "labels.png", encode_png(labels()))
