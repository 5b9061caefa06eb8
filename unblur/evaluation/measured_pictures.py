"""Finds the images that `unblur evaluate FOLDER` means, and the protocol that they are measured by."""

from dataclasses import dataclass, replace
from pathlib import Path

from unblur.datasets import PairFolder
from unblur.datasets.catalogue import FOLDER, SIMULATED
from unblur.datasets.listing import list_pictures
from unblur.datasets.pair_files import PairFiles, Picture
from unblur.datasets.photo_folder import find_photos
from unblur.datasets.recognition import detect_data_sets
from unblur.errors import UnblurError
from unblur.evaluation.measure import NamedFiles
from unblur.evaluation.protocol import PAIRS, Protocol, choose_protocol, find_protocol


@dataclass(frozen=True, kw_only=True)
class MeasuredPictures:
    """The pictures of a folder that are measured, and how."""

    title: str
    """The title for people."""
    data_set: str
    """The name for tables, without the folder on this machine."""
    files: tuple[NamedFiles, ...]
    protocol: Protocol

    def evenly(self, count: int) -> "MeasuredPictures":
        """Return at most `count` of the images, evenly spread."""
        files = self.files
        if count < len(files):
            files = tuple(files[number * len(files) // count] for number in range(count))
        return replace(self, files=files)


def find_pictures(
    folder: Path, split: str | None = None, name: str | None = None, protocol: str | None = None
) -> MeasuredPictures:
    """Find the data set in `folder`, or the photographs in it, each of which is expected to stay unchanged.

    `split`, `name` and `protocol` instead of the usual ones. Raises UnblurError when there is nothing to measure.
    """
    wanted = None if protocol is None else find_protocol(protocol)
    if split is None and name is None and list_pictures(folder) and not detect_data_sets(folder):
        pictures = [Picture(path=path) for path in find_photos(folder)]
        photos = [PairFiles(name=own.path.name, blurry=own, sharps=(own,)) for own in pictures]
        return MeasuredPictures(
            title=f"{folder}",
            data_set=folder.absolute().name,
            files=tuple(NamedFiles(image=photo.name, files=photo) for photo in photos),
            protocol=wanted or PAIRS,
        )
    pairs = PairFolder(folder, split, name, need_sharp=False)
    splits = [part.name for part in pairs.splits]
    chosen = wanted or choose_protocol(pairs.data_set.name, splits, has_sharp=pairs.has_sharp)
    if chosen.needs_sharp and not pairs.has_sharp:
        raise UnblurError(f"{folder} has photographs without sharp twins; measure them with --protocol no-reference.")
    files = tuple(
        NamedFiles(image=f"{part.name}/{files.name}" if len(pairs.splits) > 1 else files.name, files=files)
        for part in pairs.splits
        for files in part.pairs
    )
    if pairs.data_set in (FOLDER, SIMULATED):
        return MeasuredPictures(title=f"{folder}", data_set=folder.absolute().name, files=files, protocol=chosen)
    parts = " and ".join(splits)
    count = f"{len(pairs)} pictures" if pairs.expected is None else f"{len(pairs)} of {pairs.expected} pairs"
    return MeasuredPictures(
        title=f"{folder}: {pairs.data_set.title} {parts}, {count}",
        data_set=f"{pairs.data_set.name} {parts}",
        files=files,
        protocol=chosen,
    )
