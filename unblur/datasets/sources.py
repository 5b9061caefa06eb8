"""Sources of training patches that a recipe can list."""

from dataclasses import dataclass
from pathlib import Path

from unblur.blur import Camera
from unblur.datasets.pair_files import PairFiles
from unblur.datasets.pair_folder import PairFolder
from unblur.datasets.signs import FONTS, SignStyle
from unblur.errors import UnblurError
from unblur.photos.lettering import ALL_FONTS


@dataclass(frozen=True, kw_only=True)
class SimulatedBlur:
    """Photographs of the run, blurred by another camera."""

    camera: Camera
    share: float
    """Share of all patches, above 0 and at most 1."""


TO_LEARN = SignStyle(
    height_px=384,
    width_px=512,
    capital_px=(6.0, 40.0),
    fonts=tuple(font for font in ALL_FONTS if font not in FONTS),
    invented=True,
    most_lines=8,
    seed=20261122,
)
"""Style of signs for training: other fonts and words than those of the signs for measuring."""


@dataclass(frozen=True, kw_only=True)
class SyntheticText:
    """Signs in front of the photographs of the run, blurred by a camera: photographs seldom show text."""

    camera: Camera
    signs: SignStyle = TO_LEARN
    count: int = 256
    share: float
    """Share of all patches, above 0 and at most 1."""


@dataclass(frozen=True, kw_only=True)
class PairSet:
    """Pairs on disk: those of a data set that are for training, or shards of `unblur simulate`."""

    folder: str
    """A data set that `unblur datasets` lists, a folder with blurry/ and sharp/, or one of shards."""
    data_set: str | None = None
    """The name in `unblur datasets`, where the folder is ambiguous."""
    holdout: float = 0.0
    """Share of the pairs, the last in the order of their names, that is left out for measuring."""
    share: float
    """Share of all patches, above 0 and at most 1."""

    def find_training_files(self) -> list[PairFiles]:
        """Return the pairs to learn from. Raises UnblurError when there are none."""
        return _split_holdout(self)[0]

    def find_holdout_files(self) -> list[PairFiles]:
        """Return the pairs that are left out. Raises UnblurError when there are none to learn from."""
        return _split_holdout(self)[1]


DataSource = SimulatedBlur | SyntheticText | PairSet


def _split_holdout(pair_set: PairSet) -> tuple[list[PairFiles], list[PairFiles]]:
    """Hold out the last pairs, not every fifth: neighbours in a video are nearly the same picture."""
    files = PairFolder(Path(pair_set.folder), name=pair_set.data_set, for_training=True).files
    if not pair_set.holdout:
        return files, []
    holdout = count_holdout(pair_set.folder, len(files), pair_set.holdout)
    return files[:-holdout], files[-holdout:]


def count_holdout(folder: Path | str, pairs: int, share: float) -> int:
    """Return the number of the `pairs` in `folder` that a share leaves out: at least one, and not all, or 0 for 0.

    Raises UnblurError when none would remain for training.
    """
    if not share:
        return 0
    if pairs < 2:
        raise UnblurError(f"{folder} holds one pair, and none would remain for training; give more pairs.")
    return min(pairs - 1, max(1, round(share * pairs)))
