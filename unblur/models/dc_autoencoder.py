"""The deep compression autoencoder of the library diffusers: its two halves, with photographs and latents as ours.

Source: DC-AE (Chen et al. 2024, arXiv 2410.10733), which GLOWDeblur (arXiv 2601.06525) draws frozen: the encoder for
training only, the decoder for the result. Differences from the library: photographs in [0, 1] instead of [-1, 1], of
any size, mirrored up to a multiple of 32; latents are multiplied by the scaling factor that is published with the
weights, which makes their root mean square about 1.
"""

from typing import Any

import torch
from torch import Tensor, nn

from unblur.models.diffusers_library import import_diffusers
from unblur.models.padding import reflect_to_multiple

SANA_SCALING_FACTOR = 0.41407
"""The scaling factor of "f32c32-sana-1.0"."""


class DCEncoder(nn.Module):
    """Encoder of photographs into latents.

    Shape: (B, 3, H, W) sRGB in [0, 1] -> (B, C, H / 32, W / 32), sides rounded up.
    """

    def __init__(self, network: Any, scaling_factor: float) -> None:
        """Take the encoder of the library's AutoencoderDC."""
        super().__init__()
        self.network: nn.Module = network.encoder
        self.stride_px, self.scaling_factor = int(network.spatial_compression_ratio), scaling_factor

    def forward(self, photo: Tensor) -> Tensor:
        latents: Tensor = self.network(reflect_to_multiple(photo, self.stride_px) * 2 - 1)
        return latents * self.scaling_factor


class DCDecoder(nn.Module):
    """Decoder of latents into photographs. Shape: (B, C, h, w) -> (B, 3, 32 h, 32 w) sRGB in [0, 1], not clipped."""

    def __init__(self, network: Any, scaling_factor: float) -> None:
        """Take the decoder of the library's AutoencoderDC."""
        super().__init__()
        self.network: nn.Module = network.decoder
        self.scaling_factor = scaling_factor

    def forward(self, latents: Tensor) -> Tensor:
        photo: Tensor = self.network(latents / self.scaling_factor)
        return (photo + 1) / 2


def build_sana_autoencoder() -> tuple[DCEncoder, DCDecoder]:
    """Build encoder and decoder in the size of SANA's, "f32c32-sana-1.0", with random weights.

    Raises UnblurError when diffusers is not installed.
    """
    stages = ("ResBlock",) * 3 + ("EfficientViTBlock",) * 3
    with torch.random.fork_rng(devices=[]):
        network = import_diffusers().AutoencoderDC(
            encoder_block_types=stages,
            decoder_block_types=stages,
            downsample_block_type="conv",
            upsample_block_type="interpolate",
            scaling_factor=SANA_SCALING_FACTOR,
        )
    return DCEncoder(network, SANA_SCALING_FACTOR), DCDecoder(network, SANA_SCALING_FACTOR)
