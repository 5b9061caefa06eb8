"""Captions in a file: one JSON object a line, what each photograph shows and which model said so.

Captioning takes longer than restoring, so it is done once for each photograph and kept; people may also write or
mend the file by hand.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from unblur.atomic import write_atomically
from unblur.config import from_json
from unblur.errors import UnblurError


@dataclass(frozen=True, kw_only=True)
class Caption:
    """A line of the file."""

    photo: str
    """The photograph's name, as whoever asked calls it."""
    caption: str
    model: str
    """Hub id or folder of the captioner; anything for a caption by hand."""


class CaptionFile:
    """Captions by photograph. Of several lines about one photograph the last counts; a missing file is empty.

    Raises UnblurError naming the first line that is no caption.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._captions: dict[str, Caption] = {}
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        for number, line in enumerate(lines, start=1):
            if line.strip():
                caption = from_json(line, Caption, source=f"Line {number} of {path}")
                self._captions[caption.photo] = caption

    def of(self, photo: str) -> Caption | None:
        """What is said of `photo`, if anything is."""
        return self._captions.get(photo)

    def add(self, caption: Caption) -> None:
        """Keep `caption`, in the file too, instead of what was said of the photograph before."""
        self._captions[caption.photo] = caption
        lines = (json.dumps(asdict(kept), ensure_ascii=False) + "\n" for kept in self._captions.values())
        try:
            write_atomically(self.path, "".join(lines).encode())
        except OSError as error:
            raise UnblurError(
                f"{self.path} cannot be written: {error.strerror or error}; choose another place."
            ) from error
