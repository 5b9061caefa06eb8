"""The weights that GLOWDeblur begins with: all its parts but the denoiser are trained before."""

from pathlib import Path

from torch import nn

from unblur.checkpoints.folder import BUNDLED_MOTION_ESTIMATOR, Checkpoint, load_checkpoint
from unblur.errors import UnblurError
from unblur.models import GlowDeblur
from unblur.training.hourglass_beginning import begin_around_hourglass, misfit
from unblur.training.prior_weights import prior_weights


def begin_glow(network: GlowDeblur, start: Checkpoint | None, prior_from: Path | None) -> None:
    """Begin as `start`, a run of the same network; or with parts that were trained each by itself.

    Those are the bundled motion estimator, the semantic prior of `prior_from` or the bundled one, and what
    `begin_around_hourglass` makes of `start`. Raises UnblurError when one of them is missing or of another network.
    """
    config = network.config
    if start is not None and start.config == config:
        network.load_state_dict(start.model.state_dict())
    else:
        if network.pre_reconstruction is not None:
            begin_around_hourglass(network.pre_reconstruction, start)
        elif start is not None:
            raise misfit(start, "GLOWDeblur without pre-reconstruction")
        motion = load_checkpoint(BUNDLED_MOTION_ESTIMATOR)
        if motion.config != config.motion:
            raise UnblurError("The recipe's motion estimator has no weights; give it the bundled one's sizes.")
        network.motion_guidance.estimator.load_state_dict(motion.model.state_dict())
    if prior_from is not None or start is None or start.config != config:
        network.semantic_guidance.prior.load_state_dict(prior_weights(prior_from, config.semantics.prior))


def freeze_what_sees(network: nn.Module) -> None:
    """The hourglass of GLOWDeblur, if it has one; its motion estimator and semantic prior never learn."""
    if isinstance(network, GlowDeblur) and network.pre_reconstruction is not None:
        network.pre_reconstruction.hourglass.requires_grad_(False)
