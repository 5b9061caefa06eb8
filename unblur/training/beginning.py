"""The weights that a run begins with, and those that it only looks at."""

from dataclasses import replace
from pathlib import Path

from torch import nn

from unblur.checkpoints.folder import Checkpoint, load_checkpoint
from unblur.checkpoints.latent_spaces import FrozenEncoder, load_taesana_encoder
from unblur.errors import UnblurError
from unblur.models import LatentDecoderConfig, ModelConfig, RestorerConfig
from unblur.models.tiny_autoencoder import TAESANA_STRIDE_PX

PARTS_OF_A_PRIOR = ("prior.", "embeddings.")
"""How the names of all weights begin that a network with a prior has and the same without one lacks."""


def begin(
    model: nn.Module,
    config: ModelConfig,
    start_from: Path | None,
    prior_from: Path | None,
    teacher: nn.Module | None = None,
) -> None:
    """Load what training of `model`, which `config` describes, begins with.

    `start_from` is a checkpoint of the same network; one that lacks the prior gets it plugged in. `prior_from` is a
    checkpoint of `unblur train prior` for a network with a prior. A semantic prior begins as its `teacher`. Raises
    UnblurError when a checkpoint is of another network, or a prior has no weights.
    """
    start = None if start_from is None else load_checkpoint(start_from)
    if start is not None:
        _load(model, config, start)
    elif teacher is not None:
        model.get_submodule("backbone").load_state_dict(teacher.state_dict())
    prior = config.prior if isinstance(config, RestorerConfig) else None
    if prior_from is not None:
        checkpoint = load_checkpoint(prior_from)
        if prior is None or checkpoint.config != prior.network:
            raise UnblurError(
                f"{prior_from} holds {checkpoint.config}, which is not the prior of {config}; give a checkpoint of "
                "`unblur train prior`, and a recipe whose network has that prior."
            )
        model.get_submodule("prior.student").load_state_dict(checkpoint.model.state_dict())
    elif prior is not None and (start is None or start.config != config):
        raise UnblurError(
            f"The prior of {config} has no weights; give a checkpoint of `unblur train prior` with --prior-from."
        )


def frozen_encoder(config: ModelConfig, path: Path | None, device: str) -> FrozenEncoder | None:
    """The encoder whose latents a network learns to decode, from `path`; None for a network that decodes none.

    Raises UnblurError when it is missing, cannot be read, or nothing would look at it.
    """
    if isinstance(config, LatentDecoderConfig):
        if path is None:
            raise UnblurError("The recipe trains a decoder alone; give the encoder, taesana_encoder.pth, by --encoder.")
        if config.stride_px != TAESANA_STRIDE_PX:
            raise UnblurError(f"TAESANA encodes at stride {TAESANA_STRIDE_PX}, but the recipe trains {config}.")
        found = load_taesana_encoder(path)
        return FrozenEncoder(network=found.network.to(device), sha256=found.sha256)
    if path is not None:
        raise UnblurError(f"The recipe needs no encoder by others; leave {path} out.")
    return None


def _load(model: nn.Module, config: ModelConfig, start: Checkpoint) -> None:
    """Weights of a checkpoint into the same network, or into the same network with a prior."""
    weights = start.model.state_dict()
    if isinstance(config, RestorerConfig) and start.config == replace(config, prior=None):
        own = {name: value for name, value in model.state_dict().items() if name.startswith(PARTS_OF_A_PRIOR)}
        weights = own | weights
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise UnblurError(
            f"{start.folder} holds {start.config}, but the recipe trains {config}; give a checkpoint of that."
        ) from error
