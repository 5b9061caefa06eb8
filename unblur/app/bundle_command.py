"""`unblur bundle`: a checkpoint as it comes with the package, small and without what the package has already."""

import sys
from pathlib import Path
from typing import Annotated

import tyro


def bundle(
    checkpoint: tyro.conf.Positional[Path],
    *,
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    part: str | None = None,
    scales: int | None = None,
) -> int:
    """Copy a checkpoint in half precision, without the parts whose weights come with unblur anyway.

    The copy works with this version of unblur only, unless nothing could be left out.

    Args:
        checkpoint: Folder of `unblur train`.
        output: Folder that becomes the copy.
        part: Copy this part of the network alone, as a network of its own: hourglass.
        scales: How many sizes of a photograph the copy looks at, instead of as many as it learnt at.
    """
    from unblur.app.output_file import check_no_checkpoint, refused
    from unblur.checkpoints.folder import load_checkpoint, save_checkpoint
    from unblur.checkpoints.lending import borrowed_parts, part_of
    from unblur.checkpoints.sizes import at_sizes

    check_no_checkpoint(output)
    found = load_checkpoint(checkpoint)
    if part is not None:
        found = part_of(found, part)
    if scales is not None:
        found = at_sizes(found, scales)
    borrowed = borrowed_parts(found.model)
    try:
        card = (found.folder / "README.md").read_text(encoding="utf-8")
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
