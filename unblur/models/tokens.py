"""Tokens: the input of cross attention."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
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


def select_tokens(choose_first: Tensor, first: Tokens, second: Tokens) -> Tokens:
    """Return the tokens of `first` for examples where `choose_first`, (B,) bool, is true, and of `second` elsewhere.

    The shorter ones are padded.
    """
    count = max(first.mask.shape[1], second.mask.shape[1])
    one, other = _pad_tokens(first, count), _pad_tokens(second, count)
    return Tokens(
        torch.where(choose_first[:, None, None], one.values.to(other.values.dtype), other.values),
        torch.where(choose_first[:, None], one.mask, other.mask),
    )


def _pad_tokens(tokens: Tokens, count: int) -> Tokens:
    padding = count - tokens.mask.shape[1]
    return Tokens(F.pad(tokens.values, (0, 0, 0, padding)), F.pad(tokens.mask, (0, padding)))
