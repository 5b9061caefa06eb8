"""Layer normalisation for images."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ChannelLayerNorm(nn.Module):
    """Layer normalisation over the channels of each position. Shape: (B, C, H, W) -> same."""

    def __init__(self, channels: int, eps: float) -> None:
        """Add `eps` to the variance; papers differ in it."""
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        # In channels-last memory both permutations are free views.
        x = x.permute(0, 2, 3, 1)
        return F.layer_norm(x, (x.shape[-1],), self.weight, self.bias, eps=self.eps).permute(0, 3, 1, 2)
