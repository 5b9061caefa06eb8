"""Opening regular files only: a pipe or a device with a photograph's name would make the program wait for ever."""

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

_TYPES = ((stat.S_ISDIR, "folder"), (stat.S_ISFIFO, "named pipe"), (stat.S_ISSOCK, "socket"))


def open_regular(path: Path) -> BufferedReader:
    """Open the file for reading. Raises OSError for a folder, a pipe or a device, and as `os.open` does."""
    # Before it is opened, because opening alone makes some devices act.
    _refuse_irregular(path, path.stat().st_mode)
    # Without waiting, should a pipe have taken its place meanwhile.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        _refuse_irregular(path, os.fstat(handle).st_mode)
    except OSError:
        os.close(handle)
        raise
    return os.fdopen(handle, "rb")


def read_regular(path: Path) -> bytes:
    """Read the content of the file. Raises OSError as `open_regular` does."""
    with open_regular(path) as file:
        return file.read()


def read_regular_text(path: Path) -> str:
    """Read the content of a text file in UTF-8. Raises UnicodeDecodeError, and OSError as `open_regular` does."""
    return read_regular(path).decode()


def describe_read_error(error: OSError | UnicodeDecodeError) -> str:
    """Return why `read_regular_text` failed, as the end of a sentence."""
    return (error.strerror or str(error)) if isinstance(error, OSError) else "it is not text"


def _refuse_irregular(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        name = next((name for is_type, name in _TYPES if is_type(mode)), "device")
        raise OSError(errno.EINVAL, f"it is a {name} and no file", str(path))
