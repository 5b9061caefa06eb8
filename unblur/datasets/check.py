"""Checks a data set on disk: counts, missing and extra files, damage, unequal sizes, misaligned twins."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from torch import Tensor

from unblur.datasets.alignment import measure_shift
from unblur.datasets.listing import Split
from unblur.datasets.pair_files import Picture, format_size, read_picture
from unblur.datasets.recognition import DetectedDataset
from unblur.errors import UnblurError

OFF_CENTRE_PX = 0.5
"""A blur whose middle lies farther from its sharp twin costs PSNR that no restoration can win back."""
MISALIGNED_PX, MISALIGNED_SHARE = 5.0, 0.02
"""Farther than both this and this share of the longer side, the twins do not belong together: the middle of a blur
lies off its sharp twin by half the path at most, where that shows the exposure's first or last moment."""


@dataclass(frozen=True, kw_only=True)
class PairShift:
    """The displacement of the middle of a pair's blur from the sharp photograph."""

    pair: str
    right_px: float
    down_px: float
    length_px: float
    misaligned: bool


@dataclass(frozen=True, kw_only=True)
class SplitCheck:
    """The findings about one split."""

    split: str
    pairs: int
    expected: int | None
    """Pairs that the whole data set has; None where that is not known."""
    missing: tuple[str, ...]
    unreadable: tuple[str, ...]
    unequal: tuple[str, ...]
    shifts: tuple[PairShift, ...]
    """Displacements of all pairs that could be compared."""

    @property
    def count_is_right(self) -> bool:
        """Whether as many pairs are there as there should be, as far as that is known."""
        return self.expected is None or self.pairs == self.expected

    @property
    def off_centre(self) -> list[PairShift]:
        """Pairs whose blur lies to one side, the farthest first; no mistake by itself."""
        return sorted((s for s in self.shifts if s.length_px > OFF_CENTRE_PX), key=lambda s: -s.length_px)

    @property
    def misaligned(self) -> list[PairShift]:
        """Pairs that hardly show the same, the farthest apart first."""
        return [shift for shift in self.off_centre if shift.misaligned]

    @property
    def median_shift_px(self) -> float:
        """Return the median displacement of the pairs; 0 when none was compared."""
        return median(shift.length_px for shift in self.shifts) if self.shifts else 0.0

    @property
    def is_sound(self) -> bool:
        """Whether nothing has to be mended."""
        return self.count_is_right and not (self.missing or self.unreadable or self.unequal or self.misaligned)


@dataclass(frozen=True, kw_only=True)
class DataSetCheck:
    """The findings about a data set."""

    folder: str
    data_set: str
    layout: str
    pictures_opened: bool
    splits: tuple[SplitCheck, ...]
    not_there: tuple[str, ...]
    """Splits of which no file was found, which is not an error."""
    extra: tuple[str, ...]

    @property
    def is_sound(self) -> bool:
        """Whether nothing has to be mended."""
        return not self.extra and any(s.pairs for s in self.splits) and all(s.is_sound for s in self.splits)


def check_data_set(found: DetectedDataset, *, quick: bool, opened: Callable[[], object] = lambda: None) -> DataSetCheck:
    """Check a whole data set; `quick` opens no image. `opened` is called after each pair."""
    names = {split.name for split in found.listing.splits}
    return DataSetCheck(
        folder=str(found.folder),
        data_set=found.data_set.name,
        layout=found.listing.layout,
        pictures_opened=not quick,
        splits=tuple(
            _check_split(split, found.data_set.expected(split.name), quick, opened) for split in found.listing.splits
        ),
        not_there=tuple(size.split for size in found.data_set.sizes if size.split not in names),
        extra=found.listing.extra,
    )


def _check_split(split: Split, expected: int | None, quick: bool, opened: Callable[[], object]) -> SplitCheck:
    unreadable, unequal, shifts = [], [], []
    # The pairs of a part are opened with the whole.
    for files in () if quick or split.part_of else split.pairs:
        sizes: dict[str, None] = {}
        retained: dict[Picture, Tensor] = {}
        for picture in (files.blurry, *files.sharps):
            try:
                pixels = read_picture(picture)
            except UnblurError as error:
                unreadable.append(str(error))
                continue
            sizes[format_size(pixels)] = None
            if picture in (files.blurry, files.sharp):
                retained[picture] = pixels
        if len(sizes) > 1:
            unequal.append(f"{files.name}: {' and '.join(sizes)}")
        elif files.sharp is not None and len(retained) == 2:
            shifts.append(_measure_pair_shift(files.name, retained[files.blurry], retained[files.sharp]))
        opened()
    return SplitCheck(
        split=split.name,
        pairs=len(split.pairs),
        expected=expected,
        missing=split.missing,
        unreadable=tuple(unreadable),
        unequal=tuple(unequal),
        shifts=tuple(shifts),
    )


def _measure_pair_shift(pair: str, blurry: Tensor, sharp: Tensor) -> PairShift:
    shift = measure_shift(blurry, sharp)
    limit_px = max(MISALIGNED_PX, MISALIGNED_SHARE * max(sharp.shape))
    return PairShift(
        pair=pair,
        right_px=round(shift.right_px, 2),
        down_px=round(shift.down_px, 2),
        length_px=round(shift.length_px, 2),
        misaligned=shift.length_px > limit_px,
    )
