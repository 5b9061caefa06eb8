"""`unblur study readability`: whether text that blur made unreadable can be read again after restoration."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from unblur.app.output_file import write_output
from unblur.errors import UnblurError

if TYPE_CHECKING:
    from unblur.datasets.signs import TextPair


def readability(
    *,
    signs: int = 8,
    photos: Path | None = None,
    texts: Path | None = None,
    checkpoint: str | None = None,
    csv: Annotated[Path | None, tyro.conf.arg(name="csv")] = None,
    device: str = "auto",
) -> int:
    """Blur pictures with text with four severities and read them sharp, blurry and restored.

    The table gives the mean share of characters that were read rightly; needs `pip install 'unblur[ocr]'`.

    Args:
        signs: How many signs are drawn; each is blurred with every severity.
        photos: Folder of photographs to hang the signs before, instead of soft colours.
        texts: Folder of photographs to measure instead of signs: those with text, and what is read in them when they
            are sharp counts as the truth.
        checkpoint: Other weights than the bundled ones: a folder or a hub id.
        csv: File for what was read in every picture, one row each.
        device: Where to restore: auto, cpu, cuda, ...
    """
    from tqdm import tqdm

    from unblur.datasets import PhotoFolder
    from unblur.datasets.validation import ValidationSet, validation_pairs
    from unblur.evaluation.readability import measure_readability, pairs_with_text, readability_csv, readability_table
    from unblur.metrics.readability import TextReader
    from unblur.restoration.restorer import load

    reader = TextReader()
    if texts is None:
        pairs, protocol = _signs(signs, photos), "signs-v1"
        source = f"{signs} signs before {f'photographs of {photos}' if photos else 'soft colours'}"
    else:
        blurred = validation_pairs(PhotoFolder(texts), ValidationSet())
        pairs, protocol = pairs_with_text(blurred, reader), "photographs-v1"
        source = f"photographs of {texts} with text"
    restorer = load(checkpoint, device)
    weights = restorer.checkpoint_sha256 or ""
    bar = tqdm(pairs, unit="picture", disable=not sys.stderr.isatty())
    rows = list(measure_readability(bar, restorer.restore, reader, protocol, weights))
    if not rows:
        raise UnblurError(f"Nothing is read in the photographs of {texts}; give photographs with text.")
    sys.stdout.write(
        f"{source}, {protocol}, weights {weights[:12] or 'unnamed'}, read by {reader.name}\n\n"
        f"{readability_table(rows).markdown()}"
    )
    if csv is not None:
        write_output(csv, readability_csv(rows).encode())
    return 0


def _signs(count: int, photos: Path | None) -> "Iterator[TextPair]":
    from unblur.datasets import PhotoFolder
    from unblur.datasets.signs import SignSettings, sign_pairs

    return sign_pairs(count, SignSettings(), PhotoFolder(photos) if photos else None)
