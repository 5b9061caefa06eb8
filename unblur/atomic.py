"""Files that are either the old one or the new one, whole, whenever the process or the power goes away."""

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

TEMPORARY_SUFFIX = ".unblur-tmp"
"""Suffix of the hidden files that exist for an instant where a file system has no nameless files."""


def write_atomically(path: Path, data: bytes) -> None:
    """Replace `path` by `data` in one step. Raises OSError, which names `path`, when the folder or the disk refuses.

    A device or a pipe, such as /dev/stdout, stays what it is and receives the data.
    On Linux the data goes into a file without a name, which the system discards if we are killed; it is
    named only once it is whole and on disk. Elsewhere a hidden temporary file is used.
    """
    folder = path.parent
    if _takes_data(path):
        with path.open("wb") as stream:
            stream.write(data)
        return
    named = tempfile.mktemp(dir=folder, prefix=".", suffix=TEMPORARY_SUFFIX)
    try:
        with name_path_in_errors(path):
            if not _write_nameless(folder, data, named):
                # Exclusive creation: a name somebody else holds is an error, never overwritten.
                with Path(named).open("xb") as file:
                    _write_all(file.fileno(), data)
            Path(named).replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            Path(named).unlink()


@contextlib.contextmanager
def name_path_in_errors(path: Path) -> Iterator[None]:
    """Have OSErrors name `path`: an error of a full disk names no file, and one of a temporary file a hidden name."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _takes_data(path: Path) -> bool:
    """Return whether the path is a device or a pipe, which has no content to be replaced."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False  # Nothing exists yet, or writing will raise the error.
    return stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)


def _write_nameless(folder: Path, data: bytes, name: str) -> bool:
    """Write a file without a name, then give it `name`; False where the system cannot do that."""
    if not hasattr(os, "O_TMPFILE"):
        return False
    try:
        handle = os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o666)
    except OSError as error:
        # Some file systems (network and older overlay ones) have no nameless files.
        if error.errno in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
            return False
        raise
    try:
        _write_all(handle, data)
        # Naming a directory makes Python call linkat, which alone follows the link to the nameless file.
        os.link(f"/proc/self/fd/{handle}", name, src_dir_fd=handle, follow_symlinks=True)
    finally:
        os.close(handle)
    return True


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
    os.fsync(handle)
