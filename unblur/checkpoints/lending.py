"""Parts of a network that come with the package anyway: the hourglass of GLOWDeblur is the faithful network."""

import torch
from torch import Tensor, nn

from unblur.checkpoints.folder import BUNDLED, Borrowed, load_checkpoint


def borrowed_parts(model: nn.Module) -> tuple[Borrowed, ...]:
    """The parts of `model` whose weights are, name by name and bit by bit, those of a network of the package."""
    found = []
    for lender, folder in BUNDLED.items():
        checkpoint = load_checkpoint(folder)
        lent = checkpoint.model.state_dict()
        for part, module in model.named_modules():
            if part and _equal(module.state_dict(), lent):
                found.append(Borrowed(part=part, lender=lender, sha256=checkpoint.sha256))
    return tuple(found)


def _equal(own: dict[str, Tensor], lent: dict[str, Tensor]) -> bool:
    return own.keys() == lent.keys() and all(torch.equal(value, lent[name]) for name, value in own.items())
