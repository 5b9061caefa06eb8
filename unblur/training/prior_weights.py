"""The semantic prior that hosts and GLOWDeblur are told, frozen: a checkpoint, or the bundled one."""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from unblur.checkpoints.folder import BUNDLED_PRIOR, Checkpoint, load_checkpoint
from unblur.errors import UnblurError
from unblur.models import SemanticPriorConfig, build


def prior_weights(prior_from: Path | None, expected: SemanticPriorConfig) -> dict[str, Tensor]:
    """Of the checkpoint of `unblur train prior`, or of the bundled one where None is given.

    Raises UnblurError when it holds anything that `fitted` has no weights of.
    """
    checkpoint = load_checkpoint(BUNDLED_PRIOR if prior_from is None else prior_from)
    weights = fitted(checkpoint, expected)
    if weights is None:
        raise UnblurError(
            f"{checkpoint.folder} holds {checkpoint.config}, which is not the semantic prior of the recipe, "
            f"{expected}; give a checkpoint of `unblur train prior` by --prior-from."
        )
    return weights


def fitted(checkpoint: Checkpoint, expected: SemanticPriorConfig) -> dict[str, Tensor] | None:
    """The weights of a student for one that looks as often as `expected`; None where it is another network.

    One that looks twice serves without what it has for the second look, and one that looks once serves with a second
    look that begins at changing nothing.
    """
    found = checkpoint.config
    if not isinstance(found, SemanticPriorConfig) or replace(found, looks_twice=expected.looks_twice) != expected:
        return None
    weights = checkpoint.model.state_dict()
    with torch.device("meta"):
        shapes = build(expected).state_dict()
    return {name: weights[name] if name in weights else torch.zeros(one.shape) for name, one in shapes.items()}
