"""`unblur bundle`: a checkpoint as it comes with the package, small and without what the package has already."""

import sys
from pathlib import Path
from typing import Annotated

import tyro


def bundle(
    checkpoints: tyro.conf.Positional[list[Path]],
    *,
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    part: str | None = None,
    scales: int | None = None,
) -> int:
    """Copy a checkpoint in half precision, without the parts whose weights come with unblur anyway.

    The copy works with this version of unblur only, unless nothing could be left out.

    Args:
        checkpoints: Folders of `unblur train`. Of several, runs of one network that began with the same weights, the
            copy has the mean; one that is given twice counts twice.
        output: Folder that becomes the copy.
        part: Copy this part of the network alone, as a network of its own: hourglass.
        scales: How many sizes of a photograph the copy looks at, instead of as many as it learnt at.
    """
    from unblur.app.output_file import refused
    from unblur.checkpoints.folder import load_checkpoint, refuse_taken, save_checkpoint
    from unblur.checkpoints.lending import borrowed_parts, part_of
    from unblur.checkpoints.mean import mean_of
    from unblur.checkpoints.sizes import at_sizes
    from unblur.errors import UnblurError
    from unblur.regular_files import read_regular_text

    refuse_taken(output)
    given = [load_checkpoint(folder) for folder in checkpoints]
    found = mean_of(given)
    if part is not None:
        found = part_of(found, part)
    if scales is not None:
        found = at_sizes(found, scales)
    borrowed = borrowed_parts(found.model)
    try:
        card = read_regular_text(found.folder / "README.md")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UnblurError(
            f"{found.folder / 'README.md'} cannot be read: {reason}; the copy needs it, because it says what the "
            "weights are."
        ) from error
    try:
        if len(given) > 1:
            names = ", ".join(one.sha256[:12] for one in given)
            card += f"\nIts weights are the mean of {len(given)} runs' ({names}); what is told above is of the first.\n"
        if part is not None:
            card += f"\nThis is its `{part}` alone.\n"
        if scales is not None:
            card += f"\nThis copy looks at {scales} sizes of a photograph.\n"
        save_checkpoint(
            output, found.model, found.config, train_patch_px=found.train_patch_px, card=card, borrowed=borrowed
        )
    except OSError as error:
        raise refused(output, error) from error
    megabytes = (output / "model.safetensors").stat().st_size / 1e6
    parts = ", ".join(f"{one.part} ({one.lender})" for one in borrowed) or "nothing"
    sys.stdout.write(
        f"{output} holds weights {load_checkpoint(output).sha256[:12]}, {megabytes:.1f} MB; left out: {parts}.\n"
    )
    return 0
