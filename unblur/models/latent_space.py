"""A latent space: an encoder and a decoder for photographs of any size."""

from dataclasses import dataclass

from torch import Tensor, nn

from unblur.models.padding import pad_to_multiple


@dataclass(frozen=True, kw_only=True)
class LatentSpace:
    """The two networks of an autoencoder, behind one interface.

    Latents are scaled as denoisers are trained on them: mean about 0, deviation about 1.
    """

    encoder: nn.Module
    """(B, 3, H, W) RGB in [0, 1], multiples of `stride_px` -> (B, C, H / stride, W / stride)."""
    decoder: nn.Module
    """The decoder, (B, C, h, w) -> (B, 3, h * stride, w * stride)."""
    stride_px: int

    def encode(self, images: Tensor) -> Tensor:
        """Encode images (B, 3, H, W) in [0, 1]; edges are replicated up to multiples of the stride."""
        latents: Tensor = self.encoder(pad_to_multiple(images, self.stride_px))
        return latents

    def decode(self, latents: Tensor) -> Tensor:
        """Decode latents into images in [0, 1], (B, 3, h * stride, w * stride)."""
        images: Tensor = self.decoder(latents)
        return images.clamp(0, 1)
