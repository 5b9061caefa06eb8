"""Parts of a network that come with the package anyway: the hourglass of GLOWDeblur is the faithful network."""

from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from unblur.checkpoints.folder import BUNDLED, Borrowed, Checkpoint, load_checkpoint
from unblur.errors import UnblurError
from unblur.models import ModelConfig


def borrowed_parts(model: nn.Module) -> tuple[Borrowed, ...]:
    """The parts of `model` whose weights are, name by name and in half precision, those of a network of the package."""
    found = []
    for lender, folder in BUNDLED.items():
        checkpoint = load_checkpoint(folder)
        lent = checkpoint.model.state_dict()
        for part, module in model.named_modules():
            if part and _equal(module.state_dict(), lent):
                found.append(Borrowed(part=part, lender=lender, sha256=checkpoint.sha256))
    return tuple(found)


def part_of(checkpoint: Checkpoint, name: str) -> Checkpoint:
    """The part of that name by itself. Raises UnblurError when there is none that is a network without the rest."""
    parts = {place: module for place, module in checkpoint.model.named_modules() if place and _is_network(module)}
    if name not in parts:
        there = f"it has {', '.join(parts)}" if parts else "it has none"
        raise UnblurError(f"{checkpoint.folder} has no part {name} that is a network by itself; {there}.")
    return replace(checkpoint, model=parts[name], config=cast(ModelConfig, parts[name].config))


def _is_network(module: nn.Module) -> bool:
    return isinstance(getattr(module, "config", None), ModelConfig)


def _equal(own: dict[str, Tensor], lent: dict[str, Tensor]) -> bool:
    """Bit for bit, as they are stored."""
    return own.keys() == lent.keys() and all(torch.equal(own[name].half(), lent[name].half()) for name in own)
