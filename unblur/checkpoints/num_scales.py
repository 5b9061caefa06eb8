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
        raise UnblurError(f"{checkpoint.folder} restores at one size of a photograph; leave out the number of sizes.")
    if sizes < 2:
        raise UnblurError(f"A choice between {sizes} sizes makes no sense; ask for 2 or more.")
    if sizes > MOST_SCALES:
        raise UnblurError(
            f"{sizes} sizes leave nothing of a photograph at the smallest; ask for {MOST_SCALES} at most."
        )
    config = replace(checkpoint.config, scales=sizes)
    model = build(config)
    model.load_state_dict(checkpoint.model.state_dict())
    return replace(checkpoint, model=model, config=config)
