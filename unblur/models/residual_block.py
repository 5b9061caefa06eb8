"""The plain residual block of deblurring networks."""

from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a ReLU between them, added to their input. Shape: (B, C, H, W) -> same.

    There is no normalisation and nothing after the sum: the block of DeepDeblur (Nah et al. 2017, arXiv 1612.02177).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        correction: Tensor = self.second(self.first(x).relu())
        return x + correction


def residual_blocks(channels: int, count: int) -> nn.Sequential:
    """`count` of them in a row."""
    return nn.Sequential(*(ResidualBlock(channels) for _ in range(count)))
