"""Pretrained deep compression autoencoders, as the library diffusers keeps them."""

from pathlib import Path

import torch

from unblur.checkpoints.diffusers_folder import find_network
from unblur.checkpoints.mismatch import state_dict_mismatch
from unblur.errors import UnblurError
from unblur.models.dc_autoencoder import DCDecoder, DCEncoder
from unblur.models.diffusers_library import import_diffusers

KIND, VAE = "AutoencoderDC", "vae"
"""Class of the library, and its part in a pipeline."""


def load_dc_autoencoder(source: str | Path) -> tuple[DCEncoder, DCDecoder]:
    """Load the halves of an AutoencoderDC, frozen, float32, from a folder or hub id of it or of a pipeline with one.

    Latents are scaled by the factor in its config.json. Raises UnblurError when it is not there, damaged, of another
    kind, or diffusers is not installed.
    """
    found = find_network(source, kind=KIND, part=VAE)
    factor = found.arguments.get("scaling_factor")
    if not isinstance(factor, (int, float)) or not factor > 0:
        raise UnblurError(
            f"scaling_factor in {found.folder / 'config.json'} is {factor!r}, not a number; get it again."
        )
    try:
        with torch.device("meta"):
            network = import_diffusers().AutoencoderDC(**found.arguments)
    except (TypeError, ValueError, IndexError) as error:
        raise UnblurError(
            f"The installed diffusers cannot build the autoencoder of {found.folder} ({str(error).splitlines()[0]}); "
            "install a newer one."
        ) from error
    weights = {name: value.float() for name, value in found.weights().items()}
    if problems := state_dict_mismatch(network.state_dict(), weights):
        raise UnblurError(f"Weights in {found.folder} do not fit its config.json: {problems}; get them again.")
    network.load_state_dict(weights, assign=True)
    network.eval().requires_grad_(False)
    return DCEncoder(network, float(factor)), DCDecoder(network, float(factor))
