"""Changes the number of scales of a multi-scale network, whose weights are shared by all scales."""

from dataclasses import replace

from unblur.checkpoints.folder import Checkpoint
from unblur.errors import UnblurError
from unblur.models import MultiScaleConfig, build
from unblur.models.multiscale import MOST_SCALES


def set_num_scales(checkpoint: Checkpoint, sizes: int) -> Checkpoint:
    """Return the checkpoint with the same weights at another number of scales.

    Raises UnblurError for fewer than two, for more than any photograph has, and for a network at one size.
    """
    if not isinstance(checkpoint.config, MultiScaleConfig):
        raise UnblurError(f"{checkpoint.folder} restores at one scale; leave out the number of scales.")
    if sizes < 2:
        raise UnblurError(f"A selection between {sizes} scales is impossible; give 2 or more.")
    if sizes > MOST_SCALES:
        raise UnblurError(f"{sizes} scales leave nothing of a photograph at the coarsest; give {MOST_SCALES} at most.")
    config = replace(checkpoint.config, scales=sizes)
    model = build(config)
    model.load_state_dict(checkpoint.model.state_dict())
    return replace(checkpoint, model=model, config=config)
