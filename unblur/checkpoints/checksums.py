"""Hashes of the files of a checkpoint folder, against those that its model card and the hub's cache state."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from unblur.checkpoints.model_card import read_card
from unblur.errors import UnblurError
from unblur.regular_files import read_regular

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"

FILES = (CONFIG, WEIGHTS, CARD)
"""The files of a checkpoint folder. Nothing else is read, pushed or pulled: neither pickles nor programs."""

LARGEST_BYTES = {CONFIG: 2**20, WEIGHTS: 16 * 2**30, CARD: 2**20}
"""The largest size of each file that is pulled; a network of 1.6 billion parameters in float32 has 6 GiB."""

_SHA256, _GIT = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, kw_only=True)
class Verification:
    """A checkpoint folder whose files have the hashes that are stated."""

    sha256: str
    """SHA-256 of the weights."""
    stated: tuple[str, ...]
    """Names of the files whose hash is stated in the card or by the hub."""


def compute_checksums(contents: dict[str, bytes]) -> dict[str, str]:
    """Return the SHA-256 of each file but the card, which states them."""
    return {name: hashlib.sha256(data).hexdigest() for name, data in contents.items() if name != CARD}


def read_checkpoint_files(folder: Path) -> dict[str, bytes]:
    """Read the files of a checkpoint folder. Raises UnblurError where one is missing, except the card."""
    contents = {}
    for name in FILES:
        try:
            contents[name] = read_regular(folder / name)
        except FileNotFoundError as error:
            if name != CARD:
                raise UnblurError(f"{folder} has no {name}; give a checkpoint folder.") from error
        except OSError as error:
            raise UnblurError(f"{folder / name} cannot be read: {error.strerror or error}.") from error
    return contents


def verify_folder(folder: Path) -> Verification:
    """Compare the files of a checkpoint folder with all hashes that are stated. Raises UnblurError for a difference.

    The hub's cache stores files under the hashes that the hub stated, to which the files of its folders are links.
    """
    contents = read_checkpoint_files(folder)
    card = read_card(contents[CARD], folder / CARD) if CARD in contents else None
    stated = []
    for name, data in contents.items():
        hashes = [] if card is None else [card.checksums[name]] if name in card.checksums else []
        if (folder / name).is_symlink():
            hashes.append((folder / name).resolve().name)
        for one in hashes:
            check_hash(data, one, folder / name)
        if any(_SHA256.fullmatch(one) or _GIT.fullmatch(one) for one in hashes):
            stated.append(name)
    return Verification(sha256=hashlib.sha256(contents[WEIGHTS]).hexdigest(), stated=tuple(stated))


def check_hash(data: bytes, stated: str, name: object) -> None:
    """Raise UnblurError unless the SHA-256, or the name that git gives to the content, is `stated`.

    A text that is neither states nothing.
    """
    if _SHA256.fullmatch(stated):
        found = hashlib.sha256(data).hexdigest()
    elif _GIT.fullmatch(stated):
        found = compute_git_name(data)
    else:
        return
    if found != stated:
        raise UnblurError(
            f"{name} is damaged or was changed: its hash is {found[:12]} and not {stated[:12]}; get it again."
        )


def compute_git_name(data: bytes) -> str:
    """Return the SHA-1 by which git names a file of this content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
