"""The semantic prior: a checkpoint of `unblur train prior`, or the bundled one."""

from pathlib import Path

from unblur.checkpoints.folder import BUNDLED_PRIOR, Checkpoint, load_checkpoint
from unblur.errors import UnblurError
from unblur.models import SemanticPrior


def open_prior(source: str | Path | None) -> tuple[SemanticPrior, Checkpoint]:
    """The student of a checkpoint, None for the bundled one, and the checkpoint. Raises UnblurError."""
    checkpoint = load_checkpoint(BUNDLED_PRIOR if source is None else source)
    if not isinstance(checkpoint.model, SemanticPrior):
        raise UnblurError(f"{checkpoint.folder} holds no semantic prior; give a checkpoint of `unblur train prior`.")
    return checkpoint.model, checkpoint
