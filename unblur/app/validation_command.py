"""`unblur validation`: builds the fixed validation set from a folder of sharp photographs."""

from pathlib import Path
from typing import Annotated

import tyro

from unblur.app.options import Flag, OutputFolder
from unblur.app.output_file import write_output


def validation(
    photos: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="PHOTOS")],
    output: OutputFolder,
    *,
    long: Flag = False,
    still: Flag = False,
) -> int:
    """Build the fixed validation set: every photograph of a folder, blurred with four severities.

    Args:
        photos: Folder of sharp photographs.
        output: Folder for blurry/ and sharp/, as lossless PNG, and the true motion in motion/.
        long: Build the set of long blur instead: 32 and 64 pixels, in pictures of 768 x 768 pixels.
        still: Build the set without blur instead, with the same noise and JPEG compression.
    """
    from unblur.app.jobs import UsageError
    from unblur.config import to_json
    from unblur.datasets import PhotoFolder
    from unblur.datasets.validation import LONG, STILL, ValidationSet, simulate_validation_pairs
    from unblur.datasets.written_pairs import write_pair

    if long and still:
        raise UsageError("--long and --still are two sets; build one after the other.")
    settings = LONG if long else STILL if still else ValidationSet()
    for pair in simulate_validation_pairs(PhotoFolder(photos), settings):
        write_pair(output, pair)
    write_output(output / "settings.json", to_json(settings).encode())
    return 0
