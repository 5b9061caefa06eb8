"""The plain residual block of deblurring networks."""

from torch import Tensor, nn

from unblur.models.collapsible_conv import CollapsibleConv2d


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a ReLU between them, added to their input. Shape: (B, C, H, W) -> same.

    There is no normalisation and nothing after the sum: the block of DeepDeblur (Nah et al. 2017, arXiv 1612.02177).
    With `expanded` channels both convolutions are trained as two each, see `CollapsibleConv2d`.
    """

    def __init__(self, channels: int, expanded: int | None = None) -> None:
        super().__init__()
        self.first, self.second = _convolution(channels, expanded), _convolution(channels, expanded)

    def forward(self, x: Tensor) -> Tensor:
        correction: Tensor = self.second(self.first(x).relu())
        return x + correction


def build_residual_blocks(channels: int, count: int, expanded: int | None = None) -> nn.Sequential:
    """Build a sequence of `count` residual blocks."""
    return nn.Sequential(*(ResidualBlock(channels, expanded) for _ in range(count)))


def _convolution(channels: int, expanded: int | None) -> nn.Module:
    if expanded is None:
        return nn.Conv2d(channels, channels, 3, padding=1)
    return CollapsibleConv2d(channels, channels, expanded)
