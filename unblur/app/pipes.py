"""Photographs from stdin and to stdout: `-` as PHOTO and as OUT."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

from unblur.app.jobs import Job, UsageError
from unblur.photos.file_kinds import Kind, is_avif
from unblur.photos.opening import read_source

DASH = "-"
"""The name of stdin and of stdout."""

SUFFIXES: dict[Kind, str] = {
    "JPEG": ".jpg",
    "PNG": ".png",
    "WebP": ".webp",
    "TIFF": ".tif",
    "HEIF": ".heic",
    "JPEG XL": ".jxl",
    "RAW": ".dng",
}
"""Suffixes of the files that stdin may hold."""


def find_suffix(content: bytes, kind: Kind) -> str:
    """Return the suffix of a file without a name, of its content and its format."""
    return ".avif" if is_avif(content) else SUFFIXES[kind]


@dataclass(frozen=True)
class PipedPhoto:
    """A photograph's file that was read from stdin."""

    name: str
    """"stdin" with the suffix of the format."""
    content: bytes


def read_stdin(photos: Sequence[str]) -> PipedPhoto | None:
    """Read stdin if it is named among `photos`, otherwise return None.

    Raises UsageError if there are other photographs too or stdin is a terminal, and UnblurError for no photograph.
    """
    if DASH not in photos:
        return None
    if len(photos) > 1:
        raise UsageError("- reads one photograph from stdin; restore the other photographs separately.")
    if sys.stdin.isatty():
        raise UsageError("- reads a photograph from stdin, which is the keyboard; try: unblur - < photo.jpg > out.jpg")
    _, content, kind = read_source(sys.stdin.buffer)
    return PipedPhoto(f"stdin{find_suffix(content, kind)}", content)


def connect(jobs: list[Job], piped: PipedPhoto | None, *, to_stdout: bool, json: bool) -> list[Job]:
    """Return the jobs with the photograph from stdin, and with stdout in place of their output.

    Raises UsageError for what stdout cannot receive: more than one photograph, other pictures, or reports.
    """
    if piped:
        jobs = [replace(job, content=piped.content) for job in jobs]
    if not to_stdout:
        return jobs
    if len(jobs) != 1:
        raise UsageError("-o - writes one photograph to stdout; for several, name a folder.")
    if jobs[0].compare or jobs[0].uncertainty:
        raise UsageError("stdout receives one photograph and no second picture; add -o FILE to write both.")
    if json:
        raise UsageError("The photograph and --json would both go to stdout; add -o FILE, or leave out --json.")
    if sys.stdout.isatty():
        raise UsageError("The photograph would be written to the terminal; add -o FILE, or > FILE.")
    return [replace(jobs[0], to_stdout=True)]
