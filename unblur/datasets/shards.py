"""Simulated pairs on disk: tar files in the layout of WebDataset, each whole or absent.

The content of a shard is determined by the photographs, the settings and the numbers of its pairs, so that the same
shard has the same bytes wherever and whenever it is made (with the same releases of torch and libvips on the same kind
of CPU).
"""

import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from unblur.atomic import write_atomically
from unblur.blur import Camera
from unblur.config import to_json
from unblur.datasets.photo_folder import find_content_table, find_photos
from unblur.datasets.shard_files import (
    MOST_PAIRS,
    SETTINGS_NAME,
    decode_shard_picture,
    find_shards,
    format_member_names,
    make_shard_error,
    make_shard_path,
    read_shard_settings,
)
from unblur.datasets.simulated import PatchSampling, SimulatedPair
from unblur.errors import UnblurError
from unblur.photos.pixel_files import encode_png
from unblur.regular_files import open_regular, read_regular_text


@dataclass(frozen=True, kw_only=True)
class StoredPair:
    """A pair read from a shard; the pictures were rounded to eight bits."""

    index: int
    blurry: Tensor
    """(3, H, W) sRGB in [0, 1]."""
    sharp: Tensor
    """The same."""
    saturated: Tensor
    """(1, H, W) bool."""
    start: Tensor
    """(2, h, w): the true motion at every 16th pixel, as in `MotionField`: where its light came from at the start."""
    end: Tensor
    """The same at its end."""
    curve: Tensor
    """(3, 2, h, w): coefficients of the offset as a quadratic of the time in [-1, 1]."""
    record: str
    """JSON of the `PairRecord`, as text: other releases of the simulator may have other entries."""


@dataclass(frozen=True, kw_only=True)
class PhotoFile:
    """A photograph that pairs are made of."""

    name: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class ShardSettings:
    """Settings that determine the content of a folder of shards. Raises UnblurError for counts below one."""

    unblur_version: str
    seed: int
    pairs: int
    pairs_per_shard: int
    sampling: PatchSampling
    camera: Camera
    photos: tuple[PhotoFile, ...]
    content_table_sha256: str | None
    """The file that balances how often photographs are drawn, where there is one; see `PhotoFolder`."""

    def __post_init__(self) -> None:
        for name, value in (
            ("number of pairs", self.pairs),
            ("number of pairs in a shard", self.pairs_per_shard),
            ("size", self.sampling.patch_px),
        ):
            if value < 1:
                raise UnblurError(f"The {name} must be at least 1, not {value}.")
        if self.pairs > MOST_PAIRS:
            raise UnblurError(f"The number of pairs must be at most {MOST_PAIRS}, not {self.pairs}.")


def describe_photos(folder: Path) -> tuple[PhotoFile, ...]:
    """Return the photographs of a `PhotoFolder`, by name and content. Raises UnblurError when there are none."""
    return tuple(PhotoFile(name=path.name, sha256=_compute_sha256(path)) for path in find_photos(folder))


def compute_content_table_sha256(folder: Path) -> str | None:
    """Return the SHA-256 of the file that balances the photographs of `folder`; None where there is none."""
    table = find_content_table(folder)
    return _compute_sha256(table) if table.is_file() else None


def find_missing_shards(folder: Path, settings: ShardSettings) -> list[int]:
    """Return the numbers of missing shards. Those that exist are whole, because they are written atomically."""
    shards = range(-(-settings.pairs // settings.pairs_per_shard))
    return [shard for shard in shards if not make_shard_path(folder, shard).exists()]


def begin_shards(folder: Path, settings: ShardSettings) -> None:
    """Make `folder` ready for the shards of `settings`, new or continued.

    Raises UnblurError when it holds shards of other settings, or cannot be written.
    """
    path, text = folder / SETTINGS_NAME, to_json(settings)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        begun = any(folder.glob("pairs-*.tar"))
        if begun:
            _refuse_other_settings(folder, json.loads(text))
        elif not path.exists() or read_regular_text(path) != text:
            write_atomically(path, text.encode())
    except OSError as error:
        raise UnblurError(f"{folder} cannot be written: {error.strerror or error}.") from error


def write_shard(path: Path, indices: range, pair: Callable[[int], SimulatedPair]) -> None:
    """Make the pairs of `indices` and write them as one tar file, whole or not at all.

    A shard is held in memory until it is whole. Raises UnblurError when the folder or the disk refuses the file.
    """
    buffer = io.BytesIO()
    try:
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for index in indices:
                for name, data in zip(format_member_names(index), _encode(pair(index)), strict=True):
                    member = tarfile.TarInfo(name)  # Equal bytes need a fixed time, owner and mode.
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))
        write_atomically(path, buffer.getvalue())
    except OSError as error:
        raise UnblurError(
            f"{path} cannot be written: {error.strerror or error}; "
            "put that right and run the same command again, which keeps the shards that are whole."
        ) from error


def read_shard(path: Path, indices: range) -> Iterator[StoredPair]:
    """Return an iterator over the pairs of a shard in their order, which reads each pair when it is needed.

    `indices` are the numbers that they must have. Raises UnblurError when the file is cut short or damaged.
    """
    try:
        with open_regular(path) as file, tarfile.open(fileobj=file, mode="r|") as tar:
            for index in indices:
                yield _decode(index, [_read_member(tar, name) for name in format_member_names(index)])
    except (tarfile.TarError, OSError, EOFError, zipfile.BadZipFile, LookupError, ValueError, UnblurError) as error:
        raise make_shard_error(path, error) from error


class ShardFolder:
    """The pairs in a folder made by `unblur simulate`, one after the other; nothing is read before it is needed.

    Raises UnblurError when the folder is none such or lacks shards, and while reading for a damaged shard.
    """

    def __init__(self, folder: Path) -> None:
        files = find_shards(folder)
        self.pairs = files.pairs
        self.shards = [(make_shard_path(folder, shard), files.compute_indices(shard)) for shard in range(files.count)]
        """Files, and the numbers of the pairs in each."""

    def __len__(self) -> int:
        return self.pairs

    def __iter__(self) -> Iterator[StoredPair]:
        for path, indices in self.shards:
            yield from read_shard(path, indices)


def _compute_sha256(path: Path) -> str:
    try:
        with open_regular(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UnblurError(f"{path} cannot be read: {error.strerror or error}.") from error


def _refuse_other_settings(folder: Path, ours: dict[str, object]) -> None:
    theirs = read_shard_settings(folder)
    different = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
    if different:
        raise UnblurError(
            f"{folder} holds shards of other settings ({', '.join(different)}; see {SETTINGS_NAME} there); "
            "name another folder, or give the settings that they were begun with."
        )


def _encode(pair: SimulatedPair) -> tuple[bytes, ...]:
    """Return the contents of the members, in the order of PARTS."""
    motion = io.BytesIO()
    # numpy stamps the entries of the archive with 1980, not with today.
    np.savez(
        motion, start=pair.motion.start.numpy(), end=pair.motion.end.numpy(), curve=pair.motion.fit_quadratic().numpy()
    )
    return (
        _to_png((pair.blurry * 255).round()),
        _to_png((pair.sharp * 255).round()),
        _to_png(pair.saturated * 255),
        motion.getvalue(),
        to_json(pair.record).encode(),
    )


def _decode(index: int, members: list[bytes]) -> StoredPair:
    blurry, sharp, saturated, motion, record = members
    json.loads(record)  # Damaged text raises an error here, not where it is used.
    with np.load(io.BytesIO(motion), allow_pickle=False) as arrays:
        start, end, curve = (torch.from_numpy(arrays[name]) for name in ("start", "end", "curve"))
    return StoredPair(
        index=index,
        blurry=decode_shard_picture(blurry).float() / 255,
        sharp=decode_shard_picture(sharp).float() / 255,
        saturated=decode_shard_picture(saturated) > 0,
        start=start,
        end=end,
        curve=curve,
        record=record.decode(),
    )


def _read_member(tar: tarfile.TarFile, name: str) -> bytes:
    member = tar.next()
    if member is None or member.name != name:
        raise tarfile.ReadError(f"it ends where {name} should follow" if member is None else f"{name} is missing")
    file = tar.extractfile(member)
    if file is None:
        raise tarfile.ReadError(f"{name} is not a file")
    return file.read()


def _to_png(values: Tensor) -> bytes:
    """Encode (C, H, W) from 0 to 255, C of 1 or 3, as a PNG file."""
    return encode_png(values.byte().permute(1, 2, 0).contiguous().numpy())
