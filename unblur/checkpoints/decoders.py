"""Decoders out of files: what paints photographs from the latents of a generative network."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from unblur.checkpoints.dc_autoencoder import VAE, load_dc_autoencoder
from unblur.checkpoints.diffusers_folder import is_saved_by_diffusers
from unblur.checkpoints.folder import load_checkpoint
from unblur.errors import UnblurError
from unblur.models import Autoencoder, LatentDecoder
from unblur.models.pre_reconstruction import STRIDE_PX


@dataclass(frozen=True, kw_only=True)
class LoadedDecoder:
    """A decoder ready to use, and the file it came from."""

    network: nn.Module
    """Scaled latents (B, C, h, w) -> (B, 3, 32 h, 32 w) in [0, 1], not clipped."""
    sha256: str | None
    """SHA-256 of its `model.safetensors`; None for a folder of diffusers."""


def load_decoder(source: str | Path, latent_channels: int) -> LoadedDecoder:
    """Load the decoder of an autoencoder's checkpoint, a checkpoint of a decoder alone, or a DC-AE of diffusers.

    Raises UnblurError when there is none, or when it paints from latents of another kind.
    """
    found = _load_dc(source) if is_saved_by_diffusers(Path(source), VAE) else _load_ours(source)
    try:
        with torch.no_grad():
            painted = found.network(torch.zeros(1, latent_channels, 1, 1))
    except RuntimeError:
        painted = None  # Only channels that do not fit its first layer can do this.
    if painted is None or painted.shape != (1, 3, STRIDE_PX, STRIDE_PX):
        raise UnblurError(
            f"The decoder in {source} does not decode {latent_channels} latents to {STRIDE_PX} x {STRIDE_PX} pixels; "
            "give the one that the generative network was trained with."
        )
    return found


def _load_ours(source: str | Path) -> LoadedDecoder:
    checkpoint = load_checkpoint(source)
    network = checkpoint.model.decoder if isinstance(checkpoint.model, Autoencoder) else checkpoint.model
    if not isinstance(network, LatentDecoder):
        raise UnblurError(f"{checkpoint.folder} holds no decoder; give a checkpoint of a decoder or an autoencoder.")
    return LoadedDecoder(network=network, sha256=checkpoint.sha256)


def _load_dc(source: str | Path) -> LoadedDecoder:
    _, decoder = load_dc_autoencoder(source)
    return LoadedDecoder(network=decoder, sha256=None)
