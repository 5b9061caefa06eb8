"""Python functions as methods, named as module:function, with or without weights."""

import hashlib
import importlib
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from unblur.errors import UnblurError

_NAMED = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def is_function_name(method: str) -> bool:
    """Return whether a method is written as module:function."""
    return _NAMED.fullmatch(method) is not None


class PythonFunction:
    """The function `restore` of the module `my_network` for "my_network:restore".

    The function takes (H, W, 3) uint8 and returns the same. With a `checkpoint`, a file or folder, it is called once
    with the checkpoint's path and the device instead, and returns the function that restores. The module is found as by
    `python -m`, so also in the current folder. Raises UnblurError when there is no such module or function, and when
    the function fails.
    """

    def __init__(self, method: str, checkpoint: str | None, device: torch.device) -> None:
        module_name, _, name = method.partition(":")
        self.name = f"{module_name}.{name}"
        here = str(Path.cwd())
        sys.path.insert(0, here)
        try:
            module = importlib.import_module(module_name)
        except Exception as error:  # A module that is being written can fail in any way.
            raise UnblurError(
                f"The module {module_name} cannot be imported here: {type(error).__name__}: {error}; correct it or run "
                "the command in its folder."
            ) from error
        finally:
            sys.path.remove(here)
        function = getattr(module, name, None)
        if not callable(function):
            raise UnblurError(f"The module {module_name} has no function {name}; write module:function.")
        self._function: Callable[[NDArray[Any]], NDArray[Any]] = function
        if checkpoint is not None:
            self._function = self._call(checkpoint, device)
        self.sha256 = _hash_files(getattr(module, "__file__", None), checkpoint)
        """Digest of the module's file and of the checkpoint: another program is another result."""

    def restore(self, blurry: NDArray[Any]) -> NDArray[Any]:
        """Restore an image with the function. Shape: (H, W, 3) uint8 -> same."""
        restored: NDArray[Any] = self._call(blurry)
        return restored

    def _call(self, *arguments: Any) -> Any:
        try:
            return self._function(*arguments)
        except UnblurError:
            raise
        except Exception as error:
            raise UnblurError(f"{self.name} failed: {type(error).__name__}: {error}; correct it.") from error


def _hash_files(module: str | None, checkpoint: str | None) -> str:
    """Return the digest of a module's file and of all files of a checkpoint; empty without any."""
    files = [] if module is None else [Path(module)]
    if checkpoint is not None:
        path = Path(checkpoint)
        files += sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    if not files:
        return ""
    digest = hashlib.sha256()
    for file in files:
        try:
            digest.update(file.read_bytes())
        except OSError as error:
            raise UnblurError(f"{file} cannot be read: {error.strerror or error}; check the name.") from error
    return digest.hexdigest()
