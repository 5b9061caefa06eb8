"""Latent spaces out of files: ours out of checkpoints, those of tiny autoencoders out of their authors' files."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from unblur.checkpoints.dc_autoencoder import KIND, VAE, load_dc_autoencoder
from unblur.checkpoints.diffusers_folder import find_network, is_saved_by_diffusers
from unblur.checkpoints.folder import load_checkpoint
from unblur.errors import UnblurError
from unblur.metrics.perceptual import read_weights
from unblur.models import Autoencoder, LatentDecoderConfig
from unblur.models.latent_space import LatentSpace
from unblur.models.tiny_autoencoder import (
    LATENT_CHANNELS,
    TAEF2_STRIDE_PX,
    TAESANA_STRIDE_PX,
    build_taef2_decoder,
    build_taef2_encoder,
    build_taesana_encoder,
)

TAESANA = "give taesana_encoder.pth out of the repository madebyollin/taesd"


@dataclass(frozen=True, kw_only=True)
class LoadedLatentSpace:
    """A latent space on a device, and its description for tables."""

    space: LatentSpace
    name: str
    encoder_sha256: str
    decoder_sha256: str
    """Equal where one file holds both."""


@dataclass(frozen=True, kw_only=True)
class FrozenEncoder:
    """An encoder that was trained before, and the file it came from."""

    network: nn.Module
    sha256: str
    latent_channels: int
    stride_px: int


def load_encoder(path: Path) -> FrozenEncoder:
    """Load an encoder, frozen, in float32.

    `path` is TAESANA's file, a checkpoint folder of an autoencoder of ours, or a folder of diffusers with a DC-AE or a
    pipeline that has one. Raises UnblurError when it holds none of these.
    """
    if not path.is_dir():
        return load_taesana_encoder(path)
    if is_saved_by_diffusers(path, VAE):
        encoder, _ = load_dc_autoencoder(path)
        described = find_network(path, kind=KIND, part=VAE)
        with torch.no_grad():
            channels = encoder(torch.zeros(1, 3, encoder.stride_px, encoder.stride_px)).shape[1]
        return FrozenEncoder(
            network=encoder,
            sha256=described.hash_weights(),
            latent_channels=channels,
            stride_px=encoder.stride_px,
        )
    found = load_checkpoint(path)
    if not isinstance(found.model, Autoencoder):
        raise UnblurError(
            f"{path} holds no encoder; give a checkpoint of `unblur train autoencoder`, taesana_encoder.pth, or a "
            "folder of diffusers with a DC-AE."
        )
    config = found.model.config.encoder
    return FrozenEncoder(
        network=found.model.encoder,
        sha256=found.sha256,
        latent_channels=config.latent_channels,
        stride_px=config.stride_px,
    )


def load_taesana_encoder(path: Path) -> FrozenEncoder:
    """Load TAESANA's encoder, frozen, in float32. Raises UnblurError when `path` does not hold exactly its weights."""
    return FrozenEncoder(
        network=_load(build_taesana_encoder(), path, TAESANA),
        sha256=_sha256(path),
        latent_channels=LATENT_CHANNELS,
        stride_px=TAESANA_STRIDE_PX,
    )


def open_latent_space(
    checkpoint: str | Path | None, encoder: Path | None, decoder: Path | None, device: torch.device
) -> LoadedLatentSpace:
    """Open the latent space of `checkpoint`, or of the files `encoder` and `decoder` of TAEF2.

    A checkpoint that is a decoder alone needs `encoder`, the file it was trained with. Raises UnblurError when they do
    not go together, are missing, or hold something else.
    """
    if checkpoint is None:
        if encoder is None or decoder is None:
            raise UnblurError("A latent space needs a checkpoint, or the encoder and the decoder of TAEF2; give those.")
        whose = "give taef2_encoder.pth and taef2_decoder.pth out of the repository madebyollin/taesd"
        space = LatentSpace(
            encoder=_load(build_taef2_encoder(), encoder, whose).to(device),
            decoder=_load(build_taef2_decoder(), decoder, whose).to(device),
            stride_px=TAEF2_STRIDE_PX,
        )
        return LoadedLatentSpace(
            space=space, name="TAEF2", encoder_sha256=_sha256(encoder), decoder_sha256=_sha256(decoder)
        )
    if decoder is not None:
        raise UnblurError(f"{checkpoint} has a decoder of its own; give it, or {decoder}, not both.")
    found = load_checkpoint(checkpoint)
    model = found.model.to(device)
    if isinstance(model, Autoencoder):
        if encoder is not None:
            raise UnblurError(f"{found.folder} has an encoder of its own; leave {encoder} out.")
        space = LatentSpace(encoder=model.encoder, decoder=model.decoder, stride_px=model.config.decoder.stride_px)
        return LoadedLatentSpace(
            space=space, name="autoencoder", encoder_sha256=found.sha256, decoder_sha256=found.sha256
        )
    if not isinstance(found.config, LatentDecoderConfig):
        raise UnblurError(f"{found.folder} holds no autoencoder; give a checkpoint of `unblur train autoencoder`.")
    if encoder is None:
        raise UnblurError(f"{found.folder} is a decoder alone; give the encoder that it was trained with ({TAESANA}).")
    frozen = load_taesana_encoder(encoder)
    if found.config.stride_px != TAESANA_STRIDE_PX:
        raise UnblurError(f"{found.folder} decodes at stride {found.config.stride_px}, where TAESANA encodes at 32.")
    return LoadedLatentSpace(
        space=LatentSpace(encoder=frozen.network.to(device), decoder=model, stride_px=TAESANA_STRIDE_PX),
        name="decoder of TAESANA's latents",
        encoder_sha256=frozen.sha256,
        decoder_sha256=found.sha256,
    )


def _load(network: nn.Module, path: Path, whose: str) -> nn.Module:
    try:
        network.load_state_dict(read_weights(path, whose))
    except RuntimeError as error:
        raise UnblurError(f"{path} holds the weights of another network; {whose}.") from error
    return network.float().eval().requires_grad_(False)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
