"""A 3x3 convolution that is trained as two and costs as much as one.

One idea: two convolutions without anything between them equal one, whose weights are the product of theirs. Training
two is better according to other authors, and inference costs one. docs/explain/networks.md has what we found.

Source: collapsible linear blocks (SESR, Bhardwaj et al. 2021, arXiv 2103.09404), which multiply the weights in training
too, so that no photograph ever passes the expanded channels; RepVGG (Ding et al. 2021, arXiv 2101.03697) for the idea.
Differences from SESR: no identity is added to the product, because our blocks add their input themselves.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class CollapsibleConv2d(nn.Module):
    """Convolution with a 3x3 kernel, padded by zeros. Shape: (B, `channels_in`, H, W) -> (B, `channels`, H, W).

    Equals a 3x3 convolution to `expanded` channels followed by a 1x1 convolution to `channels`.
    """

    def __init__(self, channels_in: int, channels: int, expanded: int) -> None:
        super().__init__()
        self.expand = nn.Parameter(torch.empty(expanded, channels_in, 3, 3))
        self.project = nn.Parameter(torch.empty(channels, expanded))
        self.bias = nn.Parameter(torch.empty(channels))
        # The product's spread is that of the weights of nn.Conv2d, uniform within 1 / sqrt(9 channels_in).
        bound = (9 * channels_in) ** -0.5
        nn.init.normal_(self.expand, std=bound)
        nn.init.normal_(self.project, std=(3 * expanded) ** -0.5)
        nn.init.uniform_(self.bias, -bound, bound)

    @property
    def weight(self) -> Tensor:
        """Return the weight of the collapsed convolution. Shape: (`channels`, `channels_in`, 3, 3)."""
        return (self.project @ self.expand.flatten(1)).reshape(-1, *self.expand.shape[1:])

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, self.bias, padding=1)
