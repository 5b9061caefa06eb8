"""Folders at addresses, such as s3://bucket/scans: their files are listed, read, and written whole or not at all.

pyarrow has the file systems of Amazon S3 and what speaks its protocol, Google Cloud Storage, Azure, HDFS and this
machine; for other addresses fsspec has some.
"""

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from io import BufferedReader
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from unblur.atomic import TEMPORARY_SUFFIX, write_atomically
from unblur.errors import UnblurError
from unblur.memory import free_memory
from unblur.regular_files import open_regular

OBJECT_STORES = frozenset({"abfs", "gcs", "s3", "py::fsspec+abfs", "py::fsspec+gcs", "py::fsspec+gs", "py::fsspec+s3"})
"""Names of file systems in which a file appears when it is whole, and renaming means copying."""

FILE, FOLDER = "file", "folder"


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """One file of a folder."""

    key: str
    """Path inside the folder, with slashes."""
    size: int
    modified: str
    """Time of the last change in ISO 8601; empty where the file system has none."""


@dataclass(frozen=True, kw_only=True)
class Storage:
    """A folder, or a single file, at an address. It can be pickled and used by another computer."""

    address: str
    """The address that was typed, without a slash at the end."""
    filesystem: Any
    path: str
    """Path in the file system."""

    def describe(self, key: str) -> str:
        """Return the address of the file `key` of the folder."""
        return f"{self.address}/{key}"

    def find_kind(self) -> str | None:
        """Return FILE, FOLDER, or None if there is nothing. Raises UnblurError if the address cannot be reached."""
        from pyarrow.fs import FileType

        with self._errors("reached", ""):
            found = self.filesystem.get_file_info(self.path).type
        return {FileType.File: FILE, FileType.Directory: FOLDER}.get(found)

    def list_files(self, *, recursive: bool) -> list[StoredFile]:
        """Return the files of the folder, sorted, without hidden ones; none if it is missing. Raises UnblurError."""
        from pyarrow.fs import FileSelector, FileType

        with self._errors("listed", ""):
            found = self.filesystem.get_file_info(FileSelector(self.path, allow_not_found=True, recursive=recursive))
        files = []
        for info in found:
            key = str(PurePosixPath(info.path).relative_to(PurePosixPath(self.path)))
            if info.type == FileType.File and not any(part.startswith(".") for part in PurePosixPath(key).parts):
                files.append(StoredFile(key=key, size=info.size or 0, modified=_format_time(info.mtime)))
        return sorted(files, key=lambda file: file.key)

    def find(self, key: str) -> StoredFile | None:
        """Return the file `key` of the folder, None if there is none. Raises UnblurError."""
        from pyarrow.fs import FileType

        with self._errors("read", key):
            info = self.filesystem.get_file_info(self._join(key))
        if info.type != FileType.File:
            return None
        return StoredFile(key=key, size=info.size or 0, modified=_format_time(info.mtime))

    def read(self, key: str) -> bytes:
        """Read the file `key` of the folder. Raises UnblurError, also if it is larger than the memory that is free."""
        open_file = _open_local if self._is_local else self.filesystem.open_input_file
        with self._errors("read", key), open_file(self._join(key)) as stream:
            size = stream.seek(0, os.SEEK_END)
            if size > free_memory():
                raise UnblurError(
                    f"{self.describe(key)} has {size / 1e9:.1f} GB, more than the memory that is free; "
                    "use a computer with more memory, or fewer --jobs."
                )
            stream.seek(0)
            # Not more than was asked for, should the file grow meanwhile.
            data: bytes = stream.read(size)
        return data

    def write(self, key: str, data: bytes) -> None:
        """Write the file `key` of the folder in one step, in which it appears whole. Raises UnblurError."""
        path = self._join(key)
        with self._errors("written", key):
            if self._is_local:
                Path(path).parent.mkdir(parents=True, exist_ok=True)
                write_atomically(Path(path), data)
            elif self.filesystem.type_name in OBJECT_STORES:
                with self.filesystem.open_output_stream(path) as stream:
                    stream.write(data)
            else:
                self._write_and_rename(path, data)

    def _write_and_rename(self, path: str, data: bytes) -> None:
        folder, _, name = path.rpartition("/")
        temporary = f"{folder}/.{name}.{secrets.token_hex(4)}{TEMPORARY_SUFFIX}"
        self.filesystem.create_dir(folder, recursive=True)
        try:
            with self.filesystem.open_output_stream(temporary) as stream:
                stream.write(data)
            self.filesystem.move(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                self.filesystem.delete_file(temporary)
            raise

    @property
    def _is_local(self) -> bool:
        return bool(self.filesystem.type_name == "local")

    def _join(self, key: str) -> str:
        return f"{self.path}/{key}" if key else self.path

    @contextlib.contextmanager
    def _errors(self, verb: str, key: str) -> Iterator[None]:
        try:
            yield
        except UnblurError:
            raise
        # fsspec's file systems raise exceptions of their own libraries.
        except Exception as error:
            where = self.describe(key) if key else self.address
            raise UnblurError(
                f"{where} cannot be {verb} ({_describe(error)}); check the address, your rights and the connection."
            ) from error


def open_storage(address: str) -> Storage:
    """Open the folder or file at `address`, a path or an address with a scheme; nothing has to exist there yet.

    Raises UnblurError if no library knows the scheme or the address is malformed.
    """
    scheme, separator, rest = address.partition("://")
    name = address.rstrip("/") or address
    if not separator:
        from pyarrow.fs import LocalFileSystem

        return Storage(address=name, filesystem=LocalFileSystem(), path=Path(address).absolute().as_posix())
    if scheme == "memory":
        raise UnblurError(f"{address} exists in one process only, which a cluster cannot share; use another address.")
    if not rest.strip("/"):
        raise UnblurError(f"{address} names no folder; write a bucket or a folder behind {scheme}://.")
    try:
        filesystem, path = _open_file_system(address)
    except ImportError as error:
        raise UnblurError(
            f"{address} needs a library that is not installed ({_describe(error)}); install it."
        ) from error
    except Exception as error:
        raise UnblurError(
            f"{address} cannot be opened ({_describe(error)}); give a folder, or an address such as s3://bucket/scans."
        ) from error
    return Storage(address=name.partition("?")[0].rstrip("/"), filesystem=filesystem, path=path.rstrip("/"))


def _open_file_system(address: str) -> tuple[Any, str]:
    from pyarrow import ArrowInvalid
    from pyarrow.fs import FileSystem, FSSpecHandler, PyFileSystem

    place, mark, options = address.partition("?")
    # Keys may hold any character, which pyarrow expects encoded and passes to fsspec as it is.
    encoded = place if place.startswith("fsspec+") else quote(place, safe="/:@+~!$&()*,;=")
    try:
        filesystem, path = FileSystem.from_uri(f"{encoded}{mark}{options}")
    except ArrowInvalid as error:
        if "Unrecognized filesystem type" not in str(error):
            raise
        from fsspec.core import url_to_fs

        found, path = url_to_fs(address)
        return PyFileSystem(FSSpecHandler(found)), path
    return filesystem, path


def _open_local(path: str) -> BufferedReader:
    return open_regular(Path(path))


def _format_time(time: datetime | None) -> str:
    return "" if time is None else time.isoformat()


def _describe(error: Exception) -> str:
    """Describe an error on one line, without the number that a server gave to the request."""
    if isinstance(error, FileNotFoundError):
        return os.strerror(errno.ENOENT)
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno)
    line = next(iter(str(error).splitlines()), type(error).__name__)
    return line.partition(" (Request ID")[0].rstrip(". ")
