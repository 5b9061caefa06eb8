"""`unblur validation`: builds the fixed validation set from a folder of sharp photographs."""

from pathlib import Path
from typing import Annotated

import tyro

from unblur.app.output_file import write_output


def validation(photos: tyro.conf.Positional[Path], output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]) -> int:
    """Build the fixed validation set: every photograph of a folder, blurred with four severities.

    Args:
        photos: Folder of sharp photographs.
        output: Folder that receives blurry/ and sharp/, lossless, and the true motion in motion/.
    """
    from unblur.config import to_json
    from unblur.datasets import PhotoFolder
    from unblur.datasets.validation import ValidationSet, validation_pairs
    from unblur.datasets.written_pairs import write_pair

    settings = ValidationSet()
    for pair in validation_pairs(PhotoFolder(photos), settings):
        write_pair(output, pair)
    write_output(output / "settings.json", to_json(settings).encode())
    return 0
