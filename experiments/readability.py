"""Measure whether text that blur made unreadable can be read again after restoration, one row an image, in eight bits.

The text that is read is compared with the text that is written (`compute_character_accuracy`); the mean is over the
pictures of one severity. Protocol `signs` version 1: drawn signs, whose text is known; the sign is read, and 20 pixels
around it. Protocol `photographs` version 1: the validation set's crops of photographs, read whole; their text is what
is read in the sharp ones.
"""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import fmean
from typing import Annotated

import torch
import tyro
from torch import Tensor
from tqdm import tqdm

from experiments.harness import run
from experiments.text_reader import TextReader, compute_character_accuracy, normalize_text
from unblur.app.output_file import write_output
from unblur.datasets import Pair, PhotoFolder
from unblur.datasets.signs import Area, SignSettings, TextPair, render_sign_pairs
from unblur.datasets.validation import ValidationSet, simulate_validation_pairs
from unblur.errors import UnblurError
from unblur.evaluation.measure import RestoreArray
from unblur.evaluation.tables import Table
from unblur.restoration.loading import load

FEWEST_CHARACTERS = 4
"""A photograph whose sharp version is read as fewer holds no text; what is read there may be texture."""


@dataclass(frozen=True, kw_only=True)
class Readability:
    """The text that was read in one image, and the shares of characters that were right."""

    image: str
    text: str
    """The text in the image."""
    read_sharp: str
    read_blurry: str
    read_restored: str
    sharp: float
    blurry: float
    restored: float
    protocol: str
    reader: str
    checkpoint: str
    """SHA-256 of the weights."""

    @property
    def severity(self) -> str:
        """Return the severity of the blur, as the table names it."""
        return self.image.split("_")[0]


def find_pairs_with_text(pairs: Iterable[Pair], reader: TextReader) -> Iterator[TextPair]:
    """Yield the pairs whose sharp photograph holds text, as read by `reader`; that text counts as the truth."""
    for pair in pairs:
        text = reader.read(pair.sharp)
        if len(normalize_text(text)) >= FEWEST_CHARACTERS:
            yield TextPair(pair=pair, text=text, area=(0, 0, *pair.sharp.shape[1:]))


def measure_readability(
    pairs: Iterable[TextPair], restore: RestoreArray, reader: TextReader, protocol: str, checkpoint: str
) -> Iterator[Readability]:
    """Read each picture sharp, blurry and restored. A sharp one that comes twice in a row is read once."""
    sharp, read_sharp = torch.empty(0), ""
    for item in pairs:
        blurry = (item.pair.blurry * 255).round().clamp(0, 255).to(torch.uint8)
        restored = torch.from_numpy(restore(blurry.permute(1, 2, 0).contiguous().numpy())).permute(2, 0, 1)
        if not torch.equal(sharp, item.pair.sharp):
            sharp, read_sharp = item.pair.sharp, reader.read(_crop(item.pair.sharp, item.area))
        read_blurry, read_restored = (reader.read(_crop(levels, item.area) / 255) for levels in (blurry, restored))
        yield Readability(
            image=item.pair.name,
            text=item.text,
            read_sharp=read_sharp,
            read_blurry=read_blurry,
            read_restored=read_restored,
            sharp=compute_character_accuracy(read_sharp, item.text),
            blurry=compute_character_accuracy(read_blurry, item.text),
            restored=compute_character_accuracy(read_restored, item.text),
            protocol=protocol,
            reader=reader.name,
            checkpoint=checkpoint,
        )


def _crop(image: Tensor, area: Area) -> Tensor:
    top, left, height, width = area
    return image[:, top : top + height, left : left + width].float()


def make_readability_csv(rows: Iterable[Readability]) -> str:
    """Return the rows with a header line; lines of a text are divided by " / "."""
    names = tuple(field.name for field in fields(Readability))
    lines = tuple(tuple(_format_text(getattr(row, name)) for name in names) for row in rows)
    return Table(header=names, lines=lines).csv()


def make_readability_table(rows: list[Readability]) -> Table:
    """Return the mean accuracies, one line a severity, and in how many pictures restoration changed them."""
    groups: dict[str, list[Readability]] = {}
    for row in rows:
        groups.setdefault(row.severity, []).append(row)
    lines = []
    for name, members in groups.items():
        sharp, blurry, restored = (
            fmean(values) for values in zip(*((m.sharp, m.blurry, m.restored) for m in members), strict=True)
        )
        accuracies = (f"{100 * share:.1f} %" for share in (sharp, blurry, restored))
        better, worse = (sum(m.restored > m.blurry for m in members), sum(m.restored < m.blurry for m in members))
        change = f"{100 * (restored - blurry):+.1f}"
        lines.append((name, str(len(members)), *accuracies, change, str(better), str(worse)))
    header = ("blur", "pictures", "sharp", "blurry", "restored", "change", "better", "worse")
    return Table(header=header, lines=tuple(lines))


def _format_text(value: str | float) -> str:
    return f"{value:.4f}" if isinstance(value, float) else value.replace("\n", " / ")


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
    reader = TextReader()
    if texts is None:
        pairs, protocol = _render_signs(signs, photos), "signs-v1"
        source = f"{signs} signs before {f'photographs of {photos}' if photos else 'soft colours'}"
    else:
        blurred = simulate_validation_pairs(PhotoFolder(texts), ValidationSet())
        pairs, protocol = find_pairs_with_text(blurred, reader), "photographs-v1"
        source = f"photographs of {texts} with text"
    restorer = load(checkpoint, device)
    weights = restorer.checkpoint_sha256 or ""
    bar = tqdm(pairs, unit="picture", disable=not sys.stderr.isatty())
    rows = list(measure_readability(bar, restorer.restore, reader, protocol, weights))
    if not rows:
        raise UnblurError(f"Nothing is read in the photographs of {texts}; give photographs with text.")
    sys.stdout.write(
        f"{source}, {protocol}, weights {weights[:12] or 'unnamed'}, read by {reader.name}\n\n"
        f"{make_readability_table(rows).markdown()}"
    )
    if csv is not None:
        write_output(csv, make_readability_csv(rows).encode())
    return 0


def _render_signs(count: int, photos: Path | None) -> Iterator[TextPair]:
    return render_sign_pairs(count, SignSettings(), PhotoFolder(photos) if photos else None)


if __name__ == "__main__":
    sys.exit(run(readability))
