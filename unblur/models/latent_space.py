"""A latent space: photographs of any size as few numbers, and back, whichever networks do it."""

from dataclasses import dataclass

from torch import Tensor, nn

from unblur.models.padding import padded_to_multiple


@dataclass(frozen=True, kw_only=True)
class LatentSpace:
    """The two networks of an autoencoder, behind one interface.

    Latents are what a denoiser is taught: centred at about 0 with a deviation of about 1, factors included.
    """

    encoder: nn.Module
    """(B, 3, H, W) RGB in [0, 1], multiples of `stride_px` -> (B, C, H / stride, W / stride)."""
    decoder: nn.Module
    """Back again."""
    stride_px: int

    def encode(self, images: Tensor) -> Tensor:
        """Latents of images (B, 3, H, W) in [0, 1]; other sizes than multiples of the stride grow by their edges."""
        latents: Tensor = self.encoder(padded_to_multiple(images, self.stride_px))
        return latents

    def decode(self, latents: Tensor) -> Tensor:
        """Images in [0, 1], (B, 3, h * stride, w * stride)."""
        images: Tensor = self.decoder(latents)
        return images.clamp(0, 1)
