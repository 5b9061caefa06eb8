"""Builds a source of features from a configuration: one `match`, so the type checker lists what was forgotten."""

from typing import assert_never

from unblur.models.efficientnet_lite import EfficientNetLite, EfficientNetLiteConfig
from unblur.models.transformers_backbone import TransformersBackbone, TransformersConfig

BackboneConfig = EfficientNetLiteConfig | TransformersConfig
"""Networks whose features can be distilled and used as a prior."""

Backbone = EfficientNetLite | TransformersBackbone
"""`forward(picture) -> features of every level`, and `levels`."""


def build_backbone(config: BackboneConfig) -> Backbone:
    """Build the network described by `config`, with freshly initialised weights."""
    match config:
        case EfficientNetLiteConfig():
            return EfficientNetLite(config)
        case TransformersConfig():
            return TransformersBackbone(config)
    assert_never(config)
