"""The weights that a run begins with, and those that it only looks at."""

from dataclasses import replace
from pathlib import Path

from torch import nn

from unblur.checkpoints.folder import Checkpoint, load_checkpoint
from unblur.checkpoints.latent_spaces import FrozenEncoder, load_encoder, load_taesana_encoder
from unblur.errors import UnblurError
from unblur.models import (
    GlowConfig,
    GlowDeblur,
    HostConfig,
    LatentDecoderConfig,
    ModelConfig,
    MultiScale,
    PreReconstruction,
    PreReconstructionConfig,
    SemanticPriorConfig,
)
from unblur.models.pre_reconstruction import STRIDE_PX
from unblur.models.tiny_autoencoder import TAESANA_STRIDE_PX
from unblur.training.glow_beginning import begin_glow
from unblur.training.hourglass_beginning import begin_around_hourglass, misfit, replace_hourglass
from unblur.training.prior_weights import fitted, prior_weights

PARTS_OF_A_PRIOR = ("prior.", "embeddings.")
"""How the names of all weights begin that a network with a prior has and the same without one lacks."""


def begin(
    model: nn.Module,
    config: ModelConfig,
    start_from: Path | None,
    prior_from: Path | None,
    teacher: nn.Module | None = None,
    motion_from: Path | None = None,
    hourglass_from: Path | None = None,
) -> None:
    """Load what training of `model`, which `config` describes, begins with.

    `start_from` is a checkpoint of the same network; one that lacks the prior gets it plugged in. `prior_from`,
    `motion_from` and `hourglass_from` are checkpoints of parts, instead of the bundled ones or those that `start_from`
    has. A semantic prior begins as its `teacher`; GLOWDeblur and what is built around an hourglass as files of their
    own say. Raises UnblurError when a checkpoint is of another network, or of a part that it does not have.
    """
    start = None if start_from is None else load_checkpoint(start_from)
    if isinstance(model, GlowDeblur):
        begin_glow(model, start, prior_from, motion_from, hourglass_from)
        return
    if motion_from is not None:
        raise UnblurError(f"The recipe's network is not told any motion; leave out {motion_from}.")
    if hourglass_from is not None and not isinstance(model, PreReconstruction | MultiScale):
        raise UnblurError(f"The recipe's network has no hourglass as a part; leave out {hourglass_from}.")
    if isinstance(model, PreReconstruction | MultiScale):
        begin_around_hourglass(model, start)
        if hourglass_from is not None:
            replace_hourglass(model, hourglass_from)
    elif start is not None:
        _load(model, config, start)
    elif teacher is not None:
        model.get_submodule("backbone").load_state_dict(teacher.state_dict())
    prior = config.prior if isinstance(config, HostConfig) else None
    if prior is None and prior_from is not None:
        raise UnblurError(f"The recipe's network has no semantic prior; leave out {prior_from}.")
    if prior is not None and (prior_from is not None or start is None or start.config != config):
        model.get_submodule("prior.student").load_state_dict(prior_weights(prior_from, prior.network))


def frozen_encoder(config: ModelConfig, path: Path | None, device: str) -> FrozenEncoder | None:
    """The encoder of `path`, whose latents a network learns to decode or to generate; None for one that does neither.

    Raises UnblurError when it is missing, cannot be read, does not fit, or nothing would look at it.
    """
    match config:
        case LatentDecoderConfig():
            found = _taesana_encoder(config, path)
        case GlowConfig():
            found = _latent_encoder(config.denoiser.latent_channels, path)
        case PreReconstructionConfig():
            found = _latent_encoder(config.latent_channels, path)
        case _ if path is not None:
            raise UnblurError(f"The recipe needs no encoder by others; leave {path} out.")
        case _:
            return None
    return replace(found, network=found.network.to(device))


def _taesana_encoder(config: LatentDecoderConfig, path: Path | None) -> FrozenEncoder:
    if path is None:
        raise UnblurError("The recipe trains a decoder alone; give the encoder, taesana_encoder.pth, by --encoder.")
    if config.stride_px != TAESANA_STRIDE_PX:
        raise UnblurError(f"TAESANA encodes at stride {TAESANA_STRIDE_PX}, but the recipe trains {config}.")
    return load_taesana_encoder(path)


def _latent_encoder(channels: int, path: Path | None) -> FrozenEncoder:
    if path is None:
        raise UnblurError(
            "The recipe learns the latents of sharp photographs; give what encodes them by --encoder: "
            "taesana_encoder.pth, or a checkpoint of `unblur train autoencoder`."
        )
    found = load_encoder(path)
    if (found.latent_channels, found.stride_px) != (channels, STRIDE_PX):
        raise UnblurError(
            f"{path} makes {found.latent_channels} numbers of {found.stride_px} x {found.stride_px} pixels, where the "
            f"recipe learns {channels} of {STRIDE_PX} x {STRIDE_PX}; give another encoder."
        )
    return found


def _load(model: nn.Module, config: ModelConfig, start: Checkpoint) -> None:
    """Weights of a checkpoint into the same network, into the same with a prior, or into a prior of other looks."""
    weights = start.model.state_dict()
    if isinstance(config, SemanticPriorConfig):
        weights = fitted(start, config) or weights
    if isinstance(config, HostConfig) and start.config == replace(config, prior=None):
        own = {name: value for name, value in model.state_dict().items() if name.startswith(PARTS_OF_A_PRIOR)}
        weights = own | weights
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise misfit(start, str(config)) from error
