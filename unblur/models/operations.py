"""Counts of the parameters and the multiply-accumulates (MACs) of networks."""

from collections.abc import Callable

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def count_parameters(module: nn.Module) -> int:
    """Return the number of parameters of a module."""
    return sum(parameter.numel() for parameter in module.parameters())


def count_macs(forward: Callable[[], object]) -> int:
    """Return the MACs of the matrix products, convolutions and attention that `forward` computes."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        forward()
    return int(counter.get_total_flops()) // 2
