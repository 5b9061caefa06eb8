"""From a configuration to its network: one `match`, so the type checker lists what was forgotten."""

from torch import nn

from unblur.models.nafnet import NAFNet, NAFNetConfig

ModelConfig = NAFNetConfig
"""Every configuration a checkpoint may hold; becomes a union with the second network."""


def build(config: ModelConfig) -> nn.Module:
    """The network described by `config`, with freshly initialised weights."""
    return NAFNet(config)
