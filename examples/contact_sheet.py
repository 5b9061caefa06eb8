"""Draws the first 64 pairs of a folder made by `unblur simulate`: blurry, sharp, blurry, sharp, ... eight pairs a row.

python examples/contact_sheet.py SHARDS SHEET.jpg
"""

import itertools
import sys
from pathlib import Path

import torch

from unblur.atomic import write_atomically
from unblur.datasets.shards import ShardFolder
from unblur.photos.pixel_files import encode_jpeg

PAIRS, PAIRS_A_ROW = 64, 8


def main(shards: str, sheet: str) -> None:
    """Reads the pairs and writes the sheet."""
    pairs = itertools.islice(ShardFolder(Path(shards)), PAIRS)
    pictures = [picture for pair in pairs for picture in (pair.blurry, pair.sharp)]
    rows = [
        torch.cat(row, dim=2)
        for row in (pictures[i : i + 2 * PAIRS_A_ROW] for i in range(0, len(pictures), 2 * PAIRS_A_ROW))
    ]
    pixels = (torch.cat(rows, dim=1) * 255).round().byte().permute(1, 2, 0).contiguous().numpy()
    write_atomically(Path(sheet), encode_jpeg(pixels, quality=80, subsample_chroma=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
