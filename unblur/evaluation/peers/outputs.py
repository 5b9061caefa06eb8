"""Pictures that any other program restored, in a folder: how methods are measured that do not run here."""

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from unblur.datasets.fingerprint import compute_fingerprint
from unblur.datasets.pair_files import read_rgb
from unblur.errors import UnblurError
from unblur.photos.formats import READABLE_SUFFIXES
from unblur.photos.photo import Photo
from unblur.photos.writing import write_photo


class OutputFolder:
    """Restored pictures in a folder, found by the names of the blurry ones, whatever their formats."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = folder.absolute().name
        self._paths: dict[str, list[Path]] = {}
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in READABLE_SUFFIXES:
                self._paths.setdefault(path.relative_to(folder).with_suffix("").as_posix(), []).append(path)
        # Other pictures in the same folder are another result.
        self.fingerprint = compute_fingerprint(self._paths.items())
        if not self._paths:
            raise UnblurError(f"{folder} holds no pictures; give the folder of restored ones.")

    def picture(self, image: str) -> NDArray[Any]:
        """Read the picture of this name, (H, W, 3) uint8. Raises UnblurError when the folder has none, or two."""
        bare = remove_suffix(image)
        paths = self._paths.get(bare, [])
        if len(paths) != 1:
            there = f"{len(paths)} pictures" if paths else "no picture"
            raise UnblurError(f"{self.folder} has {there} called {bare}; give one for each blurry picture.")
        return read_rgb(paths[0]).permute(1, 2, 0).contiguous().numpy()


def remove_suffix(image: str) -> str:
    """Return the name of a measured image without the suffix of a photograph, if it has one."""
    suffix = Path(image).suffix
    return image.removesuffix(suffix) if suffix.lower() in READABLE_SUFFIXES else image


def make_output_path(folder: Path, image: str) -> Path:
    """Return the path of the restored image."""
    return folder / f"{remove_suffix(image)}.png"


def save_output(folder: Path, image: str, pixels: NDArray[Any]) -> None:
    """Write a restored picture, (H, W, 3) uint8, as PNG where `OutputFolder` finds it. Raises UnblurError."""
    path = make_output_path(folder, image)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnblurError(f"{path} cannot be written: {error.strerror or error}; choose another folder.") from error
    write_photo(Photo(pixels=pixels), path)
