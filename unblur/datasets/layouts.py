"""The ways in which the deblurring data sets are arranged on disk, one function each.

Every function lists the pairs below `root`, or gives None where the tree is another's. `named` says that a person
has called the data set by its name, so that folders which many data sets have may be taken for it. Sources of the
layouts: docs/reference/data-sets.md.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from unblur.datasets.listing import (
    Listing,
    Split,
    find_unmatched_files,
    list_folders,
    list_pictures,
    make_unpaired_split,
    match_pairs,
    read_split,
)
from unblur.datasets.pair_files import PairFiles, Picture, make_shard_pair
from unblur.datasets.shard_files import find_shards, holds_shards
from unblur.photos.formats import READABLE_SUFFIXES

Layout = Callable[[Path, bool], Listing | None]

OFFICIAL, CONVERTED = "the authors' own", "input/ and target/, as Restormer and others give it away"

RSBLUR_PARTS = (("saturated", "saturation"), ("not saturated", "non_saturation"))
"""Parts of RSBlur's test set that its evaluate_RSBlur.py reports apart, and how their lists are called."""

KOEHLER_LEFT_OUT = {"Blurry1_3": (30, 199)}
"""Numbers, from 1, of the moments that Koehler's eval_image.m passes over: of Blurry1_3 it takes 1-29 and 31-198."""

BSD_EXPOSURES = ("1ms8ms", "2ms16ms", "3ms24ms")
"""Exposures of the sharp and of the blurry camera."""


def find_pair_folder(root: Path, named: bool) -> Listing | None:  # noqa: ARG001
    """List the photographs of blurry/ and sharp/, which have equal names, or of blurry/ alone."""
    blurry, sharp = list_pictures(root / "blurry"), list_pictures(root / "sharp")
    if not blurry and not sharp:
        return None
    if (root / "sharp").is_dir():
        split, layout = match_pairs("all", blurry, sharp, root), "blurry/ and sharp/"
    else:
        split, layout = make_unpaired_split("all", blurry), "blurry/ alone"
    known = [*blurry.values(), *sharp.values()]
    extra = find_unmatched_files([split], known, [root / "blurry", root / "sharp"], root)
    return Listing(layout=layout, splits=(split,), extra=extra)


def find_simulated(root: Path, named: bool) -> Listing | None:  # noqa: ARG001
    """List the pairs in the shards of `unblur simulate`. Raises UnblurError when some are missing."""
    if not holds_shards(root):
        return None
    files = find_shards(root)
    split = Split(name="all", pairs=tuple(make_shard_pair(files, index) for index in range(files.pairs)))
    return Listing(layout="shards of `unblur simulate`", splits=(split,))


def find_gopro(root: Path, named: bool) -> Listing | None:
    """List the pairs of GoPro."""
    splits: list[Split] = []
    known: list[Path] = []
    folders: list[Path] = []
    for split in ("train", "test"):
        sequences = [folder for folder in list_folders(root / split) if (folder / "sharp").is_dir()]
        sharp = _find_by_folder(sequences, "sharp")
        for side, suffix in (("blur", ""), ("blur_gamma", "-gamma")):
            blurry = _find_by_folder(sequences, side)
            if blurry:
                splits.append(match_pairs(f"{split}{suffix}", blurry, sharp, root))
                known += blurry.values()
        known += sharp.values()
        folders += [root / split] if sequences else []
    if not splits:
        return _find_converted(root, "GoPro", named)
    return Listing(layout=OFFICIAL, splits=tuple(splits), extra=find_unmatched_files(splits, known, folders, root))


def find_hide(root: Path, named: bool) -> Listing | None:
    """List the pairs of HIDE."""
    truth = list_pictures(root / "GT")
    if not truth:
        return _find_converted(root, "HIDE", named)
    blurry = {"train": list_pictures(root / "train"), "test": {}}
    for folder in list_folders(root / "test"):
        blurry["test"] |= list_pictures(folder)
    splits = []
    for name, photos in blurry.items():
        if photos:
            sharp = {key: path for key, path in truth.items() if key in photos}
            splits.append(match_pairs(name, photos, sharp, root))
    if not splits:
        return None
    # The truth of a part that was not fetched is not an error.
    known = truth.values() if len(splits) < len(blurry) else ()
    unmatched = [path for photos in blurry.values() for path in photos.values()]
    folders = [root / "GT", root / "train", root / "test"]
    extra = find_unmatched_files(splits, [*known, *unmatched], folders, root)
    return Listing(layout=OFFICIAL, splits=tuple(splits), extra=extra)


def find_reds(root: Path, named: bool) -> Listing | None:  # noqa: ARG001
    """List the pairs of REDS.

    NAFNet's "val-300" are the frames whose numbers end in 9 (its scripts/data_preparation/reds.py).
    """
    splits: list[Split] = []
    known: list[Path] = []
    folders: list[Path] = []
    for split, sequences in (("train", 240), ("val", 30), ("test", 30)):
        above = root / split if (root / split).is_dir() else root
        expected = frozenset(f"{sequence:03}_{frame:08}" for sequence in range(sequences) for frame in range(100))
        sharp = _find_frames(above / f"{split}_sharp", expected)
        for side, suffix in (("blur", ""), ("blur_jpeg", "-jpeg"), ("blur_comp", "-mpeg")):
            blurry = _find_frames(above / f"{split}_{side}", expected)
            if not blurry:
                continue
            name = f"{split}{suffix}"
            holdout = split == "test" and not sharp
            splits.append(
                make_unpaired_split(name, blurry, expected)
                if holdout
                else match_pairs(name, blurry, sharp, root, expected)
            )
            if split == "val":
                splits.append(_select_every_tenth(splits[-1]))
            known += blurry.values()
            folders.append(above / f"{split}_{side}")
        known += sharp.values()
        folders += [above / f"{split}_sharp"] if sharp else []
    if not splits:
        return None
    return Listing(layout=OFFICIAL, splits=tuple(splits), extra=find_unmatched_files(splits, known, folders, root))


def find_realblur_j(root: Path, named: bool) -> Listing | None:
    """List the pairs of RealBlur-J."""
    return _find_realblur(root, named, "J", "RealBlur-J_ECC_IMCORR_centroid_itensity_ref")


def find_realblur_r(root: Path, named: bool) -> Listing | None:
    """List the pairs of RealBlur-R."""
    return _find_realblur(root, named, "R", "RealBlur-R_BM3D_ECC_IMCORR_centroid_itensity_ref")


def find_bsd(root: Path, named: bool) -> Listing | None:  # noqa: ARG001
    """List the pairs of BSD."""
    splits: list[Split] = []
    known: list[Path] = []
    folders: list[Path] = []
    for exposure in BSD_EXPOSURES:
        setup = root if root.name == f"BSD_{exposure}" else root / f"BSD_{exposure}"
        for split, short in (("train", "train"), ("valid", "val"), ("test", "test")):
            sequences = list_folders(setup / split)
            blurry = _find_by_folder(sequences, "Blur/RGB", f"{exposure}_")
            sharp = _find_by_folder(sequences, "Sharp/RGB", f"{exposure}_")
            if blurry or sharp:
                splits.append(match_pairs(f"{short}-{exposure}", blurry, sharp, root))
                known += [*blurry.values(), *sharp.values()]
                folders += [folder / side / "RGB" for folder in sequences for side in ("Blur", "Sharp")]
    if not splits:
        return None
    return Listing(layout=OFFICIAL, splits=tuple(splits), extra=find_unmatched_files(splits, known, folders, root))


def find_rsblur(root: Path, named: bool) -> Listing | None:  # noqa: ARG001
    """List the pairs of RSBlur.

    Lists that separate the saturated pictures of the test set from the others define its parts, where they exist.
    """
    folder = root / "RSBlur" if (root / "RSBlur").is_dir() else root
    scenes = [scene for day in list_folders(folder) if re.fullmatch(r"\d{4}", day.name) for scene in list_folders(day)]
    blurry = {f"{s.parent.name}-{s.name}": s / "real_blur" / "real_blur.png" for s in scenes}
    sharp = {f"{s.parent.name}-{s.name}": s / "gt" / "gt_sharp.png" for s in scenes}
    blurry, sharp = ({key: path for key, path in side.items() if path.is_file()} for side in (blurry, sharp))
    if not blurry and not sharp:
        return None
    watched = [scene / side for scene in scenes for side in ("real_blur", "gt")]
    names = {name: f"RSBlur_real_{name}.txt" for name in ("train", "val", "test")}
    listing = _split_by_lists(root, folder, names, blurry, sharp, watched)
    parts = {part: f"RSBlur_real_test_{name}.txt" for part, name in RSBLUR_PARTS}
    part_of = {
        pair.name: part
        for part, file in _find_lists(root, folder, parts).items()
        for pair in read_split(part, file, folder, root).pairs
    }
    if not part_of:
        return listing
    splits = (
        replace(split, pairs=tuple(replace(p, part=part_of.get(p.name, "in neither list")) for p in split.pairs))
        if split.name == "test"
        else split
        for split in listing.splits
    )
    return replace(listing, splits=tuple(splits))


def find_gs_blur(root: Path, named: bool) -> Listing | None:  # noqa: ARG001
    """List the pairs of GS-Blur."""
    blurry, sharp = list_pictures(root / "input_noise"), list_pictures(root / "target")
    if not blurry:
        return None
    split = match_pairs("all", blurry, sharp, root)
    known = [*blurry.values(), *sharp.values()]
    extra = find_unmatched_files([split], known, [root / "input_noise", root / "target"], root)
    return Listing(layout=OFFICIAL, splits=(split,), extra=extra)


def find_rwbi(root: Path, named: bool) -> Listing | None:
    """List the pairs of RWBI."""
    photos = list_pictures(root)
    if not photos or not (named or "rwbi" in root.name.lower()):
        return None
    split = make_unpaired_split("all", photos)
    return Listing(layout=OFFICIAL, splits=(split,), extra=find_unmatched_files([split], (), [root], root))


def find_koehler(root: Path, named: bool) -> Listing | None:  # noqa: ARG001
    """List the pairs of Koehler's benchmark.

    The truth are all moments of the exposure but those that the authors' evaluation passes over.
    """
    pattern = re.compile(r"Blurry([1-4])_([1-9]|1[0-2])")
    blurry: dict[str, Path] = {}
    for folder in (root, root / "BlurryImages"):
        blurry |= {path.stem: path for path in list_pictures(folder).values() if pattern.fullmatch(path.stem)}
    if not blurry:
        return None
    frames: dict[str, list[tuple[int, Path]]] = {}
    for path in root.rglob("GroundTruth*_*_*.*"):
        match = re.fullmatch(r"GroundTruth(\d+_\d+)_(\d+)", path.stem)
        if match and path.suffix.lower() in READABLE_SUFFIXES:
            frames.setdefault(f"Blurry{match[1]}", []).append((int(match[2]), path))
    pairs, missing = [], []
    for key in (f"Blurry{image}_{kernel}" for image in range(1, 5) for kernel in range(1, 13)):
        stack = root / "groundTruthMatFiles" / f"{key.replace('Blurry', 'GroundTruth')}.mat"
        left_out = KOEHLER_LEFT_OUT.get(key, ())
        sharps = tuple(Picture(path=path) for n, path in sorted(frames.get(key, [])) if n not in left_out)
        if not sharps and stack.is_file():
            sharps = (Picture(path=stack, variable="GroundTruth", without=left_out),)
        if key not in blurry:
            missing.append(f"{key}.png")
        elif not sharps:
            missing.append(f"the ground truth of {key}, groundTruthMatFiles/{stack.name}")
        else:
            pairs.append(PairFiles(name=f"{key}.png", blurry=Picture(path=blurry[key]), sharps=sharps))
    split = Split(name="test", pairs=tuple(sorted(pairs, key=lambda pair: pair.name)), missing=tuple(missing))
    extra = find_unmatched_files([split], blurry.values(), [root / "BlurryImages"], root)
    return Listing(layout=OFFICIAL, splits=(split,), extra=extra)


def find_levin(root: Path, named: bool) -> Listing | None:  # noqa: ARG001
    """List the pairs of Levin's pictures."""
    expected = [f"im0{image}_flit0{kernel}" for image in range(5, 9) for kernel in range(1, 9)]
    for folder in (root, root / "Levin09blurdata", root / "LevinEtalCVPR09Data" / "Levin09blurdata"):
        files = {key: folder / f"{key}.mat" for key in expected if (folder / f"{key}.mat").is_file()}
        if files:
            break
    else:
        return None
    pairs = tuple(
        PairFiles(
            name=f"{key}.png",
            blurry=Picture(path=path, variable="y"),
            sharps=(Picture(path=path, variable="x"),),
        )
        for key, path in files.items()
    )
    split = Split(name="test", pairs=pairs, missing=tuple(f"{key}.mat" for key in expected if key not in files))
    return Listing(layout=OFFICIAL, splits=(split,), extra=find_unmatched_files([split], (), [folder], root))


def _find_realblur(root: Path, named: bool, camera: str, official: str) -> Listing | None:
    folder = root if root.name == official else root / official
    if not folder.is_dir():
        return _find_converted(root, f"RealBlur_{camera}", named)
    blurry: dict[str, Path] = {}
    sharp: dict[str, Path] = {}
    for scene in list_folders(folder):
        for side, photos in (("blur", blurry), ("gt", sharp)):
            for path in list_pictures(scene / side).values():
                photos[f"{scene.name}-blur_{path.name.removeprefix(f'{side}_')}"] = path
    names = {name: f"RealBlur_{camera}_{name}_list.txt" for name in ("train", "test")}
    return _split_by_lists(root, folder, names, blurry, sharp, [folder])


def _split_by_lists(
    root: Path,
    folder: Path,
    lists: Mapping[str, str],
    blurry: Mapping[str, Path],
    sharp: Mapping[str, Path],
    watched: Iterable[Path],
) -> Listing:
    """Match the pairs below `folder`, split as the authors' lists say, which lie beside it or in `root`."""
    found = _find_lists(root, folder, lists)
    splits = [read_split(name, found[name], folder, root) for name in lists if name in found]
    if not found:
        split = match_pairs("all", blurry, sharp, root)
        lost = f"{', '.join(lists.values())}, which separate the pairs for training from those for testing"
        splits = [Split(name="all", pairs=split.pairs, missing=(lost, *split.missing))]
    # A file that is in no list that is there may be in one that is not.
    known = () if len(found) == len(lists) else (*blurry.values(), *sharp.values())
    return Listing(layout=OFFICIAL, splits=tuple(splits), extra=find_unmatched_files(splits, known, watched, root))


def _find_lists(root: Path, folder: Path, lists: Mapping[str, str]) -> dict[str, Path]:
    """Return the official list files that exist, keyed by their content."""
    places = [root, folder.parent, root / "datalist" / "RSBlur"]
    return {name: place / file for place in places[::-1] for name, file in lists.items() if (place / file).is_file()}


def _find_converted(root: Path, data_set: str, named: bool) -> Listing | None:
    """Find {train,test}/NAME/{input,target}, NAME/{train,test}/{input,target} or NAME/{input,target} at `root`.

    Training pictures that were cut into patches lie in input_crops/ and target_crops/.
    """
    is_it = named or root.name.lower() == data_set.lower()
    splits: list[Split] = []
    known: list[Path] = []
    folders: list[Path] = []
    for split in ("train", "test"):
        places = [root / split / data_set, root / data_set / split]
        places += [root / split] if is_it else []
        places += [root] if is_it and split == (root.parent.name if root.parent.name == "train" else "test") else []
        for place in places:
            for suffix in ("", "_crops"):
                blurry, sharp = list_pictures(place / f"input{suffix}"), list_pictures(place / f"target{suffix}")
                if blurry or sharp:
                    splits.append(match_pairs(f"{split}{suffix.replace('_', '-')}", blurry, sharp, root))
                    known += [*blurry.values(), *sharp.values()]
                    folders += [place / f"{side}{suffix}" for side in ("input", "target")]
    if not splits:
        return None
    return Listing(layout=CONVERTED, splits=tuple(splits), extra=find_unmatched_files(splits, known, folders, root))


def _find_by_folder(sequences: Iterable[Path], side: str, prefix: str = "") -> dict[str, Path]:
    """List the photographs in the folder `side` of each sequence, called sequence-photograph."""
    return {
        f"{prefix}{folder.name}-{name}": path
        for folder in sequences
        for name, path in list_pictures(folder / side).items()
    }


def _find_frames(folder: Path, expected: frozenset[str]) -> dict[str, Path]:
    """SSS/NNNNNNNN.png, or SSS_NNNNNNNN.png as NAFNet flattens it; the sharp ones may be PNG and the others JPEG."""
    nested = {f"{s.name}_{path.stem}": path for s in list_folders(folder) for path in list_pictures(s).values()}
    frames = nested | {path.stem: path for path in list_pictures(folder).values()}
    return {key: path for key, path in frames.items() if key in expected}


def _select_every_tenth(split: Split) -> Split:
    pairs = tuple(pair for pair in split.pairs if Path(pair.name).stem.endswith("9"))
    return Split(name=f"{split.name}-300", pairs=pairs, part_of=split.name)
