"""How much text can be read before and after restoration, one row a picture, eight bits as users get them.

All that is read is compared with all that is written (`character_accuracy`); the mean is over the pictures of one
severity. Protocol `signs` version 1: drawn signs, whose text is known; the sign is read, and 20 pixels around it.
Protocol `photographs` version 1: the validation set's crops of photographs, read whole; their text is what is read in
the sharp ones.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from statistics import fmean

import torch
from torch import Tensor

from unblur.datasets import Pair
from unblur.datasets.signs import Area, TextPair
from unblur.evaluation.measure import RestoreArray
from unblur.evaluation.tables import Table
from unblur.metrics.readability import TextReader, character_accuracy, normalized

FEWEST_CHARACTERS = 4
"""A photograph whose sharp version is read as fewer holds no text; what is read there may be texture."""


@dataclass(frozen=True, kw_only=True)
class Readability:
    """What was read in one picture, and the shares of characters that were right."""

    image: str
    text: str
    """What it says."""
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
        return self.image.split("_")[0]


def pairs_with_text(pairs: Iterable[Pair], reader: TextReader) -> Iterator[TextPair]:
    """Those of the pairs whose sharp photograph holds text: what `reader` reads there counts as the truth."""
    for pair in pairs:
        text = reader.read(pair.sharp)
        if len(normalized(text)) >= FEWEST_CHARACTERS:
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
            sharp, read_sharp = item.pair.sharp, reader.read(_part(item.pair.sharp, item.area))
        read_blurry, read_restored = (reader.read(_part(levels, item.area) / 255) for levels in (blurry, restored))
        yield Readability(
            image=item.pair.name,
            text=item.text,
            read_sharp=read_sharp,
            read_blurry=read_blurry,
            read_restored=read_restored,
            sharp=character_accuracy(read_sharp, item.text),
            blurry=character_accuracy(read_blurry, item.text),
            restored=character_accuracy(read_restored, item.text),
            protocol=protocol,
            reader=reader.name,
            checkpoint=checkpoint,
        )


def _part(image: Tensor, area: Area) -> Tensor:
    top, left, height, width = area
    return image[:, top : top + height, left : left + width].float()


def readability_csv(rows: Iterable[Readability]) -> str:
    """The rows with a header line; lines of a text are divided by " / "."""
    names = tuple(field.name for field in fields(Readability))
    lines = tuple(tuple(_text(getattr(row, name)) for name in names) for row in rows)
    return Table(header=names, lines=lines).csv()


def readability_table(rows: list[Readability]) -> Table:
    """Mean accuracies, one line a severity, and in how many pictures restoration changed them."""
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


def _text(value: str | float) -> str:
    return f"{value:.4f}" if isinstance(value, float) else value.replace("\n", " / ")
