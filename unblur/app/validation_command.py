"""`unblur validation`: builds the fixed validation set from a folder of sharp photographs."""

from pathlib import Path
from typing import Annotated

import tyro


def validation(photos: tyro.conf.Positional[Path], output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]) -> int:
    """Build the fixed validation set: every photograph of a folder, blurred with four severities.

    Args:
        photos: Folder of sharp photographs.
        output: Folder that receives blurry/ and sharp/, lossless.
    """
    from unblur.config import to_json
    from unblur.datasets import PhotoFolder
    from unblur.datasets.validation import ValidationSet, validation_pairs
    from unblur.photos.files import write_photo
    from unblur.photos.photo import Photo

    settings = ValidationSet()
    for side in ("blurry", "sharp"):
        (output / side).mkdir(parents=True, exist_ok=True)
    for pair in validation_pairs(PhotoFolder(photos), settings):
        for side, picture in (("blurry", pair.blurry), ("sharp", pair.sharp)):
            pixels = (picture * 255).round().byte().permute(1, 2, 0).contiguous().numpy()
            write_photo(Photo(pixels=pixels), output / side / pair.name)
    (output / "settings.json").write_text(to_json(settings), encoding="utf-8")
    return 0
