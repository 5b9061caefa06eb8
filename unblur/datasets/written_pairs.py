"""Pairs made here, written as a folder that `unblur evaluate` reads."""

import io
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from torch import Tensor

from unblur.atomic import write_atomically
from unblur.config import from_json, to_json
from unblur.datasets.pair import Pair
from unblur.errors import UnblurError
from unblur.photos.photo import Photo
from unblur.photos.writing import write_photo


def write_pair(folder: Path, pair: Pair) -> None:
    """Write into blurry/ and sharp/ and, where it is known, the true motion into motion/, a .npz with start and end.

    Raises UnblurError when a file cannot be written.
    """
    try:
        for side, picture in (("blurry", pair.blurry), ("sharp", pair.sharp)):
            (folder / side).mkdir(parents=True, exist_ok=True)
            write_photo(Photo(pixels=_to_pixels(picture)), folder / side / pair.name)
        if pair.motion is not None:
            (folder / "motion").mkdir(exist_ok=True)
            arrays = io.BytesIO()
            np.savez(arrays, start=pair.motion.start.numpy(), end=pair.motion.end.numpy())
            write_atomically(folder / "motion" / f"{Path(pair.name).stem}.npz", arrays.getvalue())
    except OSError as error:
        raise UnblurError(f"{folder} cannot be written: {error.strerror or error}; choose another place.") from error


def write_set(folder: Path, settings: object, pairs: Callable[[], Iterable[Pair]]) -> None:
    """Write all `pairs`, and the frozen dataclass of their settings into settings.json, unless they exist.

    Raises UnblurError when other pairs exist, or a file cannot be written.
    """
    path = folder / "settings.json"
    if path.is_file():
        if from_json(path.read_text(encoding="utf-8"), type(settings), source=path) != settings:
            raise UnblurError(f"{folder} holds pairs of other photographs or settings; choose another folder.")
        return
    for pair in pairs():
        write_pair(folder, pair)
    # Last, so that it stands for all of them.
    write_atomically(path, to_json(settings).encode())


def _to_pixels(picture: Tensor) -> np.ndarray:
    return (picture * 255).round().byte().permute(1, 2, 0).contiguous().numpy()
