"""Files that commands write besides pictures: tables, numbers, findings, checkpoints."""

from pathlib import Path

from unblur.atomic import write_atomically
from unblur.errors import UnblurError


def write_output(path: Path, data: bytes) -> None:
    """Write `data`, whole or not at all. Raises UnblurError when the file cannot be written."""
    try:
        write_atomically(path, data)
    except OSError as error:
        raise make_write_error(path, error) from error


def make_write_error(path: Path, error: OSError) -> UnblurError:
    """Return the error to raise for a file that cannot be written."""
    return UnblurError(f"{path} cannot be written: {error.strerror or error}; choose another place.")


def check_output_folder(path: Path) -> None:
    """Raise UnblurError when the folder of the file `path` is missing."""
    if not path.absolute().parent.is_dir():
        raise UnblurError(f"{path} cannot be written, for its folder is missing; make the folder first.")
