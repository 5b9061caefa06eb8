"""A Python function of yours as a method, named as module:function: any network that you have running."""

import hashlib
import importlib
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from unblur.errors import UnblurError

_NAMED = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def names_function(method: str) -> bool:
    """Whether a method is written as module:function."""
    return _NAMED.fullmatch(method) is not None


class PythonFunction:
    """Calls the function `restore` of the module `my_network` for "my_network:restore".

    It takes (H, W, 3) uint8 and gives the same. The module is found as by `python -m`, so also in the current folder.
    Raises UnblurError when there is no such module or function, and when the function fails.
    """

    def __init__(self, method: str) -> None:
        module_name, _, name = method.partition(":")
        self.name = f"{module_name}.{name}"
        here = str(Path.cwd())
        sys.path.insert(0, here)
        try:
            module = importlib.import_module(module_name)
        except Exception as error:  # A module that is being written can fail in any way.
            raise UnblurError(
                f"The module {module_name} cannot be imported here: {type(error).__name__}: {error}; mend it, or run "
                "the command in its folder."
            ) from error
        finally:
            sys.path.remove(here)
        function = getattr(module, name, None)
        if not callable(function):
            raise UnblurError(f"The module {module_name} has no function {name}; write module:function.")
        self._function: Callable[[NDArray[Any]], NDArray[Any]] = function
        file = getattr(module, "__file__", None)
        self.sha256 = hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else ""
        """Of the module's file: another program is another result."""

    def restore(self, blurry: NDArray[Any]) -> NDArray[Any]:
        """(H, W, 3) uint8 -> what the function makes of it."""
        try:
            return self._function(blurry)
        except Exception as error:
            raise UnblurError(f"{self.name} failed: {type(error).__name__}: {error}; mend it.") from error
