"""Networks whose authors published weights for motion blur, by the names that people call them by."""

from dataclasses import dataclass
from typing import assert_never

from unblur.checkpoints.import_weights import ForeignConfig, choose_key_map
from unblur.models import MIMOUNetConfig, MPRNetConfig, NAFNetConfig, RestormerConfig
from unblur.names import PublishedName


@dataclass(frozen=True, kw_only=True)
class PublishedNetwork:
    """A network as its authors trained it."""

    title: str
    config: ForeignConfig
    train_patch_px: int
    """Side of the patches, or of the last ones, that it was trained on."""
    licence: str
    """The licence of the authors' weights, in words."""
    licence_tag: str
    """The same, as the Hugging Face hub names licences."""


def get_published(name: PublishedName) -> PublishedNetwork:
    """Return the published network of that name."""
    match name:
        case "mimo-unet":
            return _mimo_unet("MIMO-UNet", MIMOUNetConfig())
        case "mimo-unet+":
            return _mimo_unet("MIMO-UNet+", MIMOUNetConfig(blocks=20, dropout=0.1))
        case "mprnet":
            return _describe_non_commercial("MPRNet", MPRNetConfig(), 256)
        case "nafnet":
            return _nafnet("NAFNet-32", 32)
        case "nafnet-64":
            return _nafnet("NAFNet-64", 64)
        case "restormer":
            return _describe_non_commercial("Restormer", RestormerConfig(), 384)
    assert_never(name)


def make_published_card(network: PublishedNetwork, file: str) -> str:
    """Return the model card of a checkpoint that was made of the authors' weights in `file`."""
    return f"""---
license: {network.licence_tag}
library_name: unblur
pipeline_tag: image-to-image
tags: [deblurring, image-restoration]
---
# {network.title}

Weights of the network's authors, converted by `unblur convert` from {file}: the same numbers under other names. Not for
forensic or identity use.

- Network: {network.config}
- Origin: https://github.com/{choose_key_map(network.config).origin}
- Licence of the weights: {network.licence}
- Use: `unblur restore photo.jpg --checkpoint FOLDER`
"""


def _mimo_unet(title: str, config: MIMOUNetConfig) -> PublishedNetwork:
    return PublishedNetwork(
        title=title,
        config=config,
        train_patch_px=256,
        licence="none stated; ask the authors before you pass them on",
        licence_tag="unknown",
    )


def _nafnet(title: str, width: int) -> PublishedNetwork:
    return PublishedNetwork(
        title=title,
        config=NAFNetConfig(width=width, encoder_blocks=(1, 1, 1, 28), middle_blocks=1, decoder_blocks=(1, 1, 1, 1)),
        train_patch_px=256,
        licence="MIT, as the authors' repository",
        licence_tag="mit",
    )


def _describe_non_commercial(
    title: str, config: MPRNetConfig | RestormerConfig, train_patch_px: int
) -> PublishedNetwork:
    return PublishedNetwork(
        title=title,
        config=config,
        train_patch_px=train_patch_px,
        licence="for academic use, not for commercial use, as the authors' repository",
        licence_tag="other",
    )
