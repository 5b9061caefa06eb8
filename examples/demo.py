"""Restores the blurry photograph of this folder and writes before, after and the sharp truth side by side."""
# ruff: noqa: T201

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch

import unblur
from unblur.metrics import psnr

EXAMPLES = Path(__file__).parent
GAP_PX = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", help="other weights than the bundled ones: a folder or a hub id")
    parser.add_argument("--out", type=Path, default=Path("demo"), help="where the pictures go (default: demo)")
    options = parser.parse_args()

    blurry = unblur.read_photo(EXAMPLES / "reds_blurry.png")
    sharp = unblur.read_photo(EXAMPLES / "reds_sharp.png")
    restorer = unblur.load(options.checkpoint)

    began = time.perf_counter()
    restored = restorer.restore(blurry)
    seconds = time.perf_counter() - began

    options.out.mkdir(parents=True, exist_ok=True)
    unblur.write_photo(restored, options.out / "restored.png")
    labels = unblur.read_photo(EXAMPLES / "labels.png")
    unblur.write_photo(side_by_side(labels, blurry, restored, sharp), options.out / "side_by_side.png")

    before, after = decibels(blurry, sharp), decibels(restored, sharp)
    height, width, _ = blurry.pixels.shape
    print(f"Restored {width} x {height} pixels in {seconds:.1f} s.")
    print(f"PSNR to the sharp photograph: {before:.2f} dB before, {after:.2f} dB after.")
    print(f"Open {options.out / 'side_by_side.png'} to compare before, after and sharp.")


def decibels(photo: unblur.Photo, sharp: unblur.Photo) -> float:
    images = (torch.from_numpy(p.pixels).permute(2, 0, 1)[None].float() / 255 for p in (photo, sharp))
    return psnr(*images).item()


def side_by_side(labels: unblur.Photo, *photos: unblur.Photo) -> unblur.Photo:
    """The photographs in a row, with white gaps between them, under `labels`, which are as wide as the row."""
    white = np.full((photos[0].height, GAP_PX, 3), 255, np.uint8)
    strips = [strip for photo in photos for strip in (white, photo.pixels)][1:]
    return unblur.Photo(pixels=np.concatenate([labels.pixels, np.concatenate(strips, axis=1)]))


if __name__ == "__main__":
    try:
        main()
    except unblur.UnblurError as error:
        sys.exit(f"demo: {error}")
