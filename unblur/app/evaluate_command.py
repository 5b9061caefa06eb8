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
    split: str | None = None,
    name: Annotated[str | None, tyro.conf.arg(name="as")] = None,
    csv: Annotated[Path | None, tyro.conf.arg(name="csv")] = None,
    device: str = "auto",
    pooling_window: int | None = None,
) -> int:
    """Measure a checkpoint: PSNR and SSIM before and after, a table of means, one CSV row an image.

    Args:
        folders: Each with blurry/ and sharp/, a data set that `unblur datasets` lists, or sharp photographs alone
            (how well it leaves them alone).
        checkpoint: Other weights than the bundled ones: a folder or a hub id.
        split: Part of the data sets to measure, instead of the one that results are reported on.
        name: What `unblur datasets` calls the data set, where the folder does not tell.
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
        title, count, pairs = _pairs(folder, split, name)
        bar = tqdm(pairs, total=count, unit="image", disable=not sys.stderr.isatty())
        rows = list(measure(bar, restorer.restore, restorer.checkpoint_sha256 or ""))
        sys.stdout.write(f"{title}, weights {(restorer.checkpoint_sha256 or 'unnamed')[:12]}\n\n{summary(rows)}\n")
        if csv is not None:
            csv.mkdir(parents=True, exist_ok=True)
            part = "" if split is None else f"-{split}"
            write_atomically(csv / f"{folder.name}{part}.csv", to_csv(rows).encode())
    return 0


def _pairs(folder: Path, split: str | None, name: str | None) -> "tuple[str, int, Iterator[Pair]]":
    """What is measured, how many pairs that are, and the pairs."""
    from unblur.datasets import Pair, PairFolder, PhotoFolder
    from unblur.datasets.listing import pictures_in
    from unblur.datasets.recognition import fitting_data_sets

    if split is None and name is None and pictures_in(folder) and not fitting_data_sets(folder):
        photos = PhotoFolder(folder)
        named = zip(photos.names, photos.photos, strict=True)
        same = (Pair(blurry=photo.float() / 255, sharp=photo.float() / 255, name=of) for of, photo in named)
        return f"{folder}", len(photos), same
    pairs = PairFolder(folder, split, name)
    if pairs.expected is None:
        return f"{folder}", len(pairs), iter(pairs)
    parts = " and ".join(part.name for part in pairs.splits)
    title = f"{folder}: {pairs.data_set.title} {parts}, {len(pairs)} of {pairs.expected} pairs"
    return title, len(pairs), iter(pairs)
