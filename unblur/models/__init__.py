"""Networks. Each one keeps one promise: `forward(blurry) -> restored`, (B, 3, H, W) RGB in [0, 1], any size."""

from unblur.models.build import ModelConfig, build
from unblur.models.nafnet import NAFNet, NAFNetConfig

__all__ = ["ModelConfig", "NAFNet", "NAFNetConfig", "build"]
