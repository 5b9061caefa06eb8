"""Tokens: the input of cross attention."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Tokens:
    """Tokens of a caption's words or an image's regions; all examples of a batch have the same number."""

    values: Tensor
    """(B, N, C)."""
    mask: Tensor
    """(B, N), True where there is a token and False where there is padding."""

    def to(self, device: torch.device) -> "Tokens":
        """Return the tokens on another device."""
        return Tokens(self.values.to(device), self.mask.to(device))
