"""`unblur evaluate`: a checkpoint measured on folders of pairs, or on sharp photographs it must leave alone."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

if TYPE_CHECKING:
    from unblur.datasets import Pair


def evaluate(
    folders: tyro.conf.Positional[list[Path]],
    checkpoint: str | None = None,
    csv: Annotated[Path | None, tyro.conf.arg(name="csv")] = None,
    device: str = "auto",
    pooling_window: int | None = None,
) -> int:
    """Measure a checkpoint: PSNR and SSIM before and after, a table of means, one CSV row an image.

    Args:
        folders: Each with blurry/ and sharp/, or a folder of sharp photographs (how well it leaves them alone).
        checkpoint: Other weights than the bundled ones: a folder or a hub id.
        csv: Folder for one CSV file a folder measured.
        device: auto, cpu, cuda, ...
        pooling_window: Reach in pixels of the network's averages instead of the default; 0 averages over the tile.
    """
    from tqdm import tqdm

    from unblur.atomic import write_atomically
    from unblur.evaluation.measure import measure, summary, to_csv
    from unblur.restoration.restorer import load

    restorer = load(checkpoint, device, pooling_window_px=pooling_window)
    for folder in folders:
        pairs = tqdm(list(_pairs(folder)), unit="image", disable=not sys.stderr.isatty())
        rows = list(measure(pairs, restorer.restore, restorer.checkpoint_sha256 or ""))
        sys.stdout.write(f"{folder}, weights {(restorer.checkpoint_sha256 or 'unnamed')[:12]}\n\n{summary(rows)}\n")
        if csv is not None:
            csv.mkdir(parents=True, exist_ok=True)
            write_atomically(csv / f"{folder.name}.csv", to_csv(rows).encode())
    return 0


def _pairs(folder: Path) -> "Iterator[Pair]":
    from unblur.datasets import Pair, PairFolder, PhotoFolder

    if (folder / "blurry").is_dir() or (folder / "sharp").is_dir():
        yield from PairFolder(folder)
        return
    photos = PhotoFolder(folder)
    for name, photo in zip(photos.names, photos.photos, strict=True):
        yield Pair(blurry=photo.float() / 255, sharp=photo.float() / 255, name=name)
