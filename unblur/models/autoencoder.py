"""A latent space of our own: encoder and decoder, trained together on photographs."""

from dataclasses import dataclass

from torch import Tensor, nn

from unblur.models.latent_decoder import LatentDecoder, LatentDecoderConfig
from unblur.models.latent_encoder import LatentEncoder, LatentEncoderConfig


@dataclass(frozen=True, kw_only=True)
class AutoencoderConfig:
    """Sizes of the encoder and the decoder."""

    encoder: LatentEncoderConfig = LatentEncoderConfig()
    decoder: LatentDecoderConfig = LatentDecoderConfig()

    def __post_init__(self) -> None:
        halves = self.encoder, self.decoder
        if len({(half.latent_channels, half.stride_px) for half in halves}) > 1:
            raise ValueError(f"the encoder and the decoder must agree on latents and stride: {self}")


class Autoencoder(nn.Module):
    """Autoencoder of photographs. Shape: (B, 3, H, W) RGB in [0, 1], multiples of 32 -> same.

    The output is not clipped.
    """

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = LatentEncoder(config.encoder)
        self.decoder = LatentDecoder(config.decoder)

    def forward(self, image: Tensor) -> Tensor:
        reconstructed: Tensor = self.decoder(self.encoder(image))
        return reconstructed
