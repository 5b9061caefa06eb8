"""A tiny network with random weights, whose correction is not zero."""

import pytest
import torch
from torch import nn

from unblur.models import NAFNetConfig, build

CONFIG = NAFNetConfig(width=8, encoder_blocks=(1,), middle_blocks=1, decoder_blocks=(1,), stem_stride=2)


def make_tiny_network(seed: int = 1) -> nn.Module:
    """Return the network of CONFIG with random weights; it changes a photograph by several percent."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build(CONFIG)
        network.get_submodule("ending").reset_parameters()
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                # A fresh network is the identity; these bring its branches and its correction to life.
                if name.endswith(("beta", "gamma")):
                    parameter.normal_(0, 0.3)
    return network.eval().requires_grad_(False)


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Use one thread: with pictures this small more threads only wait for each other."""
    torch.set_num_threads(1)


@pytest.fixture
def tiny_network() -> nn.Module:
    return make_tiny_network()
