"""The weights that GLOWDeblur begins with: all its parts but the denoiser are trained before."""

from dataclasses import replace
from pathlib import Path

from unblur.checkpoints.folder import BUNDLED_MOTION_ESTIMATOR, Checkpoint, load_checkpoint
from unblur.errors import UnblurError
from unblur.models import GlowConfig, GlowDeblur
from unblur.training.hourglass_beginning import begin_around_hourglass, misfit, replace_hourglass
from unblur.training.prior_weights import prior_weights


def begin_glow(
    network: GlowDeblur,
    start: Checkpoint | None,
    prior_from: Path | None = None,
    motion_from: Path | None = None,
    hourglass_from: Path | None = None,
) -> None:
    """Begin as `start`, a run of the same network; or with parts that were trained each by itself.

    The same but for a prior that looks once is the same too: its second look begins at changing nothing. The parts are
    the bundled motion estimator, the bundled semantic prior, and what `begin_around_hourglass` makes of `start`. Parts
    of their own checkpoints come in the place of either. Raises UnblurError when a part is missing or of another
    network.
    """
    config = network.config
    whole = start is not None and start.config in (config, _looking_once(config))
    if whole:
        assert start is not None
        network.load_state_dict(network.state_dict() | start.model.state_dict())
    elif network.pre_reconstruction is not None:
        begin_around_hourglass(network.pre_reconstruction, start)
    elif start is not None:
        raise misfit(start, "GLOWDeblur without pre-reconstruction")
    if hourglass_from is not None:
        if network.pre_reconstruction is None:
            raise UnblurError(f"The recipe's network has no hourglass; leave out {hourglass_from}.")
        replace_hourglass(network.pre_reconstruction, hourglass_from)
    if motion_from is not None or not whole:
        _begin_motion(network, motion_from)
    if prior_from is not None or not whole:
        network.semantic_guidance.prior.load_state_dict(prior_weights(prior_from, config.semantics.prior))


def _looking_once(config: GlowConfig) -> GlowConfig:
    prior = replace(config.semantics.prior, looks_twice=False)
    return replace(config, semantics=replace(config.semantics, prior=prior))


def _begin_motion(network: GlowDeblur, motion_from: Path | None) -> None:
    found = load_checkpoint(BUNDLED_MOTION_ESTIMATOR if motion_from is None else motion_from)
    if found.config != network.config.motion:
        raise UnblurError(
            f"The recipe's motion estimator has no weights: {found.folder} holds {found.config}; give it that one's "
            "sizes, or a checkpoint of `unblur train motion` by --motion-from."
        )
    network.motion_guidance.estimator.load_state_dict(found.model.state_dict())
