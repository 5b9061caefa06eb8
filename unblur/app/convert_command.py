"""`unblur convert`: weights that the authors of a network published, as a checkpoint of this program."""

import sys
from pathlib import Path
from typing import Annotated

import tyro

from unblur.names import PublishedName


def convert(
    weights: tyro.conf.Positional[Path],
    *,
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    network: PublishedName,
) -> int:
    """Turn a file of weights that a network's authors published into a checkpoint folder.

    Nothing in the file is run. The weights keep their licence; the folder's README.md says what it is.

    Args:
        weights: The authors' file: .pth, .pkl or .safetensors.
        output: Folder that becomes the checkpoint, for --checkpoint of the other commands.
        network: Whose weights these are; nafnet is NAFNet of width 32.
    """
    import torch

    from unblur.app.output_file import make_write_error
    from unblur.checkpoints.folder import check_no_checkpoint, load_checkpoint, save_checkpoint
    from unblur.checkpoints.import_weights import load_foreign
    from unblur.checkpoints.published import get_published, make_published_card

    check_no_checkpoint(output)
    chosen = get_published(network)
    model = load_foreign(weights, chosen.config)
    try:
        save_checkpoint(
            output,
            model,
            chosen.config,
            train_patch_px=chosen.train_patch_px,
            card=make_published_card(chosen, weights.name),
            dtype=torch.float32,
        )
    except OSError as error:
        raise make_write_error(output, error) from error
    sys.stdout.write(
        f"{output} holds {chosen.title}, weights {load_checkpoint(output).sha256[:12]}. "
        f"Licence of the weights: {chosen.licence}.\n"
        f"Use it with: unblur restore photo.jpg --checkpoint {output}\n"
    )
    return 0
