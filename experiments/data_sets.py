"""Data sets that experiments train on and measure: presets of the simulator, and folders with pairs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast, get_args

from unblur.blur import Camera
from unblur.blur.presets import find_preset
from unblur.datasets import DataSource, Pair, PairSet, PhotoFolder, SimulatedBlur
from unblur.datasets.photo_folder import compute_photos_fingerprint
from unblur.datasets.recognition import find_data_set
from unblur.datasets.simulated import PatchSampling, SimulatedPairs
from unblur.datasets.written_pairs import write_set
from unblur.errors import UnblurError
from unblur.evaluation.measured_pictures import MeasuredPictures, find_pictures
from unblur.names import PresetName

HOLDOUT_SHARE = 0.2
"""Share of the pairs that is held out for measuring where a data set has no split for that."""

SIMULATED_PAIRS = 60
"""Number of pairs that are measured of a simulated set, which has no end, unless another number is given."""

MEASURING_SEED = 20261121


@dataclass(frozen=True, kw_only=True)
class BenchmarkSet:
    """One data set to train on and to measure."""

    name: str
    source: DataSource | None
    """The training data; None for data sets that are only measured."""
    measured: MeasuredPictures


@dataclass(frozen=True, kw_only=True)
class MeasuringSettings:
    """Settings of a simulated set; stored in its folder."""

    camera: Camera
    pairs: int
    size_px: int
    seed: int
    photos: str
    """Fingerprint of the sharp photographs."""


def open_benchmark_sets(
    texts: Sequence[str], *, held_out: Path | None, written_to: Path, pairs: int | None, size_px: int
) -> list[BenchmarkSet]:
    """Open the data sets that `texts` name.

    These are presets of the simulator, folders, folders with a name, FOLDER@NAME, or two folders, TRAINING:MEASURED.
    Of each, `pairs` are measured, of real sets evenly spread ones; None measures all of real sets. Simulated sets are
    made of the photographs in `held_out`, `size_px` wide and high, in `written_to`. Raises UnblurError for a name that
    is neither, and for names that are equal.
    """
    if pairs is not None and pairs < 1:
        raise UnblurError(f"{pairs} pairs of each set cannot be measured; give at least 1.")
    opened: dict[str, BenchmarkSet] = {}
    for text in texts:
        if text in get_args(PresetName):
            one = _open_simulated_set(text, held_out, written_to, pairs or SIMULATED_PAIRS, size_px)
        elif folders := _parse_two_folders(text):
            one = _open_two_folders(*folders, pairs)
        else:
            one = _open_real_set(text, pairs)
        if one.name in opened:
            raise UnblurError(f"Two data sets are called {one.name}; give each once, or rename one of the folders.")
        opened[one.name] = one
    return list(opened.values())


def find_training_source(text: str) -> DataSource | None:
    """Return the training data of the data set that `text` names; None for data sets that are only measured.

    A part of the sets that their authors have not split is held out for measuring. Raises UnblurError.
    """
    if text in get_args(PresetName):
        return SimulatedBlur(camera=find_preset(cast(PresetName, text)), share=1.0)
    folder, name = _parse_folder_and_name(text)
    found = find_data_set(folder, name)
    if not any(split.pairs for split in found.listing.splits if split.name in found.data_set.trained):
        return None
    shared = found.data_set.trained == found.data_set.measured
    return PairSet(folder=str(folder), data_set=name, holdout=HOLDOUT_SHARE if shared else 0.0, share=1.0)


def _open_simulated_set(name: str, held_out: Path | None, written_to: Path, pairs: int, size_px: int) -> BenchmarkSet:
    if held_out is None:
        raise UnblurError(f"{name} is simulated; give two folders of sharp photographs, --photos and --held-out.")
    folder = written_to / name
    write_simulated_pairs(
        folder, find_preset(cast(PresetName, name)), held_out, pairs=pairs, size_px=size_px, seed=MEASURING_SEED
    )
    return BenchmarkSet(name=name, source=find_training_source(name), measured=find_pictures(folder))


def _open_real_set(text: str, pairs: int | None) -> BenchmarkSet:
    folder, name = _parse_folder_and_name(text)
    source, found = find_training_source(text), _find_measured(text, folder, name)
    files = found.files
    if isinstance(source, PairSet) and source.holdout:
        # What is learnt from must not be measured.
        holdout = set(source.find_holdout_files())
        files = tuple(named for named in files if named.files in holdout)
    measured = replace(found, files=files)
    if pairs is not None:
        measured = measured.evenly(pairs)
    return BenchmarkSet(name=name or folder.absolute().name, source=source, measured=measured)


def _open_two_folders(training: Path, measured: Path, pairs: int | None) -> BenchmarkSet:
    pictures = _find_measured(str(measured), measured)
    return BenchmarkSet(
        name=measured.absolute().name,
        source=PairSet(folder=str(training), share=1.0),
        measured=pictures if pairs is None else pictures.evenly(pairs),
    )


def _find_measured(text: str, folder: Path, name: str | None = None) -> MeasuredPictures:
    found = find_pictures(folder, name=name)
    if not found.protocol.needs_sharp:
        raise UnblurError(f"{text} has no sharp twins, so nothing can be measured on it here; leave it out.")
    return found


def _parse_two_folders(text: str) -> tuple[Path, Path] | None:
    training, _, measured = text.rpartition(":")
    folders = Path(training), Path(measured)
    return folders if training and all(folder.is_dir() for folder in folders) else None


def _parse_folder_and_name(text: str) -> tuple[Path, str | None]:
    if Path(text).is_dir():
        return Path(text), None
    folder, _, name = text.rpartition("@")
    if not folder or not Path(folder).is_dir():
        raise UnblurError(
            f"{text} is neither a folder here nor a preset of the simulator ({', '.join(get_args(PresetName))})."
        )
    return Path(folder), name


def write_simulated_pairs(folder: Path, camera: Camera, photos: Path, *, pairs: int, size_px: int, seed: int) -> None:
    """Write pairs that `camera` simulates, `size_px` wide and high, unless they are in `folder`.

    The first pairs of a larger set are those of a smaller one. Raises UnblurError when the folder holds other pairs.
    """
    sharp = PhotoFolder(photos)
    settings = MeasuringSettings(
        camera=camera,
        pairs=pairs,
        size_px=size_px,
        seed=seed,
        photos=compute_photos_fingerprint(Path(sharp.source)),
    )
    sampling = PatchSampling(patch_px=size_px, pristine_share=0.0)

    def simulated() -> Iterator[Pair]:
        made = SimulatedPairs(sharp, camera, sampling, seed)
        for index in range(pairs):
            pair = made[index]
            yield Pair(blurry=pair.blurry, sharp=pair.sharp, name=f"{index:04d}.png", motion=pair.motion)

    write_set(folder, settings, simulated)
