"""The files of a folder of shards: their names, and single pictures in them by random access.

A shard is a tar file in the layout of WebDataset. Pictures are read by their offsets, so that a program can read any
pair at any time; sequential readers, such as the package webdataset, cannot resume in the middle of an epoch exactly.
"""

import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from unblur.errors import UnblurError
from unblur.photos.pixel_files import decode_png
from unblur.regular_files import open_regular, read_regular_text

SETTINGS_NAME = "settings.json"
PARTS = ("blurry.png", "sharp.png", "saturated.png", "motion.npz", "json")
"""Suffixes of the members of a pair after its key, in their order."""

MOST_PAIRS = 1_000_000_000
"""Names of members have nine digits."""

_INDEXES_IN_MEMORY = 64
"""Shards whose offsets are in memory: about a megabyte each for a thousand pairs."""


@dataclass(frozen=True, kw_only=True)
class ShardFiles:
    """The shards of one folder, all of which exist."""

    folder: Path
    pairs: int
    pairs_per_shard: int

    @property
    def count(self) -> int:
        """The number of shards."""
        return -(-self.pairs // self.pairs_per_shard)

    def compute_indices(self, shard: int) -> range:
        """Return the numbers of the pairs in a shard."""
        return compute_shard_indices(shard, self.pairs, self.pairs_per_shard)

    def locate(self, index: int) -> Path:
        """Return the path of the shard with pair number `index`."""
        return make_shard_path(self.folder, index // self.pairs_per_shard)


def holds_shards(folder: Path) -> bool:
    """Return whether the folder holds shards of `unblur simulate`."""
    return any(folder.glob("pairs-*.tar"))


def find_shards(folder: Path) -> ShardFiles:
    """Find the shards that `unblur simulate` wrote. Raises UnblurError when there are none, or some are missing."""
    settings = read_shard_settings(folder)
    pairs, pairs_per_shard = settings.get("pairs"), settings.get("pairs_per_shard")
    if not (isinstance(pairs, int) and isinstance(pairs_per_shard, int) and min(pairs, pairs_per_shard) > 0):
        raise UnblurError(f"{folder / SETTINGS_NAME} does not say how many pairs there are; make the shards again.")
    files = ShardFiles(folder=folder, pairs=pairs, pairs_per_shard=pairs_per_shard)
    # Damaged settings may have numbers without bound, so the files are counted.
    present = {path.name for path in folder.glob("pairs-*.tar") if path.is_file()}
    absent = next((one for one in range(files.count) if make_shard_path(folder, one).name not in present), None)
    if absent is not None:
        raise UnblurError(
            f"{folder} lacks {max(1, files.count - len(present))} of {files.count} shards, for example "
            f"{make_shard_path(folder, absent).name}; run the same `unblur simulate` again, which makes them."
        )
    return files


def make_shard_path(folder: Path, shard: int) -> Path:
    """Return the path of the shard with this number."""
    return folder / f"pairs-{shard:06d}.tar"


def compute_shard_indices(shard: int, pairs: int, pairs_per_shard: int) -> range:
    """Return numbers of the pairs in a shard; the last shard may hold fewer than the others."""
    return range(shard * pairs_per_shard, min((shard + 1) * pairs_per_shard, pairs))


def format_member_names(index: int) -> list[str]:
    """Return the names of the members of pair number `index`, in the order of PARTS."""
    return [f"{index:09d}.{part}" for part in PARTS]


def read_shard_settings(folder: Path) -> dict[str, object]:
    """Read the settings as plain JSON: shards stay readable when the camera of another release has other ranges.

    Raises UnblurError when there are none, or they cannot be read.
    """
    path = folder / SETTINGS_NAME
    try:
        settings = json.loads(read_regular_text(path))
    except FileNotFoundError as error:
        raise UnblurError(f"{folder} has no {SETTINGS_NAME}; give a folder made by `unblur simulate`.") from error
    except (OSError, ValueError, RecursionError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise UnblurError(f"{path} cannot be read ({reason}); restore it, or make the shards again.") from error
    return settings if isinstance(settings, dict) else {}


def read_shard_picture(path: Path, member: str) -> Tensor:
    """Read one picture of a shard, (C, H, W) uint8. Raises UnblurError when the shard is cut short or damaged."""
    try:
        with open_regular(path) as file:
            index = _index_shard(path, path.stat().st_mtime_ns)
            if member not in index:
                raise tarfile.ReadError(f"{member} is missing")
            offset, size = index[member]
            file.seek(offset)
            return decode_shard_picture(file.read(size))
    except (tarfile.TarError, OSError, EOFError, ValueError, UnblurError) as error:
        raise make_shard_error(path, error) from error


def decode_shard_picture(data: bytes) -> Tensor:
    """Decode a PNG file of a shard to (C, H, W) uint8. Raises UnblurError when it is damaged."""
    return torch.from_numpy(decode_png(data).copy()).permute(2, 0, 1).contiguous()


def make_shard_error(path: Path, error: Exception) -> UnblurError:
    """Return the error to raise for a shard that cannot be read."""
    return UnblurError(
        f"{path} is cut short or damaged ({str(error).rstrip('.')}); "
        "delete it and run the same `unblur simulate` again, which makes it again."
    )


@lru_cache(maxsize=_INDEXES_IN_MEMORY)
def _index_shard(path: Path, modified_ns: int) -> Mapping[str, tuple[int, int]]:  # noqa: ARG001
    """Return offset and size of each member; `modified_ns` distinguishes files that followed each other."""
    with open_regular(path) as file, tarfile.open(fileobj=file, mode="r:") as tar:
        return {member.name: (member.offset_data, member.size) for member in tar if member.isfile()}
