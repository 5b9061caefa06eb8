"""Finds parts of a network that other bundled checkpoints hold already, so that no weights are stored twice."""

from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from unblur.checkpoints.folder import BUNDLED, Checkpoint, SharedPart, load_checkpoint
from unblur.errors import UnblurError
from unblur.models import ModelConfig


def find_shared_parts(model: nn.Module) -> tuple[SharedPart, ...]:
    """Return the parts of `model` whose weights equal, in half precision, those of a bundled network."""
    found = []
    for source, folder in BUNDLED.items():
        checkpoint = load_checkpoint(folder)
        bundled = checkpoint.model.state_dict()
        for part, module in model.named_modules():
            if part and _equal_as_stored(module.state_dict(), bundled):
                found.append(SharedPart(part=part, source=source, sha256=checkpoint.sha256))
    return tuple(found)


def extract_part(checkpoint: Checkpoint, name: str) -> Checkpoint:
    """Return the part with this name as a checkpoint. Raises UnblurError when it is not a network of its own."""
    parts = {place: module for place, module in checkpoint.model.named_modules() if place and _is_network(module)}
    if name not in parts:
        there = f"it has {', '.join(parts)}" if parts else "it has none"
        raise UnblurError(f"{checkpoint.folder} has no part {name} that is a network by itself; {there}.")
    return replace(checkpoint, model=parts[name], config=cast(ModelConfig, parts[name].config))


def _is_network(module: nn.Module) -> bool:
    return isinstance(getattr(module, "config", None), ModelConfig)


def _equal_as_stored(own: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Return whether both are equal bit for bit in half precision."""
    return own.keys() == other.keys() and all(torch.equal(own[name].half(), other[name].half()) for name in own)
