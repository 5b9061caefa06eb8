"""Networks. Those that restore keep a promise: `forward(blurry) -> restored`, (B, 3, H, W) RGB in [0, 1], any size."""

from unblur.models.build import ModelConfig, RestorerConfig, build
from unblur.models.motion_estimator import MotionEstimator, MotionEstimatorConfig
from unblur.models.nafnet import NAFNet, NAFNetConfig

__all__ = [
    "ModelConfig",
    "MotionEstimator",
    "MotionEstimatorConfig",
    "NAFNet",
    "NAFNetConfig",
    "RestorerConfig",
    "build",
]
