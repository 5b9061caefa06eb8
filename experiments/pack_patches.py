"""Training patches of a recipe, simulated once and stored, so that runs that are compared load them in no time.

`python -m experiments.pack_patches RECIPE --photos PHOTOS -o FOLDER` writes the recipe's patches 0, 1, 2 and so on into
files of `PATCHES_A_FILE`. A file that exists is not written again, so an interrupted run continues, and several
processes can each write every n-th file. The photographs may not be redistributable; then the files are not either.
"""

import io
import sys
from pathlib import Path

import numpy as np
import torch
import tyro
from torch import Tensor

from experiments.harness import run
from unblur import recipes
from unblur.atomic import write_atomically
from unblur.datasets import PhotoFolder
from unblur.errors import UnblurError
from unblur.names import RecipeName
from unblur.training.patches import build_patches

PATCHES_A_FILE = 128


def pack(
    recipe: tyro.conf.Positional[RecipeName],
    *,
    photos: Path,
    output: Path,
    files: int = 48,
    process: int = 0,
    processes: int = 1,
) -> int:
    """Write the first patches of a recipe.

    Args:
        recipe: Whose patches to write.
        photos: Folder of sharp photographs.
        output: Folder for the files.
        files: How many files there will be.
        process: Number of this process, from 0.
        processes: How many processes write the files.
    """
    torch.set_num_threads(1)
    patches = build_patches(recipes.find_recipe(recipe), PhotoFolder(photos), "cpu")
    output.mkdir(parents=True, exist_ok=True)
    for number in range(process, files, processes):
        path = output / f"patches-{number:04}.npy"
        if path.exists():
            continue
        first = number * PATCHES_A_FILE
        pairs = [patches[index] for index in range(first, first + PATCHES_A_FILE)]
        data = io.BytesIO()
        np.save(data, torch.stack([torch.stack([_to_bytes(p.blurry), _to_bytes(p.sharp)]) for p in pairs]).numpy())
        write_atomically(path, data.getvalue())
    return 0


class PackedPatches:
    """The patches of a folder, mapped into memory. Item i is a pair (2, 3, P, P) uint8 of blurry and sharp."""

    def __init__(self, folder: Path) -> None:
        """Raises UnblurError when the folder holds none."""
        self._files = [np.load(path, mmap_mode="r") for path in sorted(folder.glob("patches-*.npy"))]
        if not self._files:
            raise UnblurError(
                f"{folder} holds no packed patches; write some with `python -m experiments.pack_patches`."
            )

    def __len__(self) -> int:
        return len(self._files) * PATCHES_A_FILE

    def __getitem__(self, index: int) -> Tensor:
        file, place = divmod(index, PATCHES_A_FILE)
        return torch.from_numpy(self._files[file][place].copy())


def _to_bytes(picture: Tensor) -> Tensor:
    return (picture * 255).round().byte()


if __name__ == "__main__":
    sys.exit(run(pack))
