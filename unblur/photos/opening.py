"""Opening what may be a photograph: type, kind and size are looked at before the content is read."""

import os
import stat
from pathlib import Path

from unblur.errors import UnblurError
from unblur.memory import free_memory
from unblur.photos.file_kinds import HEAD_BYTES, Kind, kind_of, name_of_other
from unblur.photos.formats import RAW_SUFFIXES

READABLE = "give a JPEG, PNG, WebP, TIFF, AVIF or HEIC photograph"

_TYPES = ((stat.S_ISDIR, "folder"), (stat.S_ISFIFO, "named pipe"), (stat.S_ISSOCK, "socket"))


def read_whole(path: Path) -> tuple[bytes, Kind]:
    """The content of a photograph's file, and its format.

    Raises UnblurError for what is no regular file, is empty, is no photograph by its first bytes, is larger than the
    memory that is free, or cannot be read.
    """
    try:
        with os.fdopen(_open_regular(path), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            kind = _kind_of(path, file.read(HEAD_BYTES))
            if size > free_memory():
                raise UnblurError(
                    f"{path} has {size / 1e9:.1f} GB, more than the memory that is free; close other programs, "
                    "or restore a smaller part of it."
                )
            file.seek(0)
            # Not more than was asked for, should the file grow meanwhile.
            return file.read(size), kind
    except OSError as error:
        raise UnblurError(f"{path} cannot be read: {error.strerror or error}.") from error


def check_kind(path: Path) -> None:
    """Raises UnblurError as `read_whole` does, but reads only the first bytes."""
    try:
        with os.fdopen(_open_regular(path), "rb") as file:
            _kind_of(path, file.read(HEAD_BYTES))
    except OSError as error:
        raise UnblurError(f"{path} cannot be read: {error.strerror or error}.") from error


def _open_regular(path: Path) -> int:
    """A handle of the file. Raises UnblurError for a folder, a pipe or a device, and OSError as `os.open` does."""
    try:
        # Before it is opened, because opening alone makes some devices act.
        _refuse_irregular(path, path.stat().st_mode)
        # Without waiting, should a pipe have taken its place meanwhile.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except ValueError as error:
        raise UnblurError(f"{path!r} is no name of a file: {error}.") from error
    try:
        _refuse_irregular(path, os.fstat(handle).st_mode)
    except UnblurError:
        os.close(handle)
        raise
    return handle


def _refuse_irregular(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        name = next((name for is_type, name in _TYPES if is_type(mode)), "device")
        raise UnblurError(f"{path} cannot be read, because it is a {name} and no file; {READABLE}.")


def _kind_of(path: Path, head: bytes) -> Kind:
    if not head:
        raise UnblurError(f"{path} is empty; get the photograph again from its origin.")
    if path.suffix.lower() in RAW_SUFFIXES:
        raise UnblurError(f"{path} is a raw file; develop it, and restore what your raw converter exports as TIFF.")
    kind = kind_of(head)
    if kind is None:
        name = name_of_other(head)
        article = "an" if name.startswith(("OpenEXR", "SVG")) else "a"
        raise UnblurError(f"{path} is {article} {name} and not a photograph that can be read; {READABLE}.")
    return kind
