"""From a configuration to its network: one `match`, so the type checker lists what was forgotten."""

from typing import assert_never

from torch import nn

from unblur.models.motion_estimator import MotionEstimator, MotionEstimatorConfig
from unblur.models.nafnet import NAFNet, NAFNetConfig

RestorerConfig = NAFNetConfig
"""Networks that restore: `forward(blurry) -> restored`; becomes a union with the second one."""

ModelConfig = RestorerConfig | MotionEstimatorConfig
"""Every configuration a checkpoint may hold."""


def build(config: ModelConfig) -> nn.Module:
    """The network described by `config`, with freshly initialised weights."""
    match config:
        case NAFNetConfig():
            return NAFNet(config)
        case MotionEstimatorConfig():
            return MotionEstimator(config)
    assert_never(config)
