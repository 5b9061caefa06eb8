"""Tokens: what a photograph shows, as the denoiser is told it."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Tokens:
    """Of a caption's words or a photograph's regions; every example of a batch has as many, some of them padding."""

    values: Tensor
    """(B, N, C)."""
    mask: Tensor
    """(B, N), True where there is a token and False where there is padding."""

    def to(self, device: torch.device) -> "Tokens":
        """The same on another device."""
        return Tokens(self.values.to(device), self.mask.to(device))
