"""Sharp photographs held in memory, and how often each is drawn."""

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from unblur.datasets.fingerprint import compute_fingerprint
from unblur.datasets.listing import list_pictures
from unblur.datasets.pair_files import read_rgb
from unblur.errors import UnblurError
from unblur.photos.formats import READABLE_SUFFIXES


@dataclass(frozen=True, kw_only=True)
class Photographs:
    """Sharp pictures in memory that blur is simulated on."""

    source: str
    """The origin of the photographs, for messages."""
    names: list[str]
    photos: Sequence[Tensor]
    """(3, H, W) uint8."""
    weights: Tensor
    """Probability of each photograph; they sum to 1."""

    def __len__(self) -> int:
        return len(self.photos)

    @property
    def shortest_side_px(self) -> int:
        """The shortest side of all photographs."""
        return min(min(photo.shape[1:]) for photo in self.photos)


class PhotoFolder(Photographs):
    """The photographs of a folder, sorted by name.

    A file `<folder>.csv` beside the folder, with the columns `file` and `content`, balances the weights: each
    kind of content is drawn as often as the square root of its number of photographs, so rare kinds count more.
    """

    def __init__(self, folder: Path) -> None:
        paths = find_photos(folder)
        names = [path.name for path in paths]
        weights = _read_balanced_weights(names, find_content_table(folder))
        super().__init__(source=str(folder), names=names, photos=[read_rgb(path) for path in paths], weights=weights)


def find_photos(folder: Path) -> list[Path]:
    """Return the photographs of a folder, sorted by name. Raises UnblurError when there are none."""
    if not folder.is_dir():
        raise UnblurError(f"There is no folder {folder}; give a folder of photographs.")
    paths = list(list_pictures(folder).values())
    if not paths:
        raise UnblurError(f"{folder} holds no photographs ({', '.join(sorted(READABLE_SUFFIXES))}).")
    return paths


def compute_photos_fingerprint(folder: Path) -> str:
    """Compute the fingerprint of a folder's photographs, see `compute_fingerprint`. Raises UnblurError without any."""
    return compute_fingerprint((path.name, (path,)) for path in find_photos(folder))


def find_content_table(folder: Path) -> Path:
    """Return the path of the table that balances the photographs of `folder`, if there is one."""
    return folder.with_suffix(".csv")


def _read_balanced_weights(names: list[str], table: Path) -> Tensor:
    content: dict[str, str] = {}
    if table.is_file():
        try:
            with table.open(encoding="utf-8", newline="") as file:
                content = {row["file"]: row["content"] for row in csv.DictReader(file)}
        except (OSError, ValueError, KeyError, csv.Error) as error:
            raise UnblurError(
                f"{table} does not say what the photographs show ({type(error).__name__}); it needs the columns file "
                "and content, or has to be moved away."
            ) from error
    kinds = [content.get(name, "unknown") for name in names]
    count = Counter(kinds)
    weights = torch.tensor([count[kind] ** -0.5 for kind in kinds], dtype=torch.float64)
    return weights / weights.sum()
