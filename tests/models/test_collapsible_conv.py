"""A convolution that is trained as two: what it computes, and how it begins."""

import torch
import torch.nn.functional as F
from torch import nn

from unblur.models.collapsible_conv import CollapsibleConv2d


def test_it_equals_the_two_convolutions_that_it_is_trained_as() -> None:
    conv = CollapsibleConv2d(3, 5, expanded=11)
    x = torch.randn(2, 3, 9, 7, generator=torch.Generator().manual_seed(1))
    wide = F.conv2d(x, conv.expand, padding=1)
    two = F.conv2d(wide, conv.project[..., None, None], conv.bias)
    torch.testing.assert_close(conv(x), two)
    torch.testing.assert_close(F.conv2d(x, conv.weight, conv.bias, padding=1), two)


def test_it_begins_with_weights_as_large_as_those_of_a_plain_one() -> None:
    conv, plain = CollapsibleConv2d(32, 48, expanded=128), nn.Conv2d(32, 48, 3)
    assert abs(float((conv.weight.std() / plain.weight.std()).detach()) - 1) < 0.1
    assert float(conv.bias.detach().abs().max()) <= float(plain.weight.detach().abs().max()) * 1.1


def test_both_of_its_factors_learn() -> None:
    conv = CollapsibleConv2d(3, 4, expanded=8)
    conv(torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(1))).square().sum().backward()
    assert all(bool(factor.grad is not None and factor.grad.abs().sum() > 0) for factor in conv.parameters())
