"""Reading files of `torch.save` as data alone: a pickle may hold a program, which is never run."""

import warnings
from pathlib import Path
from typing import Any

import torch

from unblur.regular_files import open_regular


def read_torch_file(path: Path) -> Any:
    """Read the tensors, numbers and texts of the file, on the CPU.

    Raises OSError if it is not a regular file. Damaged pickles, and those that hold more, raise exceptions of any kind.
    """
    with open_regular(path) as file, warnings.catch_warnings():
        # PyTorch warns about pickles of other protocols, before it is known whether they can be read.
        warnings.simplefilter("ignore")
        return torch.load(file, map_location="cpu", weights_only=True)
