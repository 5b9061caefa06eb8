"""The semantic prior that hosts and GLOWDeblur are told, frozen: a checkpoint, or the bundled one."""

from pathlib import Path

from torch import Tensor

from unblur.checkpoints.folder import BUNDLED_PRIOR, load_checkpoint
from unblur.errors import UnblurError
from unblur.models import SemanticPriorConfig


def prior_weights(prior_from: Path | None, expected: SemanticPriorConfig) -> dict[str, Tensor]:
    """Of the checkpoint of `unblur train prior`, or of the bundled one where None is given.

    Raises UnblurError when it holds anything but the `expected` network.
    """
    checkpoint = load_checkpoint(BUNDLED_PRIOR if prior_from is None else prior_from)
    if checkpoint.config != expected:
        raise UnblurError(
            f"{checkpoint.folder} holds {checkpoint.config}, which is not the semantic prior of the recipe, "
            f"{expected}; give a checkpoint of `unblur train prior` by --prior-from."
        )
    return checkpoint.model.state_dict()
