"""Networks as the library diffusers saves them: a folder with `config.json` and `diffusion_pytorch_model.safetensors`.

Large ones are cut into shards, with an index that tells which shard holds what. Pipelines keep each of their networks
in such a folder of its own, `transformer`, `vae` and so on.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from unblur.checkpoints.folder import is_hub_id
from unblur.checkpoints.hub import describe_hub_error
from unblur.errors import UnblurError

STEM = "diffusion_pytorch_model"
FILES = ("config.json", f"{STEM}.safetensors", f"{STEM}.safetensors.index.json", f"{STEM}-*-of-*.safetensors")


@dataclass(frozen=True)
class DiffusersNetwork:
    """A network's description, and where its weights are."""

    folder: Path
    arguments: dict[str, Any]
    """The library's arguments of the network."""

    def hash_weights(self) -> str:
        """Return the SHA-256 of the files with weights, one after the other. Raises UnblurError when one is missing."""
        digest = hashlib.sha256()
        try:
            for file in self._list_files():
                with (self.folder / file).open("rb") as opened:
                    while block := opened.read(1 << 24):
                        digest.update(block)
        except OSError as error:
            raise self._make_missing_error(error) from error
        return digest.hexdigest()

    def weights(self) -> dict[str, Tensor]:
        """Return the weights under the library's names. Raises UnblurError when a file is missing or damaged."""
        try:
            return {name: value for file in self._list_files() for name, value in load_file(self.folder / file).items()}
        except OSError as error:
            raise self._make_missing_error(error) from error
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            raise UnblurError(f"Weights in {self.folder} are damaged; get them again. ({error})") from error

    def _list_files(self) -> list[str]:
        """Return the names of the files that hold the weights: one, or all that the index names."""
        index = self.folder / f"{STEM}.safetensors.index.json"
        if not index.is_file():
            return [f"{STEM}.safetensors"]
        return sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))

    def _make_missing_error(self, error: OSError) -> UnblurError:
        return UnblurError(
            f"{self.folder} lacks weights ({str(error).splitlines()[0]}); it needs {STEM}.safetensors, or every "
            "shard that its index names; other formats and variants are not read."
        )


def is_saved_by_diffusers(folder: Path, part: str) -> bool:
    """Return whether a folder holds a network of diffusers, or a pipeline with this part."""
    return any(next((folder / place).glob(f"{STEM}*"), None) for place in ("", part))


def find_network(source: str | Path, *, kind: str, part: str) -> DiffusersNetwork:
    """Find the network of the library's class `kind` in a folder or at a hub id: itself, or the `part` of a pipeline.

    Raises UnblurError when it is not there, or of another kind.
    """
    root = Path(source)
    if not root.is_dir():
        if not is_hub_id(str(source)):
            raise UnblurError(f"There is no folder {source}; give one that diffusers saved, or a hub id (owner/name).")
        root = _download(str(source), part)
    folder = next((folder for folder in (root, root / part) if (folder / "config.json").is_file()), None)
    if folder is None:
        raise UnblurError(f"{source} has no config.json, nor has its part {part}; give a folder that diffusers saved.")
    try:
        content = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        found = content["_class_name"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnblurError(f"{folder / 'config.json'} is not a description by diffusers; get it again.") from error
    if found != kind:
        raise UnblurError(f"{folder} holds a network of the kind {found}; give one of the kind {kind}.")
    arguments = {name: value for name, value in content.items() if not name.startswith("_")}
    return DiffusersNetwork(folder=folder, arguments=arguments)


def _download(hub_id: str, part: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    wanted = [f"{place}{file}" for place in ("", f"{part}/") for file in FILES]
    try:
        return Path(snapshot_download(hub_id, allow_patterns=wanted))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise UnblurError(
            f"{hub_id} is neither a folder here nor a repository the hub provides "
            f"({describe_hub_error(error)}); check the name and the connection."
        ) from error
