"""Tokens: the input of cross attention."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Tokens:
    """Tokens of a caption's words or an image's regions; every example of a batch has as many, some of them padding."""

    values: Tensor
    """(B, N, C)."""
    mask: Tensor
    """(B, N), True where there is a token and False where there is padding."""

    def to(self, device: torch.device) -> "Tokens":
        """The same on another device."""
        return Tokens(self.values.to(device), self.mask.to(device))
