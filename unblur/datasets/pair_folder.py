"""Pairs on disk: a data set in its authors' layout, or any folder with `blurry/` and `sharp/`."""

from collections.abc import Iterator
from pathlib import Path

from unblur.datasets.pair import Pair
from unblur.datasets.pair_files import read_pair
from unblur.datasets.recognition import find_data_set
from unblur.errors import UnblurError


class PairFolder:
    """The pairs of the data set in `folder`, in the order of their names, read when they are asked for.

    Without `split` those that results are reported on, or if `for_training` those that are for training. `name` tells
    data sets apart that lie in one folder. Raises UnblurError when the folder is none, a file lacks its twin, the truth
    is unknown (unless `need_sharp` is False, for those who use `files` alone), or sizes differ.
    """

    def __init__(
        self,
        folder: Path,
        split: str | None = None,
        name: str | None = None,
        *,
        need_sharp: bool = True,
        for_training: bool = False,
    ) -> None:
        found = find_data_set(folder, name)
        self.data_set = found.data_set
        if split is not None:
            self.splits = [found.split(split)]
        else:
            self.splits = found.select_training_splits() if for_training else found.select_measured_splits()
        self.files = [files for part in self.splits for files in part.pairs]
        if missing := [file for part in self.splits for file in part.missing]:
            raise UnblurError(
                f"{folder}: {len(missing)} files of {found.data_set.title} are missing, for example {missing[0]}; "
                "`unblur check` names them all; pairs in blurry/ and sharp/ can be measured whatever their number."
            )
        if not self.files:
            raise UnblurError(f"{folder} holds no photographs in {', '.join(part.name for part in self.splits)}.")
        if need_sharp and not self.has_sharp:
            raise UnblurError(f"{folder} has no sharp twins to compare with; use `unblur restore` on its photographs.")

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[Pair]:
        return map(read_pair, self.files)

    @property
    def has_sharp(self) -> bool:
        """Whether every photograph has a sharp twin."""
        return all(files.sharp is not None for files in self.files)

    @property
    def expected(self) -> int | None:
        """Return the number of pairs of the whole data set in these splits; None where it is not known."""
        sizes = [self.data_set.expected(part.name) for part in self.splits]
        return None if None in sizes else sum(size or 0 for size in sizes)
