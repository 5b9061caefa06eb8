"""Initial weights from other checkpoints, and frozen encoders that training needs."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from unblur.checkpoints.folder import (
    BUNDLED_FAITHFUL,
    BUNDLED_MOTION_ESTIMATOR,
    BUNDLED_PRIOR,
    Checkpoint,
    load_checkpoint,
)
from unblur.checkpoints.latent_spaces import FrozenEncoder, load_encoder, load_taesana_encoder
from unblur.checkpoints.num_scales import set_num_scales
from unblur.checkpoints.sana import load_sana
from unblur.errors import UnblurError
from unblur.models import (
    GlowConfig,
    GlowDeblur,
    HostConfig,
    LatentDecoderConfig,
    ModelConfig,
    MultiScale,
    MultiScaleConfig,
    NAFNetConfig,
    PreReconstruction,
    PreReconstructionConfig,
    SemanticPriorConfig,
    find_shapes,
)
from unblur.models.pre_reconstruction import STRIDE_PX
from unblur.models.tiny_autoencoder import TAESANA_STRIDE_PX

PARTS_OF_A_PRIOR = ("prior.", "embeddings.")
"""Prefixes of the weights that a network with a prior has and the same network without one lacks."""


@dataclass(frozen=True, kw_only=True)
class InitFrom:
    """Checkpoints to initialise a new run from. None selects the bundled weights of a part, if there are any."""

    checkpoint: Path | None = None
    """Checkpoint of the whole network or, for networks that contain a NAFNet, of the NAFNet alone."""
    prior: Path | None = None
    """Checkpoint of the semantic prior."""
    motion: Path | None = None
    """Checkpoint of the motion estimator."""
    nafnet: Path | None = None
    """Checkpoint whose NAFNet replaces that of the network."""
    denoiser: Path | str | None = None
    """SANA's transformer for GLOWDeblur's denoiser, a folder of diffusers or a hub id."""

    def apply(self, model: nn.Module, config: ModelConfig) -> None:
        """Load the weights into `model`, which `config` describes.

        A checkpoint of the network without its prior gets the prior added. Raises UnblurError when a checkpoint is of
        another network, or of a part that the network does not have.
        """
        start = None if self.checkpoint is None else load_checkpoint(self.checkpoint)
        if isinstance(model, GlowDeblur):
            self._apply_to_glow(model, start)
            return
        if self.motion is not None:
            raise UnblurError(f"The recipe's network has no motion guidance; leave out {self.motion}.")
        if self.denoiser is not None:
            raise UnblurError(f"The recipe's network has no denoiser; leave out {self.denoiser}.")
        if self.nafnet is not None and not isinstance(model, PreReconstruction | MultiScale):
            raise UnblurError(f"The recipe's network has no NAFNet as a part; leave out {self.nafnet}.")
        if isinstance(model, PreReconstruction | MultiScale):
            _load_around_nafnet(model, start)
            if self.nafnet is not None:
                _replace_nafnet(model, self.nafnet)
        elif start is not None:
            _load(model, config, start)
        prior = config.prior if isinstance(config, HostConfig) else None
        if prior is None and self.prior is not None:
            raise UnblurError(f"The recipe's network has no semantic prior; leave out {self.prior}.")
        if prior is not None and (self.prior is not None or start is None or start.config != config):
            model.get_submodule("prior.student").load_state_dict(_load_prior_weights(self.prior, prior.network))

    def _apply_to_glow(self, network: GlowDeblur, start: Checkpoint | None) -> None:
        """Load a run of the same network, or the parts, which are all trained before; named parts replace either.

        A checkpoint whose prior is single-pass also matches, because the second pass is zero-initialised, and one that
        was trained without captions, or with them.
        """
        config = network.config
        found = start.config if start is not None else None
        if isinstance(found, GlowConfig):
            found = replace(found, tokens=config.tokens)
        whole = found in (config, _replace_with_single_pass_prior(config))
        if whole:
            assert start is not None
            network.load_state_dict(network.state_dict() | start.model.state_dict())
        elif network.pre_reconstruction is not None:
            _load_around_nafnet(network.pre_reconstruction, start)
        elif start is not None:
            raise _make_checkpoint_error(start, "GLOWDeblur without pre-reconstruction")
        if self.nafnet is not None:
            if network.pre_reconstruction is None:
                raise UnblurError(f"The recipe's network has no NAFNet; leave out {self.nafnet}.")
            _replace_nafnet(network.pre_reconstruction, self.nafnet)
        if self.motion is not None or not whole:
            _load_motion(network, self.motion)
        if self.prior is not None or not whole:
            network.semantic_guidance.prior.load_state_dict(_load_prior_weights(self.prior, config.semantics.prior))
        if self.denoiser is not None:
            _load_denoiser(network, self.denoiser)


def load_frozen_encoder(config: ModelConfig, path: Path | None, device: str) -> FrozenEncoder | None:
    """Load the encoder of `path`, whose latents a network decodes or generates; None for one that does neither.

    Raises UnblurError when it is missing, cannot be read, does not fit, or is not needed.
    """
    match config:
        case LatentDecoderConfig():
            found = _load_taesana_encoder(config, path)
        case GlowConfig():
            found = _load_latent_encoder(config.denoiser.latent_channels, path)
        case PreReconstructionConfig():
            found = _load_latent_encoder(config.latent_channels, path)
        case _ if path is not None:
            raise UnblurError(f"The recipe needs no other encoder; leave {path} out.")
        case _:
            return None
    return replace(found, network=found.network.to(device))


def _load_taesana_encoder(config: LatentDecoderConfig, path: Path | None) -> FrozenEncoder:
    if path is None:
        raise UnblurError("The recipe trains a decoder alone; give taesana_encoder.pth by --latent-encoder.")
    if config.stride_px != TAESANA_STRIDE_PX:
        raise UnblurError(f"TAESANA encodes at stride {TAESANA_STRIDE_PX}, but the recipe trains {config}.")
    return load_taesana_encoder(path)


def _load_latent_encoder(channels: int, path: Path | None) -> FrozenEncoder:
    if path is None:
        raise UnblurError(
            "The recipe learns the latents of sharp photographs; give their encoder by --latent-encoder: "
            "taesana_encoder.pth, a checkpoint of `unblur train autoencoder`, or a folder of diffusers with a DC-AE."
        )
    found = load_encoder(path)
    if (found.latent_channels, found.stride_px) != (channels, STRIDE_PX):
        raise UnblurError(
            f"{path} encodes {found.stride_px} x {found.stride_px} pixels as {found.latent_channels} numbers, "
            f"where the recipe learns {channels} for {STRIDE_PX} x {STRIDE_PX}; give another encoder."
        )
    return found


def _load(model: nn.Module, config: ModelConfig, start: Checkpoint) -> None:
    """Load a checkpoint of the same network, of the same without its prior, or of a prior with other passes."""
    weights = start.model.state_dict()
    if isinstance(config, SemanticPriorConfig):
        weights = _convert_passes(start, config) or weights
    if isinstance(config, HostConfig) and start.config == replace(config, prior=None):
        own = {name: value for name, value in model.state_dict().items() if name.startswith(PARTS_OF_A_PRIOR)}
        weights = own | weights
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise _make_checkpoint_error(start, str(config)) from error


def _load_around_nafnet(network: PreReconstruction | MultiScale, start: Checkpoint | None) -> None:
    """Load a run of the same network, or of its NAFNet alone; without a checkpoint, the bundled NAFNet.

    A network at several scales also accepts a checkpoint with another number of scales, because the weights are shared,
    and one without coarse conditioning, because the new projection is zero-initialised. Weights stay random where the
    bundled NAFNet has another shape. Raises UnblurError when the checkpoint is of another network.
    """
    found = load_checkpoint(BUNDLED_FAITHFUL) if start is None else start
    if isinstance(found.config, MultiScaleConfig) and isinstance(network.config, MultiScaleConfig):
        found = set_num_scales(found, network.config.scales)
    if found.config == network.config or _lacks_coarse_conditioning(found, network):
        network.load_state_dict(network.state_dict() | found.model.state_dict())
    elif found.config == network.config.nafnet:
        network.nafnet.load_state_dict(found.model.state_dict())
    elif start is not None:
        raise _make_checkpoint_error(start, str(network.config))


def _lacks_coarse_conditioning(found: Checkpoint, network: PreReconstruction | MultiScale) -> bool:
    return isinstance(network, MultiScale) and found.config == replace(network.config, condition_on_coarser=False)


def _replace_nafnet(network: PreReconstruction | MultiScale, source: Path) -> None:
    """Load the NAFNet of a checkpoint. Raises UnblurError when it has none of the same shape."""
    found = _load_nafnet(load_checkpoint(source), network.config.nafnet)
    network.nafnet.load_state_dict(found.state_dict())


def _load_nafnet(found: Checkpoint, expected: NAFNetConfig) -> nn.Module:
    """Return the NAFNet of a checkpoint of it alone, or of a multi-scale network."""
    if found.config == expected:
        return found.model
    if isinstance(found.model, MultiScale) and found.model.config.nafnet == expected:
        return found.model.nafnet
    raise _make_checkpoint_error(found, str(expected))


def _replace_with_single_pass_prior(config: GlowConfig) -> GlowConfig:
    prior = replace(config.semantics.prior, two_pass=False)
    return replace(config, semantics=replace(config.semantics, prior=prior))


def _load_motion(network: GlowDeblur, source: Path | None) -> None:
    found = load_checkpoint(BUNDLED_MOTION_ESTIMATOR if source is None else source)
    if found.config != network.config.motion:
        raise UnblurError(
            f"The recipe's motion estimator has no weights: {found.folder} holds {found.config}; give it the "
            "same sizes, or a checkpoint of `unblur train motion` by --init-motion."
        )
    network.motion_guidance.estimator.load_state_dict(found.model.state_dict())


def _load_denoiser(network: GlowDeblur, source: Path | str) -> None:
    """Load SANA's transformer; the weights of the conditions are zero, so at first they change nothing."""
    expected = network.config.denoiser
    found = load_sana(source, expected.condition_channels)
    if found.config != expected:
        raise UnblurError(f"{source} holds {found.config}, but the recipe trains {expected}; give a SANA of that size.")
    network.denoiser.load_state_dict(found.state_dict())


def _load_prior_weights(source: Path | None, expected: SemanticPriorConfig) -> dict[str, Tensor]:
    """Return the weights of a checkpoint of `unblur train prior`, or of the bundled one for None.

    Raises UnblurError when they are of another network.
    """
    checkpoint = load_checkpoint(BUNDLED_PRIOR if source is None else source)
    weights = _convert_passes(checkpoint, expected)
    if weights is None:
        raise UnblurError(
            f"{checkpoint.folder} holds {checkpoint.config}, which is not the semantic prior of the recipe, "
            f"{expected}; give a checkpoint of `unblur train prior` by --init-prior."
        )
    return weights


def _convert_passes(checkpoint: Checkpoint, expected: SemanticPriorConfig) -> dict[str, Tensor] | None:
    """Return a prior's weights for the number of passes of `expected`; None for another network.

    The weights of a second pass are dropped, or zero, which leaves the output unchanged.
    """
    found = checkpoint.config
    if not isinstance(found, SemanticPriorConfig) or replace(found, two_pass=expected.two_pass) != expected:
        return None
    weights = checkpoint.model.state_dict()
    return {name: weights[name] if name in weights else torch.zeros(one) for name, one in find_shapes(expected).items()}


def _make_checkpoint_error(start: Checkpoint, trained: str) -> UnblurError:
    return UnblurError(
        f"{start.folder} holds {start.config}, but the recipe trains {trained}; give a checkpoint of that."
    )
