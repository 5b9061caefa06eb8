"""`unblur bundle`: a checkpoint as it comes with the package, small and without what the package has already."""

import sys
from pathlib import Path
from typing import Annotated

import tyro

from unblur.app.options import Flag, OptionalName, OptionalNumber, OutputFolder


def bundle(
    checkpoints: Annotated[
        tyro.conf.Positional[list[Path]], tyro.conf.arg(metavar="FOLDER...", help_behavior_hint="(required)")
    ],
    *,
    output: OutputFolder,
    part: OptionalName = None,
    scales: OptionalNumber = None,
    eight_bits: Flag = False,
) -> int:
    """Copy a checkpoint in half precision, without the parts whose weights come with unblur anyway.

    The copy works with this version of unblur only, unless nothing could be left out.

    Args:
        checkpoints: Checkpoints of `unblur train`. Several runs of one network that began with the same weights are
            averaged; a folder that is named twice counts twice.
        output: Folder for the copy.
        part: Copy only this part of the network, for example nafnet.
        scales: Number of scales at which the copy restores, instead of the number that it was trained with.
        eight_bits: Store weights as 8-bit integers with one scale for each output channel, in half the space.
    """
    import torch

    from unblur.app.output_file import make_write_error
    from unblur.checkpoints.average import average_checkpoints
    from unblur.checkpoints.folder import check_no_checkpoint, load_checkpoint, save_checkpoint
    from unblur.checkpoints.num_scales import set_num_scales
    from unblur.checkpoints.weight_sharing import extract_part, find_shared_parts
    from unblur.errors import UnblurError
    from unblur.regular_files import describe_read_error, read_regular_text

    check_no_checkpoint(output)
    given = [load_checkpoint(folder) for folder in checkpoints]
    found = average_checkpoints(given)
    if part is not None:
        found = extract_part(found, part)
    if scales is not None:
        found = set_num_scales(found, scales)
    shared = find_shared_parts(found.model)
    try:
        card = read_regular_text(found.folder / "README.md")
    except (OSError, UnicodeDecodeError) as error:
        raise UnblurError(
            f"{found.folder / 'README.md'} cannot be read: {describe_read_error(error)}; the copy needs it, "
            "because it describes the weights."
        ) from error
    try:
        if len(given) > 1:
            names = ", ".join(one.sha256[:12] for one in given)
            card += f"\nIts weights are the mean of {len(given)} runs' ({names}); the text above describes the first.\n"
        if part is not None:
            card += f"\nThis is its `{part}` alone.\n"
        if scales is not None:
            card += f"\nThis copy restores at {scales} scales of the image.\n"
        save_checkpoint(
            output,
            found.model,
            found.config,
            train_patch_px=found.train_patch_px,
            card=card,
            shared_parts=shared,
            dtype=torch.int8 if eight_bits else torch.float16,
        )
    except OSError as error:
        raise make_write_error(output, error) from error
    megabytes = (output / "model.safetensors").stat().st_size / 1e6
    parts = ", ".join(f"{one.part} ({one.source})" for one in shared) or "nothing"
    sys.stdout.write(
        f"{output} holds weights {load_checkpoint(output).sha256[:12]}, {megabytes:.1f} MB; left out: {parts}.\n"
    )
    return 0
