"""Lists the files of a data set: its splits, their pairs, and the files that lack a twin or belong to none."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from unblur.datasets.pair_files import PairFiles, Picture
from unblur.errors import UnblurError
from unblur.photos.formats import READABLE_SUFFIXES
from unblur.regular_files import read_regular_text

_NOTES = frozenset({".csv", ".html", ".json", ".m", ".md", ".pdf", ".txt", ".zip"})
"""Suffixes of files that accompany a data set and are not part of it."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """One part of a data set, sorted by the names of the pairs."""

    name: str
    pairs: tuple[PairFiles, ...]
    missing: tuple[str, ...] = ()
    """Files that should be there, in words."""
    part_of: str = ""
    """The split that holds the same pairs and more, if there is one."""


@dataclass(frozen=True, kw_only=True)
class Listing:
    """All that was found below a folder."""

    layout: str
    """The name of the arrangement of the files."""
    splits: tuple[Split, ...]
    extra: tuple[str, ...] = ()
    """Files that belong to no pair, relative to the folder."""


def list_pictures(folder: Path) -> dict[str, Path]:
    """Return the photographs that lie in `folder` itself, by name, sorted; none when there is no such folder.

    Hidden files are none: beside a.jpg macOS leaves ._a.jpg, which holds no picture.
    """
    if not folder.is_dir():
        return {}
    return {path.name: path for path in sorted(folder.iterdir()) if _is_picture(path)}


def list_folders(folder: Path) -> list[Path]:
    """Return the folders that lie in `folder`, sorted; none when there is no such folder."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def match_pairs(
    name: str, blurry: Mapping[str, Path], sharp: Mapping[str, Path], root: Path, expected: Iterable[str] = ()
) -> Split:
    """Pair the pictures of equal keys to a split; `expected` are the keys of the whole data set."""
    pairs = [
        PairFiles(name=_extract_file_name(key), blurry=Picture(path=blurry[key]), sharps=(Picture(path=sharp[key]),))
        for key in sorted(blurry.keys() & sharp.keys())
    ]
    missing = [f"the sharp twin of {_strip_folder(blurry[key], root)}" for key in sorted(blurry.keys() - sharp.keys())]
    missing += [f"the blurry twin of {_strip_folder(sharp[key], root)}" for key in sorted(sharp.keys() - blurry.keys())]
    missing += [f"both of {_extract_file_name(key)}" for key in sorted(set(expected) - blurry.keys() - sharp.keys())]
    return Split(name=name, pairs=tuple(pairs), missing=tuple(missing))


def make_unpaired_split(name: str, blurry: Mapping[str, Path], expected: Iterable[str] = ()) -> Split:
    """Return the split of blurry photographs whose sharp twins are unknown."""
    pairs = [PairFiles(name=_extract_file_name(key), blurry=Picture(path=blurry[key])) for key in sorted(blurry)]
    missing = [_extract_file_name(key) for key in sorted(set(expected) - blurry.keys())]
    return Split(name=name, pairs=tuple(pairs), missing=tuple(missing))


def read_split(name: str, list_file: Path, folder: Path, root: Path) -> Split:
    """Return the pairs that the lines `gt_path blurry_path ...` of an official list name.

    The paths begin with the name that the authors gave `folder`, whatever it is called here. A pair is named by its
    folder below that, or by that and its file where a folder holds several. Raises UnblurError for other lines.
    """
    try:
        lines = read_regular_text(list_file).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UnblurError(f"{list_file} cannot be read ({error}); get it again from its origin.") from error
    pairs, missing = [], []
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words:
            continue
        if len(words) < 2 or any(len(Path(word).parts) < 4 or ".." in Path(word).parts for word in words[:2]):
            raise UnblurError(
                f'{list_file}, line {number}: "{line.strip()[:80]}" does not name a sharp and a blurry file; '
                "get the list again from its origin."
            )
        sharp, blurry = (folder.joinpath(*Path(word).parts[1:]) for word in words[:2])
        there = [path.is_file() for path in (sharp, blurry)]
        missing += [_strip_folder(path, root) for path, found in zip((sharp, blurry), there, strict=True) if not found]
        if all(there):
            inside = Path(words[1]).parts[1:]
            # scene230/blur/blur_7.png, but 0014/000422/real_blur/real_blur.png.
            key = "-".join((inside[0], inside[-1] if len(inside) == 3 else f"{inside[1]}{blurry.suffix}"))
            pairs.append(PairFiles(name=key, blurry=Picture(path=blurry), sharps=(Picture(path=sharp),)))
    return Split(name=name, pairs=tuple(sorted(pairs, key=lambda pair: pair.name)), missing=tuple(sorted(missing)))


def find_unmatched_files(
    splits: Iterable[Split], known: Iterable[Path], folders: Iterable[Path], root: Path
) -> tuple[str, ...]:
    """Find the files in and below `folders` that are neither in `splits` nor `known`, notes nor hidden."""
    used = {picture.path for split in splits for pair in split.pairs for picture in (pair.blurry, *pair.sharps)}
    used.update(known)
    beyond = {path for folder in folders for path in _find_files(folder) if path.suffix.lower() not in _NOTES}
    return tuple(sorted(_strip_folder(path, root) for path in beyond - used))


def _find_files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and not path.name.startswith(".") and path.name not in ("Thumbs.db", "desktop.ini"):
            yield path


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in READABLE_SUFFIXES and not path.name.startswith(".") and path.is_file()


def _extract_file_name(key: str) -> str:
    return key if Path(key).suffix.lower() in READABLE_SUFFIXES else f"{key}.png"


def _strip_folder(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()
