"""Stores exported graphs in the user's cache folder, because exporting a network takes seconds.

Files are written atomically. Each begins with a digest of its graph and of this package's version; a graph that is
damaged or from another version is exported again. Where no file can be written, nothing is stored.
"""

import contextlib
import hashlib
import os
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from unblur.atomic import write_atomically
from unblur.regular_files import read_regular

_DIGEST_BYTES = 32


def cache_folder() -> Path | None:
    """Return the user's cache folder of this package; None for a user without a home folder.

    It is in `XDG_CACHE_HOME` where that is an absolute path, as the XDG Base Directory Specification demands, else in
    ~/.cache, on macOS in ~/Library/Caches, and on Windows in `LOCALAPPDATA`.
    """
    folder = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME", "")
    if Path(folder).is_absolute():
        return Path(folder) / "unblur"
    try:
        home = Path.home()
    except RuntimeError:
        return None
    parts = {"win32": ("AppData", "Local"), "darwin": ("Library", "Caches")}
    return home.joinpath(*parts.get(sys.platform, (".cache",))) / "unblur"


def load_or_build(name: str, build: Callable[[], bytes]) -> bytes:
    """Return the stored graph called `name`, or the result of `build`, which is stored. Errors are those of `build`."""
    folder = cache_folder()
    path = None if folder is None else folder / f"{name}.graph"
    if path is not None:
        with contextlib.suppress(OSError):
            stored = read_regular(path)
            if stored[:_DIGEST_BYTES] == _hash_graph(stored[_DIGEST_BYTES:]):
                return stored[_DIGEST_BYTES:]
    graph = build()
    if path is not None:
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, _hash_graph(graph) + graph)
    return graph


def _hash_graph(graph: bytes) -> bytes:
    """Return a digest of `graph` and of this package's version."""
    return hashlib.sha256(f"{version('unblur')}\n".encode() + graph).digest()
