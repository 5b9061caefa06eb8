"""`unblur convert`: weights that the authors of a network published, as a checkpoint of this program."""

import sys
from pathlib import Path
from typing import Annotated

import tyro

from unblur.app.options import OutputFolder
from unblur.names import PublishedName


def convert(
    weights: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FILE")],
    *,
    output: OutputFolder,
    network: Annotated[PublishedName, tyro.conf.arg(metavar="NETWORK")],
) -> int:
    """Turn a file of weights that a network's authors published into a checkpoint folder.

    No code in the file is run. The weights retain their licence, which the folder's README.md names.

    Args:
        weights: The authors' file: .pth, .pkl or .safetensors.
        output: Folder that becomes the checkpoint, for --checkpoint of the other commands.
        network: The network of the weights: mimo-unet, mimo-unet+, mprnet, nafnet (width 32), nafnet-64 or restormer.
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
