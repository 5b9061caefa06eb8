"""Recognises the data set of a folder by its tree."""

from dataclasses import dataclass
from pathlib import Path

from unblur.datasets.catalogue import CATALOGUE, DataSet
from unblur.datasets.listing import Listing, Split
from unblur.errors import UnblurError


@dataclass(frozen=True, kw_only=True)
class DetectedDataset:
    """A data set and what of it lies below a folder."""

    folder: Path
    data_set: DataSet
    listing: Listing

    def split(self, name: str) -> Split:
        """Return one split by its name. Raises UnblurError when it is not there."""
        for split in self.listing.splits:
            if split.name == name:
                return split
        there = ", ".join(split.name for split in self.listing.splits)
        raise UnblurError(f"{self.folder} is {self.data_set.title} and has no split {name}; it has {there}.")

    def select_measured_splits(self) -> list[Split]:
        """Return the splits of the data set that results are reported on. Raises UnblurError when none is there."""
        splits = [split for split in self.listing.splits if split.name in self.data_set.measured]
        return splits or [self.split(self.data_set.measured[0])]

    def select_training_splits(self) -> list[Split]:
        """Return the splits of the data set that are for training. Raises UnblurError when none is there."""
        if not self.data_set.trained:
            raise UnblurError(f"{self.folder} is {self.data_set.title}, which is for measuring; train on another set.")
        splits = [split for split in self.listing.splits if split.name in self.data_set.trained]
        return splits or [self.split(self.data_set.trained[0])]


def find_data_set(folder: Path, name: str | None = None) -> DetectedDataset:
    """Return the data set in `folder`, or that called `name` if it is there.

    Raises UnblurError when the folder is missing, and when none or more than one data set fits.
    """
    if name is not None:
        return _find_named(folder, name)
    found = detect_data_sets(folder)
    if not found:
        raise UnblurError(
            f"{folder} does not have the layout of a known data set; give a folder with blurry/ and "
            "sharp/, or one of those that `unblur datasets` lists."
        )
    if len(found) > 1:
        names = [match.data_set.name for match in found]
        raise UnblurError(
            f"{folder} holds several data sets, {', '.join(names)}; give the folder of one, or add --as {names[0]}."
        )
    return found[0]


def detect_data_sets(folder: Path) -> list[DetectedDataset]:
    """Return every data set whose layout is that of `folder`. Raises UnblurError when there is no such folder."""
    return [found for data_set in CATALOGUE if (found := _detect(folder, data_set, named=False)) is not None]


def _find_named(folder: Path, name: str) -> DetectedDataset:
    for data_set in CATALOGUE:
        if data_set.name == name:
            found = _detect(folder, data_set, named=True)
            if found is None:
                raise UnblurError(
                    f"{folder} does not have the layout of {data_set.title}: {data_set.layout}; "
                    "give the folder that has it."
                )
            return found
    raise UnblurError(f"There is no data set {name}; the names are {', '.join(s.name for s in CATALOGUE)}.")


def _detect(folder: Path, data_set: DataSet, *, named: bool) -> DetectedDataset | None:
    if not folder.is_dir():
        raise UnblurError(f"There is no folder {folder}; give the folder of a data set.")
    # Data sets are recognised by the names of folders: "." has none.
    listing = data_set.find(folder.absolute(), named)
    return None if listing is None else DetectedDataset(folder=folder, data_set=data_set, listing=listing)
