"""Opening of files and data that may be photographs: type and size are checked before the content is read."""

import os
from pathlib import Path
from typing import BinaryIO

from unblur.errors import UnblurError
from unblur.memory import free_memory
from unblur.photos.file_kinds import HEAD_BYTES, Kind, detect_kind, name_other_kind
from unblur.photos.formats import RAW_SUFFIXES
from unblur.photos.libvips import JPEG_XL_ADVICE, can_read_jpeg_xl
from unblur.regular_files import open_regular

PhotoSource = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO
"""A photograph's file: its path, its content, or an open binary file that is read from where it stands."""

UNNAMED = Path("The photograph")
"""The name in messages about content without a file."""

READABLE = "give a JPEG, PNG, WebP, TIFF, AVIF, HEIC or raw photograph"


def read_whole(path: Path) -> tuple[bytes, Kind]:
    """Read a photograph's file, and return its content and its format.

    Raises UnblurError for a file that is not regular, is empty, is not a photograph by its first bytes, is larger than
    the free memory, or cannot be read.
    """
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            kind = _recognise_kind(path, file.read(HEAD_BYTES))
            if size > free_memory():
                raise UnblurError(
                    f"{path} has {size / 1e9:.1f} GB, more than the memory that is free; close other programs, "
                    "or restore a smaller part of it."
                )
            file.seek(0)
            # Not more than was asked for, should the file grow meanwhile.
            return file.read(size), kind
    except (OSError, ValueError) as error:
        raise _describe_unreadable(path, error) from error


def read_source(source: PhotoSource) -> tuple[Path, bytes, Kind]:
    """Return the name for messages, the content and the format of a photograph's file.

    Raises UnblurError as `read_whole` does, and for a source of another type.
    """
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        return path, *read_whole(path)
    name = getattr(source, "name", None)
    path = Path(name) if isinstance(name, str) and name else UNNAMED
    if isinstance(source, (bytes, bytearray, memoryview)):
        data = bytes(source)
    elif callable(getattr(source, "read", None)):
        try:
            data = source.read()
        except (OSError, ValueError, MemoryError) as error:
            raise _describe_unreadable(path, error) from error
        if not isinstance(data, bytes):
            raise UnblurError(f'{path} is open as text; open it with "rb".')
    else:
        raise UnblurError(
            f"A {type(source).__name__} is not a file of a photograph; give a path, bytes, or an open binary file."
        )
    return path, data, _recognise_kind(path, data[:HEAD_BYTES])


def check_kind(path: Path) -> None:
    """Raise UnblurError as `read_whole` does, but read only the first bytes."""
    try:
        with open_regular(path) as file:
            _recognise_kind(path, file.read(HEAD_BYTES))
    except (OSError, ValueError) as error:
        raise _describe_unreadable(path, error) from error


def _describe_unreadable(path: Path, error: OSError | ValueError | MemoryError) -> UnblurError:
    reason = error.strerror if isinstance(error, OSError) else None
    return UnblurError(f"{path} cannot be read: {reason or error}; {READABLE}.")


def _recognise_kind(path: Path, head: bytes) -> Kind:
    if not head:
        raise UnblurError(f"{path} is empty; get the photograph again from its origin.")
    kind = detect_kind(head)
    # Many raw files look like TIFF, and the others like nothing that is known.
    if path.suffix.lower() in RAW_SUFFIXES and kind in (None, "TIFF"):
        return "RAW"
    if kind is None:
        name = name_other_kind(head)
        article = "an" if name.startswith(("OpenEXR", "SVG")) else "a"
        raise UnblurError(f"{path} is {article} {name} and not a photograph that can be read; {READABLE}.")
    if kind == "JPEG XL" and not can_read_jpeg_xl():
        raise UnblurError(
            f"{path} is a JPEG XL file, which the libvips that pip installs cannot decode; "
            f"convert it to TIFF or PNG first, for example with djxl, or {JPEG_XL_ADVICE}."
        )
    return kind
