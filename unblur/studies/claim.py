"""A folder belongs to one study: what its runs have in common is written there, and nothing else goes in."""

from pathlib import Path

from unblur.atomic import write_atomically
from unblur.config import from_json, to_json
from unblur.errors import UnblurError


def claim(folder: Path, study: object) -> None:
    """Write the settings `study`, a frozen dataclass, to study.json, or find the same there.

    Raises UnblurError when other settings are there, and OSError when the disk refuses.
    """
    file = folder / "study.json"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(file, to_json(study).encode())
    if from_json(file.read_text(encoding="utf-8"), type(study), file) != study:
        raise UnblurError(
            f"{folder} holds a study with other steps, photographs, sizes or networks; give another folder."
        )
